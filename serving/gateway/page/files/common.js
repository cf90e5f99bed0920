"use strict";
// What all pages need: elements, the API key, and requests to the gateway whose errors are sentences.

const KEY = "understudy-api-key";

/** Whether the same request may be answered the next time: with a connection, a key, or servers that do not fail. */
function mayPass(status) {
  return status === 0 || status === 401 || status === 408 || status === 429 || status >= 500;
}

/** An element with properties and children. Text becomes a text node, never markup. */
function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** A request that the gateway did not answer with a result. `seconds`: when to try again, or null. */
class GatewayError extends Error {
  constructor(message, { status = 0, seconds = null, again = mayPass(status) } = {}) {
    super(message);
    this.status = status;
    this.seconds = seconds;
    this.again = again;
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

/** Asks for the API key in a dialog, once for all requests that wait for it. */
const keyDialog = {
  pending: null,
  ask(reason) {
    this.pending ??= new Promise((resolve) => this.open(reason, resolve)).finally(() => (this.pending = null));
    return this.pending;
  },
  open(reason, resolve) {
    const title = element("h2", { id: "key-title" }, "This gateway asks for an API key");
    const shown = element("p", { className: "notice bad", hidden: !reason }, reason);
    const label = element("label", { htmlFor: "key" }, "API key");
    const field = element("input", { id: "key", type: "password", required: true, autocomplete: "off", spellcheck: false });
    field.autocapitalize = "off";
    field.setAttribute("aria-describedby", "key-note");
    const note = element("p", { id: "key-note", className: "small" }, "It is kept in this tab only, until you close the tab.");
    const cancel = element("button", { type: "button", className: "button" }, "Cancel");
    const use = element("button", { type: "submit", className: "button primary" }, "Use this key");
    const actions = element("div", { className: "dialog-actions" }, cancel, use);
    const form = element("form", { method: "dialog" }, title, shown, label, field, note, actions);
    const dialog = element("dialog", {}, form);
    dialog.setAttribute("aria-labelledby", title.id);
    let given = false;
    form.onsubmit = () => {
      // A key is ASCII; anything else, as a space that was copied with it, cannot be in a header.
      const key = field.value.trim();
      given = /^[\x21-\x7e]+$/.test(key);
      if (given) sessionStorage.setItem(KEY, key);
      field.value = "";
    };
    cancel.onclick = () => dialog.close();
    dialog.onclose = () => {
      dialog.remove();
      resolve(given);
    };
    document.body.append(dialog);
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
