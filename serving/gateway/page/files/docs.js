"use strict";
// The page of the API: curl lines, and what openapi.json says of each route.

const METHODS = ["get", "post", "put", "patch", "delete"];
const DEEPEST = 6;
const byId = (id) => document.getElementById(id);

// Examples

function samples(model) {
  const url = `${location.origin}/v1/classify/${model}`;
  return [
    ["The file as it is", `curl --data-binary @image.png -H "Content-Type: image/png" "${url}?top=5"`],
    ["One or several files, as a form sends them", `curl -F "image=@first.png" -F "image=@second.jpg" "${url}"`],
    [
      "JSON with base64",
      `printf '{"images": [{"name": "image.png", "content": "%s"}], "top": 5}' "$(base64 < image.png | tr -d '\\n')" |\n` +
        `  curl --data-binary @- -H "Content-Type: application/json" "${url}"`,
    ],
    ["For clients of the older API", `curl -F "file=@image.png" "${location.origin}/model/predict/"`],
  ];
}

function sample([title, text]) {
  const pre = element("pre", { tabIndex: 0 }, element("code", {}, text));
  pre.setAttribute("aria-label", title);
  pre.setAttribute("role", "region");
  const head = element("div", { className: "sample-head" }, element("h3", {}, title));
  if (navigator.clipboard) {
    const button = element("button", { type: "button", className: "button quiet" }, "Copy");
    button.setAttribute("aria-label", `Copy: ${title}`);
    button.onclick = async () => {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
      byId("status").textContent = `Copied: ${title}`;
      setTimeout(() => (button.textContent = "Copy"), 2000);
    };
    head.append(button);
  }
  return element("div", { className: "sample" }, head, pre);
}

async function firstModel() {
  try {
    const ready = await (await fetch("/readyz", { headers: { Accept: "application/json" } })).json();
    return Object.keys(ready.models)[0] ?? "MODEL";
  } catch {
    return "MODEL";
  }
}

// What openapi.json says

/** The schema behind a reference; references lead only into the document itself. */
function resolved(schema, document_) {
  let found = schema ?? {};
  for (let steps = 0; found.$ref && steps < DEEPEST; steps += 1) {
    found = found.$ref.replace(/^#\//, "").split("/").reduce((at, name) => at?.[name], document_) ?? {};
  }
  return found;
}

function typeOf(schema, document_) {
  const found = resolved(schema, document_);
  const several = found.anyOf ?? found.oneOf;
  if (several) return several.map((each) => typeOf(each, document_)).join(" or ");
  if (found.enum) return found.enum.map((each) => JSON.stringify(each)).join(" or ");
  if (found.type === "array") return `array of ${typeOf(found.items, document_)}`;
  return found.title && found.type === "object" ? found.title : found.format ? `${found.type} (${found.format})` : found.type ?? "any";
}

/** A value that the schema allows: its example, or one made of its parts. */
function exampleOf(schema, document_, depth = 0) {
  const found = resolved(schema, document_);
  const given = found.example ?? found.examples?.[0] ?? found.default ?? found.const ?? found.enum?.[0];
  if (given !== undefined) return given;
  if (depth > DEEPEST) return null;
  const several = found.anyOf ?? found.oneOf ?? found.allOf;
  if (several) return exampleOf(several[0], document_, depth + 1);
  if (found.type === "array") return [exampleOf(found.items, document_, depth + 1)];
  if (found.type === "object" || found.properties) {
    const entries = Object.entries(found.properties ?? {});
    return Object.fromEntries(entries.map(([name, each]) => [name, exampleOf(each, document_, depth + 1)]));
  }
  return { integer: 1, number: 0.5, boolean: true, string: "…" }[found.type] ?? null;
}

function part(title, ...children) {
  return element("section", {}, element("h3", {}, title), ...children);
}

function rows(pairs) {
  const list = element("dl", { className: "rows" });
  for (const [term, ...said] of pairs) list.append(element("dt", {}, term), element("dd", {}, ...said));
  return list;
}

function parameters(operation, document_) {
  const all = (operation.parameters ?? []).map((each) => resolved(each, document_));
  const pairs = all.map((each) => [
    each.name,
    [`${each.in}, ${typeOf(each.schema, document_)}`, each.required ? ", required" : "", each.description ? `. ${each.description}` : ""].join(""),
  ]);
  return pairs.length ? [part("Parameters", rows(pairs))] : [];
}

function contents(content, document_) {
  return Object.entries(content ?? {}).map(([type, media]) => {
    const example = media.example ?? Object.values(media.examples ?? {})[0]?.value ?? exampleOf(media.schema, document_);
    const shown = element("div", {}, element("code", {}, type));
    if (type.includes("json") && example !== null) {
      const pre = element("pre", { tabIndex: 0 }, element("code", {}, JSON.stringify(example, null, 2)));
      pre.setAttribute("role", "region");
      pre.setAttribute("aria-label", `Example of ${type}`);
      shown.append(pre);
    } else if (Object.keys(media.schema ?? {}).length) {
      shown.append(element("span", { className: "small" }, ` ${resolved(media.schema, document_).description ?? typeOf(media.schema, document_)}`));
    }
    return shown;
  });
}

function body(operation, document_) {
  const request = resolved(operation.requestBody, document_);
  return request.content ? [part("Body", ...contents(request.content, document_))] : [];
}

function statuses(operation, document_) {
  const pairs = Object.entries(operation.responses ?? {}).map(([status, response]) => {
    const found = resolved(response, document_);
    return [status, found.description || "", ...(status.startsWith("2") ? contents(found.content, document_) : [])];
  });
  return pairs.length ? [part("Answers", rows(pairs))] : [];
}

function route(path, method, operation, document_) {
  const summary = element(
    "summary",
    {},
    element("span", { className: "method" }, method.toUpperCase()),
    element("span", { className: "path" }, path),
    element("span", { className: "summary" }, operation.summary ?? ""),
  );
  const inside = element("div", { className: "route-body" });
  if (operation.description) inside.append(element("p", { className: "description" }, operation.description));
  inside.append(...parameters(operation, document_), ...body(operation, document_), ...statuses(operation, document_));
  return element("details", { className: "route" }, summary, inside);
}

function groups(document_) {
  const made = new Map();
  for (const [path, item] of Object.entries(document_.paths ?? {})) {
    for (const method of METHODS.filter((each) => item[each])) {
      const tag = item[method].tags?.[0] ?? "Classify";
      made.set(tag, [...(made.get(tag) ?? []), route(path, method, item[method], document_)]);
    }
  }
  return made;
}

async function show() {
  byId("samples").replaceChildren(...samples(await firstModel()).map(sample));
  try {
    const document_ = await ask("/openapi.json");
    const sections = [...groups(document_)].map(([tag, routes]) => element("section", {}, element("h2", {}, tag), ...routes));
    byId("routes").replaceChildren(...sections);
  } catch (error) {
    byId("alert").textContent = error.message;
    byId("alert").hidden = false;
  }
  byId("routes").setAttribute("aria-busy", "false");
}

show();
