// The state of the page is its address: what is filtered, chosen and sorted, in the part behind "#".

const listeners = [];

function address() {
  return new URLSearchParams(location.hash.slice(1));
}

let parsed = { hash: "", keys: new URLSearchParams() };

/** The address to be read: parsed once, however often it is asked. */
function asking() {
  const { hash } = location;
  if (parsed.hash !== hash) parsed = { hash, keys: address() };
  return parsed.keys;
}

/** The value of a key, or what holds without it. */
function asked(key, otherwise = "") {
  return asking().get(key) ?? otherwise;
}

function askedAll(key) {
  return asking().getAll(key);
}

/** Changes keys: text, a list of texts, or null to drop the key. Back takes a change back. */
function go(changes) {
  const next = address();
  for (const [key, value] of Object.entries(changes)) {
    next.delete(key);
    for (const one of value === null ? [] : [value].flat()) next.append(key, one);
  }
  if (!["page", "trial", "theme", "sel", "before", "now", "rows"].some((key) => key in changes)) next.delete("page");
  if (String(next) === String(address())) return;
  history.pushState(null, "", `#${next}`);
  for (const listener of listeners) listener();
}

/** The bounds "low..high" that a key holds, null without any. */
function bounds(key) {
  const text = asked(key);
  if (!text.includes("..")) return null;
  const [low, high] = text.split("..").map((part) => (part === "" ? null : Number(part)));
  return { low: low ?? -Infinity, high: high ?? Infinity };
}

window.addEventListener("hashchange", () => listeners.forEach((listener) => listener()));
