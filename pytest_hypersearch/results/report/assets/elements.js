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
