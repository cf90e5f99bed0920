"use strict";
// What all pages need: elements, the API key, and requests to the gateway whose errors are sentences.

const KEY = "understudy-api-key";

/** An element with properties and children. Text becomes a text node, never markup. */
function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** A request that the gateway did not answer with a result. `seconds`: when to try again, or null. */
class GatewayError extends Error {
  constructor(message, { status = 0, seconds = null } = {}) {
    super(message);
    this.status = status;
    this.seconds = seconds;
  }
}

/** What the gateway answers, as JSON. Writes into `options.milliseconds` how long that took. */
async function ask(path, options = {}) {
  const key = sessionStorage.getItem(KEY);
  const headers = { Accept: "application/json", ...options.headers };
  if (key) headers.Authorization = `Bearer ${key}`;
  const started = performance.now();
  let response;
  try {
    response = await fetch(path, { cache: "no-store", ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new GatewayError("The gateway does not answer. Check your connection, and that the gateway runs.");
  }
  const answer = await answerOf(response);
  options.milliseconds = performance.now() - started;
  return answer;
}

async function answerOf(response) {
  const text = await response.text();
  let body = null;
  try {
    body = JSON.parse(text);
  } catch {
    // A proxy in between may answer with a page of its own.
  }
  if (response.ok && body !== null) return body;
  const said = body !== null && typeof body.error === "string" ? body.error : "";
  throw new GatewayError(said || `The gateway answered with the status ${response.status} and no reason.`, {
    status: response.status,
    seconds: secondsOf(response.headers.get("Retry-After")),
  });
}

/** The header Retry-After is a number of seconds, or a date. */
function secondsOf(header) {
  if (!header) return null;
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.min(Math.max(Math.ceil(seconds), 0), 3600) : null;
}

/** Asks for the API key in the dialog of the page, once for all requests that wait for it. */
const keyDialog = {
  pending: null,
  ask(reason) {
    this.pending ??= new Promise((resolve) => this.open(reason, resolve)).finally(() => (this.pending = null));
    return this.pending;
  },
  open(reason, resolve) {
    const dialog = document.getElementById("key-dialog");
    const field = document.getElementById("key");
    const shown = document.getElementById("key-reason");
    const form = document.getElementById("key-form");
    const cancel = document.getElementById("key-cancel");
    shown.textContent = reason;
    shown.hidden = !reason;
    field.value = "";
    let given = false;
    form.onsubmit = () => {
      // A key is ASCII; anything else, as a space that was copied with it, cannot be in a header.
      const key = field.value.trim();
      given = /^[\x21-\x7e]+$/.test(key);
      if (given) sessionStorage.setItem(KEY, key);
      field.value = "";
    };
    cancel.onclick = () => dialog.close();
    dialog.onclose = () => resolve(given);
    dialog.showModal();
  },
};

/** As `ask`; if the gateway wants a key, the person is asked for one, and the request is sent again. */
async function askWithKey(path, options = {}) {
  for (;;) {
    const sent = sessionStorage.getItem(KEY);
    try {
      return await ask(path, options);
    } catch (error) {
      if (error.status !== 401) throw error;
      // Another request may have got a key meanwhile.
      if (sessionStorage.getItem(KEY) !== sent) continue;
      if (!(await keyDialog.ask(sent ? error.message : ""))) throw error;
    }
  }
}
