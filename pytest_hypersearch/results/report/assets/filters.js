// Filters: which trials all views show. They are read from the address and written to it.

/** The rows that pass all filters. */
function visible(study) {
  const states = new Set(askedAll("state"));
  const sweeps = new Set(askedAll("sweep"));
  const tests = [];
  if (states.size) tests.push((i) => states.has(study.trials.state[i]));
  const tags = new Set(askedAll("tag"));
  if (tags.size) tests.push((i) => study.trials.tags[i].some((tag) => tags.has(tag)));
  if (sweeps.size) tests.push((i) => sweeps.has(study.sweeps[study.trials.sweep[i]].name));
  for (const [prefix, columns] of [
    ["in.", study.parameters],
    ["of.", study.metrics],
  ]) {
    for (const { name, values } of columns) {
      const range = bounds(prefix + name);
      if (range)
        tests.push((i) => values[i] !== null && values[i] >= range.low && values[i] <= range.high);
    }
  }
  for (const { name, values, labels } of study.parameters) {
    const chosen = new Set(askedAll(`is.${name}`));
    if (chosen.size && labels)
      tests.push((i) => values[i] !== null && chosen.has(labels[values[i]]));
  }
  return tests.length ? study.all.filter((i) => tests.every((test) => test(i))) : study.all;
}

/** Checkboxes of which none in the address means all; of those with counts only those that occur. */
function chips(legend, key, names, counts) {
  const boxes = names.map((name) =>
    element("input", { type: "checkbox", value: name, onchange: change }),
  );
  function change() {
    const on = boxes.filter((box) => box.checked).map((box) => box.value);
    go({ [key]: on.length === names.length || !on.length ? null : on });
  }
  const tallies = names.map(() => element("span", { class: "count" }));
  const labels = boxes.map((box, k) =>
    element(
      "label",
      { class: "chip" },
      box,
      element("span", { title: names[k] }, names[k]),
      counts ? tallies[k] : null,
    ),
  );
  const node = element("fieldset", {}, element("legend", {}, legend), labels);
  const sync = () => {
    const on = new Set(askedAll(key));
    const known = counts?.();
    boxes.forEach((box, k) => {
      box.checked = !on.size || on.has(box.value);
      if (!known) return;
      const count = known.get(names[k]) ?? 0;
      tallies[k].textContent = count.toLocaleString("en");
      labels[k].hidden = !count && !on.has(names[k]);
    });
  };
  sync();
  return { node, sync };
}

/** Two inputs for the bounds of a column, and a button that takes the condition away. */
function range(key, name) {
  const wrong = element("span", { class: "wrong", role: "alert" });
  const inputs = ["lowest", "highest"].map((label) =>
    element("input", {
      type: "text",
      inputmode: "decimal",
      "aria-label": `${name}, ${label}`,
      "data-key": `${key} ${label}`,
      placeholder: label,
      onchange: change,
    }),
  );
  function change() {
    const texts = inputs.map((one) => one.value.trim());
    wrong.textContent = wrongBounds(...texts);
    for (const one of inputs) one.setAttribute("aria-invalid", String(wrong.textContent !== ""));
    const bounds = texts.some(Boolean) ? texts.join("..") : null;
    if (!wrong.textContent)
      go({
        [key]: bounds,
        show: [...askedAll("show").filter((one) => one !== key), ...(bounds ? [] : [key])],
      });
  }
  let last = null; // what is being typed stays until the address changes
  const sync = () => {
    if (asked(key) === last) return;
    last = asked(key);
    const texts = last.split("..");
    inputs.forEach((one, k) => {
      one.value = texts[k] ?? "";
      one.setAttribute("aria-invalid", "false");
    });
    wrong.textContent = "";
  };
  sync();
  const [low, high] = inputs;
  const legend = element("legend", {}, name);
  const parts = [legend, low, "–", high, remover(key, name), wrong];
  return { node: element("fieldset", { class: "condition" }, parts), sync };
}

/** What is wrong with the bounds of a filter, empty if nothing is. */
function wrongBounds(low, high) {
  const bad = [low, high].find((text) => text && !Number.isFinite(Number(text)));
  if (bad) return `${bad}: expected a number`;
  return low && high && Number(low) > Number(high) ? `${low} is above ${high}` : "";
}

function options(key, parameter) {
  const { node, sync } = chips(parameter.name, key, parameter.labels);
  node.classList.add("condition");
  node.append(remover(key, parameter.name));
  return { node, sync };
}

function remover(key, name) {
  const forget = () => go({ [key]: null, show: askedAll("show").filter((one) => one !== key) });
  const label = { "aria-label": `Remove the filter on ${name}` };
  return button("✕", forget, { class: "plain", ...label });
}

/** Whether a key of the address holds a condition on trials. */
function isFilter(key) {
  return /^(state|sweep|tag|show)$|^(in|is|of)\./.test(key);
}

class Filters {
  constructor(study) {
    this.study = study;
    this.home = byId("filters");
    this.shown = element("p", { class: "count-shown", role: "status" });
    const { sweeps } = study;
    const counts = () => this.study.states;
    this.fixed = [
      chips("State", "state", STATES, counts),
      ...(sweeps.length > 1
        ? [
            chips(
              "Strategy",
              "sweep",
              sweeps.map((one) => one.name),
            ),
          ]
        : []),
      ...(this.study.tagNames.length ? [severalChoice("Tags", "tag", this.study.tagNames, "all")] : []),
      this.metric(),
      choice("Axis", "scale", named(["auto", "linear", "log"]), "auto"),
    ];
    this.conditions = new Map();
    this.more = element("select", {
      "aria-label": "Filter by",
      "data-rest": true,
      onchange: () => this.add(),
    });
    this.more.append(
      element("option", { value: "" }, "Filter by…"),
      ...this.keys().map(([key, name]) => element("option", { value: key }, name)),
    );
    this.reset = button("Reset", () => this.clear(), { class: "plain" });
    this.home.replaceChildren(
      this.shown,
      ...this.fixed.map((one) => one.node),
      this.more,
      this.reset,
    );
  }

  metric() {
    const names = this.study.metrics.map((one) => one.name);
    return choice("Metric", "metric", named(names), names[0]);
  }

  keys() {
    return [
      ...this.study.parameters.map((one) => [
        one.labels ? `is.${one.name}` : `in.${one.name}`,
        one.name,
      ]),
      ...this.study.metrics.map((one) => [`of.${one.name}`, one.name]),
    ];
  }

  add() {
    const key = this.more.value;
    this.more.value = "";
    go({ show: [...new Set([...askedAll("show"), key])] });
    this.conditions.get(key)?.node.querySelector("input")?.focus();
  }

  clear() {
    const keys = [...address().keys()].filter(isFilter);
    go(Object.fromEntries(keys.map((key) => [key, null])));
  }

  sync(rows) {
    const keys = asking();
    this.reset.hidden = ![...keys.keys()].some(isFilter);
    this.fixed.forEach((one) => one.sync());
    for (const [key, name] of this.keys()) {
      const wanted = keys.has(key) || askedAll("show").includes(key);
      if (wanted && !this.conditions.has(key)) {
        const parameter = this.study.parameter.get(name);
        const condition = key.startsWith("is.") ? options(key, parameter) : range(key, name);
        this.conditions.set(key, condition);
        this.more.before(condition.node);
      } else if (!wanted && this.conditions.has(key)) {
        this.conditions.get(key).node.remove();
        this.conditions.delete(key);
      } else this.conditions.get(key)?.sync();
    }
    this.shown.textContent =
      rows.length === this.study.size
        ? plural(rows.length, "trial")
        : `${rows.length.toLocaleString("en")} of ${plural(this.study.size, "trial")}`;
  }
}
