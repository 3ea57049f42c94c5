// Filters: which trials all views show. They are read from the address and written to it.

/** The rows that pass all filters. */
function visible(study) {
  const states = new Set(askedAll("state"));
  const sweeps = new Set(askedAll("sweep"));
  const tests = [];
  if (states.size) tests.push((i) => states.has(study.trials.state[i]));
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

/** Checkboxes of which none in the address means all. */
function chips(legend, key, names, counts) {
  const boxes = names.map((name) =>
    element("input", { type: "checkbox", value: name, onchange: change }),
  );
  function change() {
    const on = boxes.filter((box) => box.checked).map((box) => box.value);
    go({ [key]: on.length === names.length || !on.length ? null : on });
  }
  const node = element(
    "fieldset",
    {},
    element("legend", {}, legend),
    boxes.map((box, k) =>
      element(
        "label",
        { class: "chip" },
        box,
        element("span", { title: names[k] }, names[k]),
        counts ? element("span", { class: "count" }, String(counts[k])) : null,
      ),
    ),
  );
  const sync = () => {
    const on = new Set(askedAll(key));
    for (const box of boxes) box.checked = !on.size || on.has(box.value);
  };
  sync();
  return { node, sync };
}

/** Two inputs for the bounds of a column, and a button that takes the condition away. */
function range(key, name) {
  const input = (label) =>
    element("input", {
      type: "text",
      inputmode: "decimal",
      "aria-label": `${name}, ${label}`,
      placeholder: label,
      onchange: change,
    });
  const [low, high] = [input("lowest"), input("highest")];
  function change() {
    const texts = [low, high].map((one) =>
      one.value.trim() && Number.isFinite(Number(one.value)) ? one.value.trim() : "",
    );
    go({ [key]: boundsText(...texts), show: askedAll("show").filter((one) => one !== key) });
  }
  const sync = () => {
    const [from = "", to = ""] = asked(key).split("..");
    [low.value, high.value] = [from, to];
  };
  sync();
  return {
    node: element(
      "fieldset",
      { class: "condition" },
      element("legend", {}, name),
      low,
      "–",
      high,
      remover(key, name),
    ),
    sync,
  };
}

function options(key, parameter) {
  const { node, sync } = chips(parameter.name, key, parameter.labels);
  node.classList.add("condition");
  node.append(remover(key, parameter.name));
  return { node, sync };
}

function remover(key, name) {
  const forget = () => go({ [key]: null, show: askedAll("show").filter((one) => one !== key) });
  return element(
    "button",
    {
      type: "button",
      class: "plain",
      "aria-label": `Remove the filter on ${name}`,
      onclick: forget,
    },
    "✕",
  );
}

/** What is chosen, not filtered. */
const KEPT = new Set([
  "study",
  "metric",
  "scale",
  "sel",
  "sort",
  "page",
  "trial",
  "method",
  "cx",
  "cy",
  "by",
  "stat",
  "bars",
  "series",
  "mx",
  "my",
]);

class Filters {
  constructor(study) {
    this.study = study;
    this.home = byId("filters");
    this.shown = element("p", { class: "count-shown", role: "status" });
    const count = (name) => study.trials.state.filter((state) => state === name).length;
    this.fixed = [
      chips("State", "state", study.states, study.states.map(count)),
      ...(study.sweeps.length > 1
        ? [
            chips(
              "Strategy",
              "sweep",
              study.sweeps.map((one) => one.name),
            ),
          ]
        : []),
      this.metric(),
      choice("Axis", "scale", named(["auto", "linear", "log"]), "auto"),
    ];
    this.conditions = new Map();
    this.more = element("select", { "aria-label": "Filter by", onchange: () => this.add() });
    this.more.append(
      element("option", { value: "" }, "Filter by…"),
      ...this.keys().map(([key, name]) => element("option", { value: key }, name)),
    );
    this.reset = element(
      "button",
      { type: "button", class: "plain", onclick: () => this.clear() },
      "Reset",
    );
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
    go(
      Object.fromEntries(
        [...address().keys()].filter((key) => !KEPT.has(key)).map((key) => [key, null]),
      ),
    );
  }

  sync(rows) {
    const asking = address();
    this.reset.hidden = ![...asking.keys()].some((key) => !KEPT.has(key));
    this.fixed.forEach((one) => one.sync());
    for (const [key, name] of this.keys()) {
      const wanted = asking.has(key) || askedAll("show").includes(key);
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
