// Several runs of a test: the trend of the best over them, and two of them side by side.

const FEW_ROWS = 10;
const MOST_NAMED = 4;

/** A run as it is told from the others of its test. */
function runName(study) {
  const number = study.run.split("/").at(-1);
  return [number, study.name, study.commit.slice(0, 7)].filter(Boolean).join(" · ");
}

/** Shows another study, without what was asked of this one. */
function goToStudy(key) {
  const others = [...address().keys()].filter((one) => one !== "theme");
  go({ ...Object.fromEntries(others.map((one) => [one, null])), study: key });
}

const trend = {
  id: "runs",
  title: "Over runs",
  home: "over-runs",
  wide: true,
  height: 300,
  wanted: (study) => Boolean(study.test?.history),
  draw(study, rows, colours) {
    const { metric, mode, points, steps, basis } = study.test.history;
    const known = points.map((one, x) => ({ ...one, x })).filter(({ best }) => best !== null);
    if (!known.length) return { empty: "No run has a best configuration." };
    const here = (one) => studies[one.study] === study;
    const step = new Map(steps.map((one) => [one.point, one]));
    const colour = (one) => {
      const { loss } = step.get(one.x) ?? { loss: 0 };
      return loss > 0 ? colours.bad : loss < 0 ? colours.good : colours.accent;
    };
    const says = (one) =>
      [
        `run ${[one.run, one.commit].filter(Boolean).join(" ")}`,
        `${metric} ${shown(one.best, 5)}${one.low === null ? "" : ` (95% ${shown(one.low)} to ${shown(one.high)})`}, n = ${one.n}`,
        ...(one.verdict ? [`${one.verdict} than before`.replace("same than", "same as")] : []),
        ...(step.has(one.x) ? [step.get(one.x).word] : []),
      ].filter(Boolean);
    const trace = {
      type: "scatter",
      mode: "lines+markers",
      name: metric,
      x: known.map(({ x }) => x),
      y: known.map(({ best }) => best),
      error_y: {
        type: "data",
        symmetric: false,
        array: known.map((one) => (one.high === null ? 0 : one.high - one.best)),
        arrayminus: known.map((one) => (one.low === null ? 0 : one.best - one.low)),
        color: colours.quiet,
        thickness: 1.4,
        width: 5,
      },
      line: { color: faded(colours.accent, 0.4), width: 1.5 },
      marker: {
        size: known.map((one) => (step.has(one.x) ? 12 : 9)),
        color: known.map(colour),
        symbol: known.map((one) => (step.has(one.x) ? "square" : "circle")),
        line: { width: known.map((one) => (here(one) ? 2.5 : 0)), color: colours.text },
      },
      text: known.map((one) => says(one).map((text) => plain(text, 80)).join("<br>")),
      hovertemplate: "%{text}<extra></extra>",
      customdata: known.map((one) => ({
        says: says(one).join(", "),
        rank: one.x,
        go: studyKey(studies[one.study]),
      })),
    };
    const reached = known.flatMap(({ best, low, high }) => [best, low ?? best, high ?? best]);
    const labels = points.map((one) => [one.run, one.commit].filter(Boolean).join("<br>"));
    const every = Math.ceil(points.length / 24);
    return {
      traces: [trace],
      layout: {
        showlegend: false,
        xaxis: axis(colours, "run", {
          tickmode: "array",
          tickvals: labels.map((_, x) => x).filter((x) => x % every === 0),
          ticktext: labels.filter((_, x) => x % every === 0),
          range: [-0.6, labels.length - 0.4],
          showgrid: false,
        }),
        yaxis: valueAxis(colours, { name: metric }, reached),
        shapes: steps.map(({ point, loss }) => ({
          ...{ type: "line", yref: "paper", x0: point - 0.5, x1: point - 0.5, y0: 0, y1: 1 },
          line: { color: loss > 0 ? colours.bad : colours.good, width: 1.5, dash: "dash" },
        })),
        annotations: steps.map(({ point, word, loss }) => ({
          ...{ x: point - 0.5, y: 1, yref: "paper", yanchor: "bottom", showarrow: false },
          text: word,
          font: { color: loss > 0 ? colours.bad : colours.good, size: 12 },
        })),
        margin: { l: 8, r: 10, t: 22, b: 8 },
      },
      caption: `Best configuration of each run, mean and 95% interval over replicates · ${BETTER[mode]}. ${steps.map(({ word, text }) => `${capital(word)}: ${text}. `).join("")}${capital(basis)}.`,
    };
  },
};

/** A choice among the runs of the test in sight. */
function runChoice(label, key, study, chosen) {
  const select = element(
    "select",
    { "data-key": key, onchange: () => go({ [key]: select.value, rows: null }) },
    study.test.runs.map((place) =>
      element("option", { value: studies[place].run }, runName(studies[place])),
    ),
  );
  select.value = chosen?.run ?? "";
  return element("label", { class: "field" }, label, select);
}

/** The two runs that are compared: as asked, otherwise the one in sight with the one before. */
function pairOf(study) {
  const own = study.test.runs.map((place) => studies[place]);
  const run = (key) => own.find((one) => one.run === asked(key));
  const now = run("now") ?? (study === own[0] ? own[1] : study);
  const before = run("before") ?? own[Math.max(0, own.indexOf(now) - 1)];
  const places = [before, now].map((one) => studies.indexOf(one));
  const found = study.test.pairs.find((one) => one.before === places[0] && one.now === places[1]);
  return { before, now, found };
}

/** Shows two runs of the test configuration by configuration. */
function showPair(study) {
  const home = byId("pair");
  home.hidden = !study.test;
  if (!study.test) return;
  const { before, now, found } = pairOf(study);
  home.replaceChildren(
    element(
      "div",
      { class: "head" },
      element("h2", { id: "pair-title", tabindex: "-1", "data-rest": true }, "Two runs"),
      runChoice("Before", "before", study, before),
      runChoice("Now", "now", study, now),
    ),
    ...(found
      ? found.changes.flatMap((change) => changePart(study, change, now))
      : [
          element(
            "p",
            { class: "caption" },
            "These two are not compared: choose an earlier run as the one before, and of many runs one that is near.",
          ),
        ]),
  );
}

function changePart(study, change, now) {
  const { metric, mode, rows, left, gone, new: added } = change;
  const words = [
    `${metric}, ${BETTER[mode]}: ${change.text}`,
    ...(gone ? [`${plural(gone, "configuration")} only before`] : []),
    ...(added ? [`${plural(added, "configuration")} only now`] : []),
  ];
  const caption = element(
    "p",
    { class: "caption" },
    element("span", { class: `verdict ${change.kind}` }, change.verdict),
    ` ${words.join("; ")}`,
  );
  if (!rows.length) return [caption];
  const all = asked("rows") === "all";
  const drawn = all ? rows : rows.slice(0, FEW_ROWS);
  const items = drawn.map((row) => now.items.get(`${row.sweep}-${row.number}`));
  const names = now.parameters
    .filter((one) => new Set(items.map((item) => item && one.values[item.rows[0]])).size > 1)
    .slice(0, MOST_NAMED);
  const [write, change_] = [
    aligned(drawn.flatMap((row) => [row.before, row.now])),
    aligned(drawn.map((row) => row.loss)),
  ];
  const heads = ["Configuration", ...names.map(({ name }) => name), "Before", "Now", "Loss (95%)"];
  const more = rows.length - drawn.length + (all ? left : 0);
  return [
    caption,
    scrolled(
      `Configurations of two runs by ${metric}`,
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          [...heads, "Seeds", "Judged"].map((name) => element("th", { scope: "col" }, name)),
        ),
      ),
      element(
        "tbody",
        {},
        drawn.map((row, k) =>
          element(
            "tr",
            {},
            element("th", { scope: "row" }, pairName(study, now, row)),
            names.map((one) =>
              element("td", {}, items[k] ? shownParameter(one, items[k].rows[0]) : ""),
            ),
            element("td", {}, write(row.before)),
            element("td", {}, write(row.now)),
            lossCell(row, change_),
            element("td", {}, String(row.n)),
            element("td", {}, row.judged ? "yes" : ""),
          ),
        ),
      ),
    ),
    ...(more && !all
      ? [
          button(`Show all ${rows.length}`, () => go({ rows: "all" }), {
            class: "plain",
            "data-key": "rows",
          }),
        ]
      : []),
    ...(all && left ? [element("p", { class: "caption" }, `and ${left} more with smaller losses`)] : []),
  ];
}

function pairName(study, now, row) {
  const id = `${row.sweep}-${row.number}`;
  if (study !== now) return id;
  return button(id, () => go({ trial: id }), { class: "plain", "data-key": `pair ${id}` });
}

/** A loss with its interval; a word where the interval leaves no doubt. */
function lossCell(row, write) {
  const sure = row.low !== null && (row.low > 0 || row.high < 0);
  const word = sure ? (row.loss > 0 ? "worse" : "better") : "";
  const ends = row.low === null ? "" : ` [${shown(row.low, 3)}, ${shown(row.high, 3)}]`;
  const text = `${row.loss > 0 ? "+" : ""}${write(row.loss)}${ends}`;
  return element("td", {}, element("span", { class: word }, [text, word].filter(Boolean).join(" ")));
}

/** The verdicts of the gates, the failing ones first. */
function showGates(study) {
  const home = byId("gates");
  const order = ["bad", "open", "good"];
  const verdicts = study.gates.toSorted((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
  home.hidden = !verdicts.length;
  home.replaceChildren(
    ...verdicts.map(({ kind, gate, verdict, text }) =>
      element(
        "li",
        {},
        element("span", { class: `verdict ${kind}` }, verdict),
        ` ${gate}: ${text.startsWith(verdict) ? text.slice(verdict.length + 1) : text}`,
      ),
    ),
  );
}

/** The filters by which the trials of a rule are shown, null if filters cannot say it. */
function filtersOf(study, conditions) {
  const keys = {};
  for (const { name, sign, value } of conditions) {
    const parameter = study.parameter.get(name);
    if (!parameter || ["given", "missing"].includes(sign)) return null;
    if (parameter.labels) {
      if (!["=", "!="].includes(sign)) return null;
      const kept = parameter.labels.filter((one) => (one === value) === (sign === "="));
      keys[`is.${name}`] = kept;
    } else {
      const [low, high] = (keys[`in.${name}`] ?? "..").split("..");
      if (sign === ">=") keys[`in.${name}`] = `${value}..${high}`;
      else if (sign === "<=") keys[`in.${name}`] = `${low}..${value}`;
      else if (sign === "=") keys[`in.${name}`] = `${value}..${value}`;
      else return null;
    }
  }
  return keys;
}

/** What failing configurations have in common: how many it describes, and of the others. */
function ruleItem(study, rule) {
  const share = (label, count, of, kind) =>
    element(
      "div",
      { class: "share" },
      element("span", {}, label),
      element(
        "span",
        { class: "bar", "aria-hidden": "true" },
        element("span", { class: kind, style: `width:${of ? (100 * count) / of : 0}%` }),
      ),
      element("span", {}, `${count} of ${of}`),
    );
  const keys = filtersOf(study, rule.conditions);
  return element(
    "li",
    {},
    `Where it fails: ${rule.text} `,
    keys ? button("Show these", () => go(keys), { class: "plain", "data-key": "rule" }) : "",
    share("failing", rule.covered, rule.failing, "bad"),
    share("others", rule.wrong, rule.others, "other"),
  );
}
