"use strict";
// A card for each image: its preview, then the bars of its answer or the reason why there is none.

const NAMES_MAX = 80;

function shortened(text) {
  return text.length > NAMES_MAX ? `${text.slice(0, NAMES_MAX - 1)}…` : text;
}

function percent(probability) {
  const value = probability * 100;
  // Not "100 %" for what is not certain, and not "0 %" for what is possible.
  if (value > 99.9 && value < 100) return "> 99.9 %";
  if (value > 0 && value < 0.1) return "< 0.1 %";
  return `${value.toFixed(1)} %`;
}

class Card {
  constructor(file, { removed, again }) {
    this.file = file;
    this.controller = new AbortController();
    this.url = URL.createObjectURL(file);
    this.root = document.getElementById("card").content.firstElementChild.cloneNode(true);
    this.result = this.root.querySelector(".result");
    this.facts = this.root.querySelector(".facts");
    this.again = again;
    this.name = file.name || "pasted image";
    this.root.querySelector(".name").textContent = shortened(this.name);
    this.root.querySelector(".name").title = this.name;
    const remove = this.root.querySelector(".remove");
    remove.setAttribute("aria-label", `Remove ${shortened(this.name)}`);
    remove.onclick = () => removed(this);
    this.preview();
  }

  preview() {
    const image = this.root.querySelector("img");
    image.alt = `Preview of ${shortened(this.name)}`;
    image.onload = () => image.classList.toggle("tiny", image.naturalWidth < 64 && image.naturalHeight < 64);
    image.onerror = () => {
      image.hidden = true;
      this.root.querySelector(".no-preview").hidden = false;
    };
    image.src = this.url;
  }

  /** Before a request is sent again. */
  wait() {
    clearInterval(this.timer);
    // The button that was pressed goes away; without this the keyboard would begin at the top of the page again.
    if (this.result.contains(document.activeElement)) this.root.focus();
    this.root.classList.remove("failed");
    this.root.setAttribute("aria-busy", "true");
    this.facts.textContent = "";
    const spinner = element("span", { className: "spinner" });
    spinner.setAttribute("aria-hidden", "true");
    this.result.replaceChildren(element("p", { className: "waiting" }, spinner, "Waiting for the answer"));
  }

  show(answer, milliseconds) {
    this.root.setAttribute("aria-busy", "false");
    const labels = answer.predictions[0].labels;
    const best = element("p", { className: "best" }, element("strong", {}, labels[0].label));
    best.append(element("span", { className: "sure" }, percent(labels[0].probability)));
    this.result.replaceChildren(best, bars(labels));
    this.facts.textContent = "";
    const facts = [`version ${answer.version}`, answer.replica, `${Math.round(milliseconds)} ms`];
    this.facts.append(...facts.filter(Boolean).map((fact) => element("span", {}, fact)));
  }

  fail(error) {
    this.root.setAttribute("aria-busy", "false");
    this.root.classList.add("failed");
    this.result.replaceChildren(element("p", { className: "reason" }, error.message));
    // The same image would be refused again.
    if (!error.again) return;
    const again = element("button", { type: "button", className: "button", onclick: () => this.again(this) }, "Try again");
    again.setAttribute("aria-label", `Try again: ${shortened(this.name)}`);
    this.result.append(again);
    if (error.seconds) this.countDown(again, error.seconds);
  }

  countDown(button, seconds) {
    const ends = performance.now() + seconds * 1000;
    const tick = () => {
      const left = Math.ceil((ends - performance.now()) / 1000);
      button.disabled = left > 0;
      button.textContent = left > 0 ? `Try again in ${left} s` : "Try again";
      if (left <= 0) clearInterval(this.timer);
    };
    button.removeAttribute("aria-label");
    tick();
    this.timer = setInterval(tick, 250);
  }

  close() {
    clearInterval(this.timer);
    this.controller.abort();
    URL.revokeObjectURL(this.url);
    this.root.remove();
  }
}

function bars(labels) {
  const list = element("ol", { className: "bars" });
  for (const { label, probability } of labels) {
    const filled = element("span", { className: "filled" });
    // By a property of the object: the content security policy forbids styles in markup.
    filled.style.inlineSize = `${Math.min(Math.max(probability, 0), 1) * 100}%`;
    const track = element("span", { className: "track" }, filled);
    track.setAttribute("aria-hidden", "true");
    const name = element("span", { className: "label", title: label }, label);
    list.append(element("li", {}, name, track, element("span", { className: "percent" }, percent(probability))));
  }
  return list;
}
