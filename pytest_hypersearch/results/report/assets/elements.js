// Elements of the page. Whatever users wrote becomes text, never markup.

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null) made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child !== null));
  return made;
}

function byId(id) {
  return document.getElementById(id);
}

/** A select with a label; its value is what the address holds for a key. */
function choice(label, key, options, otherwise) {
  const select = element(
    "select",
    { onchange: () => go({ [key]: select.value === otherwise ? null : select.value }) },
    options.map(([value, text]) => element("option", { value }, text)),
  );
  const sync = () => {
    const value = asked(key, otherwise);
    select.value = options.some(([one]) => one === value) ? value : otherwise;
  };
  sync();
  return { node: element("label", { class: "field" }, label, select), sync };
}

function named(names) {
  return names.map((name) => [name, name]);
}

/** A menu of names to tick, and what holds without any. */
function severalChoice(label, key, names, otherwise = "automatic") {
  const boxes = names.map((name) =>
    element("input", { type: "checkbox", value: name, onchange: change }),
  );
  function change() {
    const on = boxes.filter((box) => box.checked).map((box) => box.value);
    go({ [key]: on.length ? on : null });
  }
  const count = element("summary");
  const node = closing(
    count,
    element(
      "div",
      { role: "group", "aria-label": label },
      boxes.map((box) => element("label", {}, box, element("span", {}, box.value))),
      button(capital(otherwise), () => go({ [key]: null })),
    ),
  );
  const sync = () => {
    const on = new Set(askedAll(key));
    for (const box of boxes) box.checked = on.has(box.value);
    count.textContent = `${label}: ${on.size || otherwise}`;
  };
  sync();
  return { node, sync };
}

/** A menu of actions behind a word. */
function menu(label, name, actions) {
  const buttons = Object.entries(actions).map(([text, act]) => button(text, act));
  const attributes = { role: "group", "aria-label": name };
  return closing(element("summary", {}, label), element("div", attributes, buttons));
}

/** Details that close when the focus leaves them, and on Escape. */
function closing(summary, content) {
  const leave = () => {
    if (node.contains(document.activeElement)) summary.focus();
    node.open = false;
  };
  const node = element(
    "details",
    {
      class: "menu",
      onkeydown: (event) => event.key === "Escape" && leave(),
      onfocusout: ({ relatedTarget }) => relatedTarget && !node.contains(relatedTarget) && leave(),
    },
    summary,
    content,
  );
  return node;
}

/** Lets the browser save a file that the page made. */
function saved(name, content, type) {
  const href = type ? URL.createObjectURL(new Blob([content], { type })) : content;
  element("a", { href, download: name }).click();
}

/** A button that copies a text, and says so. */
function copier(label, text) {
  const copy = async () => {
    await navigator.clipboard.writeText(text());
    node.textContent = "Copied";
    setTimeout(() => (node.textContent = label), 1500);
  };
  const node = button(label, copy, { "data-key": label });
  return node;
}

function button(text, onclick, attributes = {}) {
  return element("button", { type: "button", onclick, ...attributes }, text);
}

/** A table that can be scrolled by keyboard. */
function scrolled(label, ...content) {
  const region = { class: "scroll", tabindex: "0", role: "region", "aria-label": label };
  return element("div", region, element("table", {}, ...content));
}

/** Whether an element can be seen, told without a layout of the page. */
function isShown(node) {
  const folded = node.closest("details:not([open])");
  return (
    node.isConnected &&
    !node.closest("[hidden], dialog:not([open])") &&
    (!folded || folded.querySelector("summary").contains(node))
  );
}

/** Where the focus is: an element, or what has taken its place after its part was built anew. */
function focusPlace(active = document.activeElement) {
  const home = active?.closest("section, dialog");
  const { key } = active?.dataset ?? {};
  return () => {
    if (active && isShown(active) && !active.disabled) return active;
    const twin = key && home.querySelector(`[data-key="${CSS.escape(key)}"]:not(:disabled)`);
    if (twin?.matches("input[type=text]")) twin.value = active.value;
    return (
      twin || (home && isShown(home) && home.querySelector("[data-rest]")) || byId("trials-title")
    );
  };
}

/** Does what may take the focused element away, and keeps the focus near it. */
function keepingFocus(work) {
  const had = document.activeElement !== document.body;
  const place = focusPlace();
  work();
  const target = place();
  if (had && target !== document.activeElement) target.focus();
}
