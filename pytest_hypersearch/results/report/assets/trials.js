// Configurations and their trials one by one: the table, the details, and several side by side.

const PAGE = 10;
const MOST_COMPARED = 8;
const VERDICTS = ["best", "best of its sweep", "not significantly worse", "worse", "raced out"];

function stateOf(study, i) {
  const state = study.trials.state[i];
  const kind = ENDED_BADLY.has(state) ? "bad" : state.replace(/\W/g, "-");
  return element("span", { class: `state ${kind}` }, stateText(study, i));
}

/** How many trials of a configuration ended how: "2 complete, 1 failed". */
function statesText(study, one) {
  const counts = grouped(one.rows, (i) => study.trials.state[i]);
  const texts = STATES.filter((state) => counts.has(state)).map(
    (state) => `${counts.get(state).length} ${state}`,
  );
  return [...texts, ...(one.feasible === false ? ["infeasible"] : [])].join(", ");
}

/** What stands for a row: a configuration, or its only trial. */
function nameOf(study, one) {
  return one.rows.length > 1 ? one.id : study.ids[one.rows[0]];
}

/** A configuration's mean of a metric; of one that did not complete what its only trial has. */
function meanOf(one, metric) {
  return one.means?.[metric.name] ?? (one.rows.length > 1 ? null : metric.values[one.rows[0]]);
}

/** The columns of the table: of a configuration a value to sort by and a cell, of a trial a cell. */
function columnsOf(study) {
  const { trials, configurations } = study;
  const column = (key, title, value, cell, seed, number = true) => ({
    key,
    title,
    values: configurations.map(value),
    cell,
    seed,
    number,
  });
  const time = (rows) => rows.reduce((sum, i) => sum + trials.duration[i], 0);
  return [
    column(
      "state",
      "Trials",
      (one) => one.trials?.length ?? 0,
      (one) => (one.rows.length > 1 ? statesText(study, one) : stateOf(study, one.rows[0])),
      (i) => stateOf(study, i),
      false,
    ),
    ...(configurations.some((one) => one.verdict)
      ? [
          column(
            "verdict",
            "Against the best",
            (one) => (one.verdict ? VERDICTS.indexOf(one.verdict) : null),
            (one) => one.verdict ?? "",
            () => "",
            false,
          ),
        ]
      : []),
    ...study.metrics.map((metric) =>
      column(
        `m.${metric.name}`,
        metric.name,
        (one) => meanOf(one, metric),
        (one, write) => spreadText(meanOf(one, metric), one.stds?.[metric.name], write),
        (i, write) => write(metric.values[i]),
      ),
    ),
    ...study.parameters.map((one) =>
      column(
        `p.${one.name}`,
        one.name,
        ({ rows }) => one.values[rows[0]],
        ({ rows }) => shownParameter(one, rows[0]),
        () => "",
        !one.labels,
      ),
    ),
    ...(study.tagged
      ? [
          column(
            "tags",
            "Tags",
            (one) => tagsOf(study, one.rows).join(", ") || null,
            (one) => annotationCell(study, one),
            (i) => annotationCell(study, { rows: [i] }),
            false,
          ),
        ]
      : []),
    column(
      "duration",
      "Time",
      ({ rows }) => time(rows),
      ({ rows }) => shownTime(time(rows)),
      (i) => shownTime(trials.duration[i]),
    ),
  ];
}

/** Items in the order of their values: numbers, then words such as nan, then those without any. */
function sortedBy(items, values, down = false) {
  const sign = down ? -1 : 1;
  const kind = (value) =>
    value === null || value === undefined ? 2 : Number(typeof value !== "number");
  return items.toSorted((a, b) => {
    const [one, other] = [values[a], values[b]];
    const apart = kind(one) - kind(other);
    return apart || (one < other ? -sign : one > other ? sign : 0) || a - b;
  });
}

/** The chosen configurations and trials. */
function chosenItems(study) {
  return askedAll("sel")
    .map((id) => study.items.get(id))
    .filter(Boolean)
    .slice(0, MOST_COMPARED);
}

/** The trials that are chosen, on their own or with their configurations. */
function selection(study) {
  return chosenItems(study).flatMap((one) => one.rows);
}

function toggle(study, id) {
  const chosen = chosenItems(study).map((one) => one.id);
  const others = chosen.filter((one) => one !== id);
  go({ sel: others.length < chosen.length ? others : [...chosen, id].slice(0, MOST_COMPARED) });
}

const SAVED = ["number", "replicate", "state", "feasible", "seed", "duration", "reason"];

/** What is saved in a format: the text and its type. */
const FORMATS = {
  json: (records) => [JSON.stringify(records, null, 1), "application/json"],
  csv: (records) => {
    const names = Object.keys(records[0] ?? {});
    const lines = records.map((one) => names.map((name) => cellOf(one[name])));
    return [[names.map(cellOf), ...lines].map((line) => line.join(",")).join("\n"), "text/csv"];
  },
};

/** A cell of a CSV file; texts that a spreadsheet would take for formulas get a leading quote. */
function cellOf(value) {
  if (typeof value !== "string") return value === null ? "" : String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

class Table {
  constructor(study) {
    this.unfolded = new Set();
    this.head = element("tr");
    this.body = element("tbody");
    this.at = element("span", { role: "status" });
    this.tools = element("div", { class: "controls" });
    const turn = (by, text) => button(text, () => go({ page: String(this.page + by) }));
    this.back = turn(-1, "Previous");
    this.next = turn(1, "Next");
    byId("trials").replaceChildren(
      element(
        "div",
        { class: "head" },
        element("h2", { id: "trials-title", tabindex: "-1", "data-rest": true }, "Configurations"),
        this.tools,
      ),
      element(
        "p",
        { class: "caption" },
        "Best first, by the rule of the sweep. Tick some to compare them side by side.",
      ),
      scrolled("Table of configurations", element("thead", {}, this.head), this.body),
      element("div", { class: "pager" }, this.at, this.back, this.next),
    );
    this.take(study);
  }

  /** Takes over newer data. */
  take(study) {
    this.study = study;
    this.columns = columnsOf(study);
    const names = this.columns.map((one) => one.title);
    this.chooser = severalChoice("Columns", "columns", names);
    const save = (format) => () => saved(`trials.${format}`, ...FORMATS[format](this.records()));
    const formats = { CSV: save("csv"), JSON: save("json") };
    this.tools.replaceChildren(this.chooser.node, menu("Save", "Save these trials", formats));
    this.drawn = this.inOrder = null;
  }

  order() {
    const asking = asked("sort");
    const down = asking.startsWith("-");
    const key = down ? asking.slice(1) : asking;
    return { column: this.columns.find((one) => one.key === key), down };
  }

  sort(column) {
    const now = this.order();
    go({ sort: now.column === column && !now.down ? `-${column.key}` : column.key });
  }

  /** The configurations in sight, in the order that is asked for. */
  ordered(rows) {
    const inSight = new Uint8Array(this.study.configurations.length);
    for (const i of rows) inSight[this.study.of[i].rank] = 1;
    return this.sorted().filter((one) => inSight[one.rank]);
  }

  /** All configurations in the order that is asked for, sorted once. */
  sorted() {
    const { column, down } = this.order();
    if (!column) return this.study.configurations;
    const key = `${down} ${column.key}`;
    if (this.inOrder?.key !== key) {
      const { configurations } = this.study;
      const ranks = sortedBy([...configurations.keys()], column.values, down);
      this.inOrder = { key, configurations: ranks.map((rank) => configurations[rank]) };
    }
    return this.inOrder.configurations;
  }

  /** The trials that pass the filters, in the order of the table, as they are saved. */
  records() {
    const { study } = this;
    const inSight = maskOf(study, this.rows);
    return this.ordered(this.rows)
      .flatMap((one) => one.rows.filter((i) => inSight[i]))
      .map((i) => ({
        test: study.nodeid,
        sweep: study.sweeps[study.trials.sweep[i]].name,
        ...Object.fromEntries(SAVED.map((name) => [name, study.trials[name][i]])),
        verdict: study.of[i].verdict ?? null,
        tags: study.trials.tags[i].join(", "),
        note: study.trials.note[i],
        ...Object.fromEntries(study.metrics.map((one) => [`metrics.${one.name}`, one.values[i]])),
        ...Object.fromEntries(
          study.parameters.map((one) => [`params.${one.name}`, rawParameter(one, i)]),
        ),
      }));
  }

  /** The columns that are chosen, all without a choice. */
  shownColumns() {
    const chosen = new Set(askedAll("columns"));
    return this.columns.filter((one) => !chosen.size || chosen.has(one.title));
  }

  sync(rows) {
    this.chooser.sync();
    this.rows = rows;
    const state = JSON.stringify([
      asked("sort"),
      asked("page"),
      askedAll("sel"),
      askedAll("columns"),
      [...this.unfolded],
    ]);
    if (this.drawn?.rows === rows && this.drawn.state === state) return;
    this.drawn = { rows, state };
    const columns = this.shownColumns();
    this.head.replaceChildren(
      element("td"),
      element(
        "th",
        { scope: "col" },
        button("Configuration", () => go({ sort: null }), { "data-key": "sort" }),
      ),
      ...columns.map((column) => this.title(column)),
    );
    const ordered = this.ordered(rows);
    const pages = Math.max(1, Math.ceil(ordered.length / PAGE));
    this.page = Math.min(pages, Math.max(1, Number(asked("page", "1")) || 1));
    const first = (this.page - 1) * PAGE;
    const onPage = ordered.slice(first, first + PAGE);
    const inSight = maskOf(this.study, rows);
    const chosen = new Set(chosenItems(this.study).map((one) => one.id));
    const writers = columns.map((one) =>
      one.number ? aligned(onPage.map(({ rank }) => one.values[rank])) : null,
    );
    this.body.replaceChildren(
      ...onPage.flatMap((one) => [
        this.row(one, columns, writers, chosen),
        ...(this.unfolded.has(one.id) && one.rows.length > 1
          ? one.rows
              .filter((i) => inSight[i])
              .map((i) => this.seed(i, columns, writers, chosen))
          : []),
      ]),
    );
    this.at.textContent = ordered.length
      ? `${first + 1}–${first + onPage.length} of ${ordered.length.toLocaleString("en")}`
      : "No trial passes the filters";
    this.back.disabled = this.page === 1;
    this.next.disabled = this.page === pages;
  }

  title(column) {
    const { column: sorted, down } = this.order();
    const attributes = { scope: "col", class: column.number ? "number" : "" };
    if (column === sorted) attributes["aria-sort"] = down ? "descending" : "ascending";
    const sort = button(column.title, () => this.sort(column), {
      "data-key": `sort ${column.key}`,
    });
    return element("th", attributes, sort);
  }

  row(one, columns, writers, chosen) {
    const { study } = this;
    const id = nameOf(study, one);
    const best = study.best && one === study.of[study.best.trials[0]];
    const cells = columns.map((column, k) => this.cell(column, column.cell(one, writers[k])));
    return element(
      "tr",
      { class: best ? "best" : "" },
      this.tick(id, chosen),
      this.named(id, one),
      cells,
    );
  }

  /** A row for one of several trials. */
  seed(i, columns, writers, chosen) {
    const id = this.study.ids[i];
    const cells = columns.map((column, k) => this.cell(column, column.seed(i, writers[k])));
    return element("tr", { class: "seed" }, this.tick(id, chosen), this.named(id), cells);
  }

  cell(column, content) {
    const title = typeof content === "string" ? content : "";
    return element("td", { class: column.number ? "number" : "", title }, content);
  }

  tick(id, chosen) {
    const box = element("input", {
      type: "checkbox",
      "aria-label": `Compare ${id}`,
      "data-key": `tick ${id}`,
      onchange: () => toggle(this.study, id),
    });
    box.checked = chosen.has(id);
    box.disabled = !box.checked && chosen.size >= MOST_COMPARED;
    return element("td", {}, box);
  }

  named(id, one) {
    const open = button(id, () => go({ trial: id }), { class: "plain", "data-key": `open ${id}` });
    const fold = one?.rows.length > 1 ? this.folder(one) : null;
    return element("th", { scope: "row" }, element("div", { class: "named" }, fold, open));
  }

  folder(one) {
    const isOpen = this.unfolded.has(one.id);
    const fold = () => {
      if (!this.unfolded.delete(one.id)) this.unfolded.add(one.id);
      keepingFocus(() => this.sync(this.rows));
    };
    return button(isOpen ? "▾" : "▸", fold, {
      class: "plain fold",
      "aria-expanded": String(isOpen),
      "aria-label": `Trials of ${one.id}`,
      "data-key": `fold ${one.id}`,
    });
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

let opener = null;

/** Shows the details of the configuration or trial that the address names. */
function showDetail(study) {
  const dialog = byId("detail");
  const wanted = asked("trial");
  const item = wanted === RUN ? { id: RUN } : study.items.get(wanted);
  if (!item) return dialog.open && dialog.close();
  const chosen = chosenItems(study).includes(item);
  const compare = button(
    chosen ? "Remove from comparison" : "Compare",
    () => toggle(study, item.id),
    { class: "main", "data-key": "compare" },
  );
  const content =
    item.id === RUN
      ? runDetails(study)
      : item.number === undefined
        ? details(study, item.rows[0])
        : configurationDetails(study, item);
  const head = element(
    "div",
    { class: "head" },
    element(
      "h2",
      { id: "detail-title", tabindex: "-1", "data-rest": true },
      item.id === RUN ? "This run" : item.id,
    ),
    item.id === RUN ? null : compare,
    copier("Copy link", () => location.href),
    button("Close", () => dialog.close(), { "data-key": "close" }),
  );
  const fill = () => dialog.replaceChildren(head, ...content);
  if (dialog.open) return keepingFocus(fill);
  fill();
  opener = focusPlace();
  dialog.showModal();
}

/** After the dialog is closed: its opener may have been built anew meanwhile. */
function leaveDetail() {
  if (asked("trial")) go({ trial: null });
  const active = document.activeElement; // in Chromium for a while still within the dialog
  if (active === document.body || !isShown(active)) opener?.().focus();
}

const part = (title, content, ...tools) => [
  element("div", { class: "head" }, element("h3", {}, title), tools),
  content,
];

/** The parameters of a trial, to be copied. */
function parametersPart(study, i) {
  const have = study.parameters.filter((one) => one.values[i] !== null);
  const values = Object.fromEntries(have.map((one) => [one.name, rawParameter(one, i)]));
  const copy = copier("Copy parameters", () => JSON.stringify(values));
  return part("Parameters", listed(configuration(study, i)), copy);
}

function rerunPart(study, rows) {
  const quoted = rows.map((i) => JSON.stringify(study.trials.nodeid[i]));
  const options = study.sweeps[study.trials.sweep[rows[0]]].options.map((one) => JSON.stringify(one));
  const command = ["pytest", ...quoted, "--sweep-rerun", ...options].join(" ");
  const text = element("pre", { tabindex: "0" }, command);
  return part(
    "Run it again",
    text,
    copier("Copy command", () => command),
  );
}

function configurationDetails(study, one) {
  const write = (metric) => [
    metric.name + (metric.mode ? ` (${BETTER[metric.mode]})` : ""),
    spreadText(one.means[metric.name], one.stds[metric.name], (value) => shown(value, 6)),
  ];
  const means = study.metrics.filter(({ name }) => name in (one.means ?? {}));
  const trial = (i) =>
    element(
      "li",
      {},
      button(study.ids[i], () => go({ trial: study.ids[i] }), {
        class: "plain",
        "data-key": study.ids[i],
      }),
      " ",
      stateOf(study, i),
    );
  return [
    listed([
      ["trials", statesText(study, one)],
      ...(one.verdict ? [["against the best", one.verdict]] : []),
    ]),
    ...(means.length ? part("Means", listed(means.map(write))) : []),
    ...parametersPart(study, one.rows[0]),
    ...annotationPart(study, one.id, one.rows),
    ...part("Trials", element("ul", { class: "plain" }, one.rows.map(trial))),
    ...rerunPart(study, one.rows),
  ];
}

function runDetails(study) {
  const starts = study.trials.started.filter((time) => time !== null);
  const facts = [
    ["test", study.nodeid],
    ...(study.run ? [["directory", study.run]] : []),
    ...(study.name ? [["name", study.name]] : []),
    ...(study.commit ? [["commit", study.commit]] : []),
    ...(starts.length ? [["started", new Date(1000 * extent(starts)[0]).toLocaleString()]] : []),
  ];
  const sweeps = study.sweeps.map((one) => [
    one.name,
    [
      one.strategy,
      `${one.planned} trials planned`,
      plural(one.replicates, "replicate"),
      `seed ${one.seed}`,
      `${shownTime(one.elapsed)} wall time`,
    ].join(", "),
  ]);
  return [
    listed(facts),
    ...annotationPart(study, RUN, null),
    ...part("Sweeps", listed(sweeps)),
  ];
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
  return [
    listed(facts),
    ...annotationPart(study, study.ids[i], [i]),
    ...(metrics.length ? part("Metrics", listed(metrics)) : []),
    ...parametersPart(study, i),
    ...curvesPart(study, i),
    ...(logged.length ? part("Logged", listed(logged)) : []),
    ...(trials.artifacts[i] ? part("Artifacts", artifacts(trials.artifacts[i])) : []),
    ...(trials.error[i] ? part("Error", element("pre", { tabindex: "0" }, trials.error[i])) : []),
    ...rerunPart(study, [i]),
  ];
}

/** Shows what is chosen side by side; the first is what the others are compared with. */
function showComparison(study) {
  const home = byId("comparison");
  const chosen = chosenItems(study);
  home.hidden = chosen.length === 0;
  if (!chosen.length) return;
  const head = chosen.map(({ id }, k) =>
    element(
      "th",
      { scope: "col" },
      button(id, () => go({ trial: id }), { "data-key": id }),
      k ? "" : element("span", { class: "baseline" }, " baseline"),
    ),
  );
  const group = (title) =>
    element(
      "tr",
      { class: "group" },
      element("th", { scope: "colgroup", colspan: String(chosen.length + 1) }, title),
    );
  const only = asked("differs") === "only";
  const differing = study.parameters.filter(
    (one) => new Set(chosen.map(({ rows }) => one.values[rows[0]])).size > 1,
  );
  const parameters = only && chosen.length > 1 ? differing : study.parameters;
  const box = element("input", {
    type: "checkbox",
    "data-key": "differs",
    onchange: () => go({ differs: only ? null : "only" }),
  });
  box.checked = only;
  home.replaceChildren(
    element(
      "div",
      { class: "head" },
      element("h2", { id: "comparison-title", tabindex: "-1", "data-rest": true }, "Side by side"),
      element("label", { class: "field" }, box, "only what differs"),
      button("Clear", () => go({ sel: null })),
    ),
    element(
      "p",
      { class: "caption" },
      chosen.length < 2
        ? "Tick another one to compare."
        : "Differences from the first are bold, with their 95% confidence intervals over common seeds.",
    ),
    scrolled(
      "Comparison",
      element("thead", {}, element("tr", {}, element("td"), head)),
      element(
        "tbody",
        {},
        group("Metrics"),
        study.metrics.map((one) => metricRow(study, one, chosen)),
        group("Parameters"),
        parameters.map((one) => parameterRow(one, chosen)),
      ),
    ),
  );
}

function parameterRow(parameter, chosen) {
  const texts = chosen.map(({ rows }) => shownParameter(parameter, rows[0]));
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, parameter.name),
    texts.map((text) => element("td", { class: text === texts[0] ? "" : "differs" }, text)),
  );
}

function metricRow(study, metric, chosen) {
  const [first] = chosen;
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, metric.name),
    chosen.map((one, k) => {
      const value = one.means ? one.means[metric.name] : metric.values[one.rows[0]];
      const cell = element("td", {}, spreadText(value, one.stds?.[metric.name]));
      const found = k ? difference(study, metric, one, first) : null;
      if (found?.centre) {
        const { centre, half } = found;
        const better = metric.mode && centre < 0 === (metric.mode === "min");
        const word = metric.mode ? (better ? "better" : "worse") : "";
        const change = `${centre > 0 ? "+" : "−"}${shown(Math.abs(centre), 3)}${half === null ? "" : ` ± ${shown(half, 2)}`}`;
        cell.append(element("span", { class: `differs ${word}` }, ` ${change} ${word}`));
      }
      return cell;
    }),
  );
}

/** The mean difference of a metric to another item over common seeds, and half its interval. */
function difference(study, metric, one, other) {
  const { replicate } = study.trials;
  const bySeed = new Map(
    numbered(other.trials ?? [], metric.values).map((i) => [replicate[i], metric.values[i]]),
  );
  const own = numbered(one.trials ?? [], metric.values);
  const common = own
    .filter((i) => bySeed.has(replicate[i]))
    .map((i) => metric.values[i] - bySeed.get(replicate[i]));
  if (common.length) return { centre: mean(common), half: ERRORS.ci(common) };
  const [a, b] = [own, [...bySeed.values()]].map((all, k) =>
    k ? all : all.map((i) => metric.values[i]),
  );
  return a.length && b.length ? { centre: mean(a) - mean(b), half: null } : null;
}
