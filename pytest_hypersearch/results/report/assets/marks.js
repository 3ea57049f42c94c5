// What several views share: which rows are drawn, and how.

const MOST_MARKS = 1500;

function theMetric(study) {
  return study.metric.get(asked("metric")) ?? study.metrics[0];
}

/** Whether values are drawn in logarithms: as asked, otherwise if far apart or crowded at the bottom. */
function isLog(values) {
  const [low, high] = extent(values);
  const scale = asked("scale", "auto");
  if (low <= 0 || scale !== "auto") return low > 0 && scale === "log";
  const middle = quantile(values, 0.5);
  const crowded = high > 5 * low && high - middle > 10 * (middle - low);
  return crowded || high > 200 * low;
}

function valueAxis(colours, metric, values) {
  return numberAxis(colours, plain(metric.name, 32), values, isLog(values));
}

/** Rows by their value, the best first; infeasible ones come after all others. */
function ranked(study, rows, metric) {
  const sign = metric.mode === "max" ? -1 : 1;
  const v = metric.values;
  return [...rows].sort(
    (a, b) => isInfeasible(study, a) - isInfeasible(study, b) || sign * (v[a] - v[b]),
  );
}

/** The rows that a view of points draws: complete, with a value; the best of them if too many. */
function drawable(study, rows, metric, most = MOST_MARKS) {
  const complete = numbered(rows, metric.values).filter((i) => isComplete(study, i));
  if (complete.length <= most) return { complete, marks: complete, left: "" };
  const order = ranked(study, complete, metric);
  const half = most / 2;
  const chosen = chosenOf(study, complete);
  const marks = [
    ...new Set([...order.slice(0, half), ...thinned(order.slice(half), half), ...chosen]),
  ];
  const left = `${plural(marks.length, "point")} of ${complete.length.toLocaleString("en")} drawn: the best and an even share of the rest. `;
  return { complete, marks, left };
}

/** Points that open their trials; the chosen ones have a ring. */
function points(study, rows, metric, { marker = {}, ...more }) {
  const chosen = new Set(selection(study));
  const thin = marker.symbol?.endsWith("-open") ? 1 : 0;
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
  const inSight = new Set(rows);
  return selection(study).filter((i) => inSight.has(i));
}

function bySweep(study, rows) {
  return study.sweeps
    .map((sweep, k) => [sweep, k, rows.filter((i) => study.trials.sweep[i] === k)])
    .filter(([, , own]) => own.length > 0);
}

const NO_SCORES = { empty: "No complete trial has a value of this metric here." };
