"use strict";
// The page of the fleet: asks for the same as JSON every few seconds, and draws what has changed.

const EVERY_MS = 3000;
let drawn = "";
let updated = null;

const byId = (id) => document.getElementById(id);

function state(kind, text) {
  return element("span", { className: `state ${kind}` }, text);
}

function number(term, value) {
  return element("div", {}, element("dt", {}, term), element("dd", {}, value));
}

function replicaState(replica) {
  if (replica.state === "no answer") return state("bad", "no answer");
  if (replica.state === "usable") {
    return replica.serves === null ? state("warn", "answers, but serves no version") : state("good", "usable");
  }
  const seconds = Math.ceil(replica.rests_seconds);
  if (!replica.failures) return state("warn", "not tried yet");
  return state("warn", `rests after ${plural(replica.failures, "failure")}${seconds ? `, ${seconds} s more` : ""}`);
}

function plural(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

function versionState(version) {
  const failed = version.state === "END" && version.error;
  const kind = version.state === "AVAILABLE" ? "good" : failed ? "bad" : "";
  const text = `v${version.version} ${failed ? "failed" : version.state.toLowerCase()}`;
  const item = element("li", {}, state(kind, text));
  if (version.error) item.append(element("span", { className: "why" }, version.error));
  return item;
}

/** The head of a column, where a phone shows no heads. */
function caption(model) {
  return element("span", { className: "head" }, `${serving(model)}: `);
}

function serving(model) {
  return model.label ? `Serves as ${model.label}` : "Serves";
}

function row(model, replica) {
  const versions = element("ul", { className: "versions" }, ...replica.versions.map(versionState));
  const seen = element("td", {}, versions);
  if (replica.error) seen.append(element("span", { className: "small" }, replica.error));
  const serves = replica.serves === null ? "none" : `v${replica.serves}`;
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, replica.address),
    element("td", {}, replicaState(replica)),
    element("td", {}, caption(model), serves),
    seen,
  );
}

function table(model) {
  const names = ["Replica", "State", serving(model), "Loaded versions"];
  const head = element("tr", {}, ...names.map((name) => element("th", { scope: "col" }, name)));
  const title = element("caption", { className: "visually-hidden" }, `Replicas of ${model.name}`);
  const body = element("tbody", {}, ...model.replicas.map((replica) => row(model, replica)));
  return element("div", { className: "frame" }, element("table", {}, title, element("thead", {}, head), body));
}

function section(model) {
  const usable = model.replicas.filter((replica) => replica.state === "usable").length;
  const versions = model.versions.map((version) => `v${version}`).join(", ") || "none";
  const numbers = element(
    "dl",
    { className: "numbers" },
    number(model.label ? `Serves as ${model.label}` : "Serves, as the newest", versions),
    number("Replicas usable", `${usable} of ${model.replicas.length}`),
    number("Images in flight / limit", `${model.in_flight} / ${model.limit}`),
  );
  const made = element("section", { className: "model" }, element("h2", {}, model.name), numbers);
  if (model.versions.length > 1) {
    made.append(element("p", { className: "notice warn" }, "Replicas answer with different versions. That is so while a new version is rolled out."));
  }
  if (!model.replicas.length) made.append(element("p", { className: "notice bad" }, "No replica is known. Check the source of this fleet."));
  if (model.replicas.length) made.append(table(model));
  return made;
}

function draw(fleet) {
  const text = JSON.stringify(fleet.models);
  if (text === drawn) return;
  drawn = text;
  byId("models").replaceChildren(...fleet.models.map(section));
  byId("models").setAttribute("aria-busy", "false");
}

async function refresh() {
  const alert = byId("alert");
  try {
    draw(await askWithKey("/fleet?format=json"));
    updated = new Date();
    alert.hidden = true;
    byId("updated").textContent = `As of ${updated.toLocaleTimeString()}. The page asks again every ${EVERY_MS / 1000} seconds.`;
  } catch (error) {
    const since = updated ? ` What you see is from ${updated.toLocaleTimeString()}.` : "";
    const text = `${error.message}${since}`;
    // Said once, not every few seconds.
    if (alert.hidden || alert.textContent !== text) alert.textContent = text;
    alert.hidden = false;
    if (error.status === 401) return;
  }
  setTimeout(whenSeen, EVERY_MS);
}

/** A page in the background asks for nothing. */
function whenSeen() {
  if (!document.hidden) refresh();
  else document.addEventListener("visibilitychange", whenSeen, { once: true });
}

refresh();
