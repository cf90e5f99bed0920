"use strict";
// The page that classifies images: takes files, sends each by itself, and shows the answers.

const TOP = 5;
const AT_ONCE = 4;
const CARDS_MAX = 100;

const byId = (id) => document.getElementById(id);
const model = byId("model");
const cards = [];
const queue = [];
let running = 0;
let dragged = 0;

function say(text) {
  byId("status").textContent = text;
}

function warn(text) {
  byId("alert").hidden = !text;
  byId("alert").textContent = text;
}

// The models, and whether they answer

async function listModels() {
  let ready;
  try {
    const response = await fetch("/readyz", { headers: { Accept: "application/json" }, cache: "no-store" });
    ready = await response.json();
  } catch {
    warn("The gateway does not say which models it has. Reload the page in a moment.");
    return;
  }
  const named = new URLSearchParams(location.search).get("model");
  const names = Object.keys(ready.models);
  model.replaceChildren(...names.map((name) => element("option", { value: name }, name)));
  model.disabled = names.length < 2;
  if (names.includes(named)) model.value = named;
  model.onchange = () => showState(ready);
  showState(ready);
}

function showState(ready) {
  const state = ready.models[model.value];
  byId("model-state").hidden = !state || state.ready;
  byId("model-state").textContent = state && !state.ready ? state.reason || "does not answer" : "";
}

// Sending

function add(files) {
  warn("");
  for (const file of [...files]) {
    const card = new Card(file, { removed: remove, again: enqueue });
    cards.push(card);
    byId("cards").prepend(card.root);
    enqueue(card);
  }
  while (cards.length > CARDS_MAX) remove(cards[0]);
  byId("answers").hidden = !cards.length;
}

function enqueue(card) {
  card.wait();
  queue.push(card);
  next();
}

function next() {
  while (running < AT_ONCE && queue.length) {
    running += 1;
    classify(queue.shift()).finally(() => {
      running -= 1;
      next();
    });
  }
}

async function classify(card) {
  if (card.controller.signal.aborted) return;
  const asked = model.value;
  try {
    await checkReadable(card.file);
    const options = {
      method: "POST",
      body: card.file,
      // A type that the browser does not know: the gateway looks at the content.
      headers: { "Content-Type": card.file.type.startsWith("image/") ? card.file.type : "application/octet-stream" },
      signal: card.controller.signal,
    };
    const answer = await askWithKey(`/v1/classify/${encodeURIComponent(asked)}?top=${TOP}`, options);
    card.show(answer, options.milliseconds);
    const best = answer.predictions[0].labels[0];
    say(`${card.name}: ${best.label}, ${percent(best.probability)}. Version ${answer.version} answered.`);
  } catch (error) {
    if (card.controller.signal.aborted) return;
    const shown = error instanceof GatewayError ? error : new GatewayError("The answer of the gateway cannot be read.");
    card.fail(shown);
    say(`${card.name}: ${shown.message}`);
  }
}

/** A folder that was dropped is a file that cannot be read; so is one that was moved meanwhile. */
async function checkReadable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    const text = "This file cannot be read. If it is a folder, open it and drop the images that are in it.";
    throw new GatewayError(text, { again: false });
  }
}

function remove(card) {
  // Who works with the keyboard goes on at the next card.
  const focused = card.root.contains(document.activeElement);
  const near = card.root.nextElementSibling ?? card.root.previousElementSibling;
  card.close();
  for (const list of [cards, queue]) {
    const index = list.indexOf(card);
    if (index >= 0) list.splice(index, 1);
  }
  if (focused && near) near.querySelector(".remove").focus();
  if (!cards.length) {
    byId("answers").hidden = true;
    byId("files").focus();
  }
}

// Files: chosen, dropped, pasted

for (const input of [byId("files"), byId("camera")]) {
  input.addEventListener("change", () => {
    add(input.files);
    // So that the same file can be chosen again.
    input.value = "";
  });
}

byId("clear").addEventListener("click", () => {
  for (const card of [...cards]) remove(card);
});

document.addEventListener("paste", (event) => {
  const files = event.clipboardData?.files ?? [];
  if (files.length) {
    event.preventDefault();
    add(files);
  } else if (!event.target.closest?.("input")) {
    warn("There is no image on the clipboard. Copy an image, not its address.");
  }
});

function highlight(change) {
  dragged = Math.max(0, dragged + change);
  document.body.classList.toggle("dragging", dragged > 0);
}

document.addEventListener("dragenter", (event) => {
  event.preventDefault();
  highlight(1);
});
document.addEventListener("dragleave", () => highlight(-1));
// On the whole page: a browser would open a file that misses the field.
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  highlight(-dragged);
  const { files } = event.dataTransfer;
  add(files);
  if (!files.length) warn("That is not a file. Save the image on your device first, then drop the file here.");
});

listModels();
