// Trials one by one: the table, the details of one, and several side by side.

const PAGE = 25;
const MOST_COMPARED = 8;

function stateText(study, i) {
  return study.trials.state[i] + (isInfeasible(study, i) ? ", infeasible" : "");
}

function stateOf(study, i) {
  const state = study.trials.state[i];
  const kind = ENDED_BADLY.has(state) ? "bad" : state.replace(/\W/g, "-");
  return element("span", { class: `state ${kind}` }, stateText(study, i));
}

/** The columns of the table: a name, what a row shows, and what it is sorted by. */
function columnsOf(study) {
  const { trials } = study;
  const column = (key, title, values, show, number = true) => ({
    key,
    title,
    values,
    show,
    number,
  });
  return [
    column("trial", "Trial", study.all, (i) => study.ids[i], false),
    column("state", "State", trials.state, (i) => stateOf(study, i), false),
    ...study.metrics
      .slice(0, 8)
      .map((one) =>
        column(`m.${one.name}`, one.name, one.values, (i, write) => write(one.values[i])),
      ),
    ...study.parameters.map((one) =>
      column(`p.${one.name}`, one.name, one.values, (i) => shownParameter(one, i), !one.labels),
    ),
    column("duration", "Time", trials.duration, (i) => shownTime(trials.duration[i])),
    ...(trials.worker.some(Boolean)
      ? [column("worker", "Worker", trials.worker, (i) => trials.worker[i], false)]
      : []),
  ];
}

/** Rows in the order of a column: numbers, then words such as nan, then those without a value. */
function sortedRows(rows, values, down) {
  const sign = down ? -1 : 1;
  const kind = (value) => (value === null || value === undefined ? 2 : Number(typeof value !== "number"));
  return [...rows].sort((a, b) => {
    const [one, other] = [values[a], values[b]];
    const apart = kind(one) - kind(other);
    return apart || (one < other ? -sign : one > other ? sign : 0) || a - b;
  });
}

function selection(study) {
  return askedAll("sel")
    .map((id) => study.place.get(id))
    .filter((i) => i !== undefined)
    .slice(0, MOST_COMPARED);
}

function toggle(study, i) {
  const chosen = askedAll("sel").filter((id) => study.place.has(id));
  const id = study.ids[i];
  go({
    sel: chosen.includes(id)
      ? chosen.filter((one) => one !== id)
      : [...chosen, id].slice(0, MOST_COMPARED),
  });
}

class Table {
  constructor(study) {
    this.study = study;
    this.columns = columnsOf(study);
    this.heads = this.columns.map((column) =>
      element(
        "th",
        { scope: "col", class: column.number ? "number" : "" },
        element("button", { type: "button", onclick: () => this.sort(column) }, column.title),
      ),
    );
    this.body = element("tbody");
    this.at = element("span");
    const turn = (by, text) =>
      element(
        "button",
        { type: "button", onclick: () => go({ page: String(this.page + by) }) },
        text,
      );
    this.back = turn(-1, "Previous");
    this.next = turn(1, "Next");
    byId("trials").replaceChildren(
      element(
        "div",
        { class: "head" },
        element("h2", { id: "trials-title" }, "Trials"),
        element("p", { class: "quiet" }, "Tick trials to compare them side by side"),
      ),
      element(
        "div",
        { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of trials" },
        element(
          "table",
          {},
          element("thead", {}, element("tr", {}, element("td", {}), this.heads)),
          this.body,
        ),
      ),
      element("div", { class: "pager" }, this.at, this.back, this.next),
    );
  }

  order() {
    const asking = asked("sort", this.study.metrics.length ? this.defaultSort() : "trial");
    const down = asking.startsWith("-");
    const column =
      this.columns.find((one) => one.key === (down ? asking.slice(1) : asking)) ?? this.columns[0];
    return { column, down };
  }

  defaultSort() {
    const metric = theMetric(this.study);
    return `${metric.mode === "max" ? "-" : ""}m.${metric.name}`;
  }

  sort(column) {
    const now = this.order();
    go({ sort: now.column === column && !now.down ? `-${column.key}` : column.key });
  }

  sync(rows) {
    const { column, down } = this.order();
    this.columns.forEach((one, k) => {
      if (one === column)
        this.heads[k].setAttribute("aria-sort", down ? "descending" : "ascending");
      else this.heads[k].removeAttribute("aria-sort");
    });
    const pages = Math.max(1, Math.ceil(rows.length / PAGE));
    this.page = Math.min(pages, Math.max(1, Number(asked("page", "1")) || 1));
    const ordered = sortedRows(rows, column.values, down);
    const broken = (i) => isInfeasible(this.study, i);
    // unless asked for, no infeasible trial comes first
    const ranking = asked("sort")
      ? ordered
      : [...ordered.filter((i) => !broken(i)), ...ordered.filter(broken)];
    const sorted = ranking.slice(
      (this.page - 1) * PAGE,
      this.page * PAGE,
    );
    const chosen = new Set(selection(this.study));
    const best = new Set(this.study.best?.trials ?? []);
    this.writers = this.columns.map((one) =>
      one.number ? aligned(sorted.map((i) => one.values[i])) : null,
    );
    this.body.replaceChildren(...sorted.map((i) => this.row(i, chosen, best)));
    const first = (this.page - 1) * PAGE + 1;
    this.at.textContent = rows.length
      ? `${first}–${first + sorted.length - 1} of ${rows.length.toLocaleString("en")}`
      : "No trial passes the filters";
    this.back.disabled = this.page === 1;
    this.next.disabled = this.page === pages;
  }

  row(i, chosen, best) {
    const id = this.study.ids[i];
    const box = element("input", {
      type: "checkbox",
      "aria-label": `Compare ${id}`,
      onchange: () => toggle(this.study, i),
    });
    box.checked = chosen.has(i);
    box.disabled = !box.checked && chosen.size >= MOST_COMPARED;
    return element(
      "tr",
      { class: best.has(i) ? "best" : "" },
      element("td", {}, box),
      this.columns.map((column, k) => {
        if (column.key === "trial") {
          return element(
            "th",
            { scope: "row" },
            element(
              "button",
              { type: "button", class: "plain", onclick: () => go({ trial: id }) },
              id,
            ),
          );
        }
        const content = column.show(i, this.writers[k]);
        return element(
          "td",
          {
            class: column.number ? "number" : "",
            title: typeof content === "string" ? content : "",
          },
          content,
        );
      }),
    );
  }
}

/** Links to the files that a trial saved. */
function artifacts({ at, files, more }) {
  const link = (file) =>
    element("a", { href: `${at}/${file}`, target: "_blank", rel: "noopener" }, decoded(file));
  return element(
    "ul",
    { class: "artifacts" },
    files.map((file) => element("li", {}, link(file))),
    more ? element("li", {}, `and ${more} more`) : null,
  );
}

/** An encoded path as it is read; names that are no text stay encoded. */
function decoded(path) {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function listed(pairs) {
  return element(
    "dl",
    {},
    pairs.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]),
  );
}

/** Shows the details of the trial that the address names. */
function showDetail(study) {
  const dialog = byId("detail");
  const i = study.place.get(asked("trial"));
  if (i === undefined) {
    if (dialog.open) dialog.close();
    return;
  }
  const close = element("button", { type: "button", onclick: () => dialog.close() }, "Close");
  const chosen = selection(study).includes(i);
  const compare = element(
    "button",
    {
      type: "button",
      class: "main",
      onclick: () => {
        toggle(study, i);
      },
    },
    chosen ? "Remove from comparison" : "Compare",
  );
  dialog.replaceChildren(
    element(
      "div",
      { class: "head" },
      element("h2", { id: "detail-title" }, study.ids[i]),
      compare,
      close,
    ),
    ...details(study, i),
  );
  if (!dialog.open) dialog.showModal();
}

function details(study, i) {
  const { trials } = study;
  const when =
    trials.started[i] === null
      ? []
      : [["started", new Date(trials.started[i] * 1000).toLocaleString()]];
  const facts = [
    ["state", stateOf(study, i)],
    ...(trials.reason[i] ? [["reason", trials.reason[i]]] : []),
    ["test", trials.nodeid[i]],
    ["time", shownTime(trials.duration[i])],
    ...when,
    ["seed", String(trials.seed[i])],
    ["attempt", String(trials.attempt[i])],
    ...(trials.worker[i] ? [["worker", trials.worker[i]]] : []),
    ...(trials.cached[i] ? [["replayed", "from the store"]] : []),
  ];
  const metrics = study.metrics
    .filter((one) => one.values[i] !== null)
    .map((one) => [one.name, shown(one.values[i], 6) + (one.mode ? ` (${BETTER[one.mode]})` : "")]);
  const logged = Object.entries(trials.logged[i]).map(([name, value]) => [name, shown(value, 6)]);
  const part = (title, content) => [element("h3", {}, title), content];
  return [
    listed(facts),
    ...(metrics.length ? part("Metrics", listed(metrics)) : []),
    ...part("Parameters", listed(configuration(study, i))),
    ...(logged.length ? part("Logged", listed(logged)) : []),
    ...(trials.artifacts[i] ? part("Artifacts", artifacts(trials.artifacts[i])) : []),
    ...(trials.error[i] ? part("Error", element("pre", { tabindex: "0" }, trials.error[i])) : []),
    ...part(
      "Run it again",
      element("pre", {}, `pytest ${JSON.stringify(trials.nodeid[i])} --sweep-rerun`),
    ),
  ];
}

/** Shows the chosen trials side by side; the first is what the others are compared with. */
function showComparison(study) {
  const home = byId("comparison");
  const chosen = selection(study);
  home.hidden = chosen.length === 0;
  if (!chosen.length) return;
  const head = element(
    "tr",
    {},
    element("td", {}),
    chosen.map((i, k) =>
      element(
        "th",
        { scope: "col" },
        element(
          "button",
          { type: "button", onclick: () => go({ trial: study.ids[i] }) },
          study.ids[i],
        ),
        k ? "" : element("span", { class: "baseline" }, " baseline"),
      ),
    ),
  );
  const group = (title) =>
    element(
      "tr",
      { class: "group" },
      element("th", { scope: "colgroup", colspan: String(chosen.length + 1) }, title),
    );
  const parameters = study.parameters.map((one) => parameterRow(one, chosen));
  const metrics = study.metrics.map((one) => metricRow(one, chosen));
  home.replaceChildren(
    element(
      "div",
      { class: "head" },
      element("h2", { id: "comparison-title" }, "Side by side"),
      element("button", { type: "button", onclick: () => go({ sel: null }) }, "Clear"),
    ),
    element(
      "p",
      { class: "caption" },
      chosen.length < 2
        ? "Tick another trial to compare."
        : "Differences from the first trial are bold.",
    ),
    element(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "Comparison of trials" },
      element(
        "table",
        {},
        element("thead", {}, head),
        element("tbody", {}, group("Metrics"), metrics, group("Parameters"), parameters),
      ),
    ),
  );
}

function parameterRow(parameter, chosen) {
  const texts = chosen.map((i) => shownParameter(parameter, i));
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, parameter.name),
    texts.map((text) => element("td", { class: text === texts[0] ? "" : "differs" }, text)),
  );
}

function metricRow(metric, chosen) {
  const [first] = chosen.map((i) => metric.values[i]);
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, metric.name),
    chosen.map((i, k) => {
      const value = metric.values[i];
      const cell = element("td", {}, shown(value, 5));
      if (k && typeof value === "number" && typeof first === "number" && value !== first) {
        const word = metric.mode ? (isBetter(metric.mode, value, first) ? "better" : "worse") : "";
        const change = `${value > first ? "+" : "−"}${shown(Math.abs(value - first), 3)}`;
        cell.append(element("span", { class: `differs ${word}` }, ` ${change} ${word}`));
      }
      return cell;
    }),
  );
}
