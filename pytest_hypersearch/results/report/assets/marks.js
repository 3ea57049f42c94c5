// What several views share: which rows are drawn, and how.

const MOST_MARKS = 500;

const MOST_SORTED = 2000;

const NARROW = 560; // pixels of a card

/** Margins that hold most labels: where labels move them, plotly draws all points twice. */
const ROOMY = { l: 68, r: 10, t: 44, b: 48 };

function theMetric(study) {
  return study.metric.get(asked("metric")) ?? study.metrics[0];
}

/** Whether values are drawn in logarithms: as asked, otherwise if far apart or crowded at the bottom. */
function isLog(values) {
  const [low, high] = extent(values);
  const scale = asked("scale", "auto");
  if (low <= 0 || scale !== "auto") return low > 0 && scale === "log";
  const middle = quantile(thinned(values, MOST_SORTED), 0.5);
  const crowded = high > 5 * low && high - middle > 10 * (middle - low);
  return crowded || high > 200 * low;
}

function valueAxis(colours, metric, values) {
  return numberAxis(colours, plain(metric.name, 32), values, isLog(values));
}

/** Rows in the order of the study's ranking, those that are not ranked last. */
function ranked(study, rows) {
  const left = maskOf(study, rows);
  const first = study.order.filter((i) => left[i]);
  for (const i of first) left[i] = 0;
  return first.concat(rows.filter((i) => left[i]));
}

/** The complete rows that have a value of a metric. */
function scored(study, rows, { values }) {
  return rows.filter((i) => typeof values[i] === "number" && isComplete(study, i));
}

/** The rows that a view of points draws: complete, with a value; a share of them if too many. */
function drawable(study, rows, metric, most = MOST_MARKS) {
  const complete = scored(study, rows, metric);
  const marks = sampled(study, complete, most);
  const left =
    marks.length < complete.length
      ? `${plural(marks.length, "point")} of ${complete.length.toLocaleString("en")} drawn: the best and an even share of the rest. `
      : "";
  return { complete, marks, left };
}

/** At most so many rows: the best few, so that they end in no edge, an even share, and the chosen. */
function sampled(study, rows, most) {
  if (rows.length <= most) return rows;
  const order = ranked(study, rows);
  const first = Math.ceil(most / 30);
  return [
    ...new Set([
      ...order.slice(0, first),
      ...thinned(order.slice(first), most - first),
      ...chosenOf(study, rows),
    ]),
  ];
}

/** Points that open their trials; the chosen ones have a ring. */
function points(study, rows, metric, { marker = {}, ...more }) {
  const chosen = new Set(selection(study));
  const thin = String(marker.symbol).endsWith("-open") ? 1 : 0;
  const ring = chosen.size
    ? { line: { width: rows.map((i) => (chosen.has(i) ? 2.5 : thin)), color: theme().text } }
    : {};
  return {
    type: "scatter",
    mode: "markers",
    hovertemplate: "%{text}<extra></extra>",
    marker: { ...ring, ...marker },
    text: rows.map((i) => hover(study, i, metric)),
    customdata: rows.map((i) => study.ids[i]),
    ...more,
  };
}

function chosenOf(study, rows) {
  const inSight = maskOf(study, rows);
  return selection(study).filter((i) => inSight[i]);
}

function bySweep(study, rows) {
  return study.sweeps
    .map((sweep, k) => [sweep, k, rows.filter((i) => study.trials.sweep[i] === k)])
    .filter(([, , own]) => own.length > 0);
}

/** Why a view of scores is empty. */
function noScores(study) {
  const { state } = study.trials;
  if (state.includes("complete"))
    return { empty: "No complete trial among these has a value of this metric." };
  const [most] = study.failures;
  if (!most) return { empty: "No trial is complete yet." };
  return {
    empty: `No trial is complete: ${most.count} of ${study.size} ${most.state}, ${most.reason || "no reason given"}`,
  };
}

/** Two choices of what is drawn across and up. */
function axesChoice(keys, names, otherwise) {
  if (names.length < 2) return [];
  return ["x", "y"].map((axis, k) => choice(axis, keys[k], named(names), otherwise[k]));
}

/** The columns that two choices name. */
function chosenAxes(keys, columns, otherwise) {
  return keys.map((key, k) => columns.get(asked(key)) ?? columns.get(otherwise[k]));
}
