// How numbers, times and directions are written.

function shown(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return String(value);
  const size = Math.abs(value);
  if (size >= 1e6 || (size < 1e-3 && size > 0)) {
    return value
      .toExponential(Math.min(digits - 1, 2))
      .replace(/\.?0+e/, "e")
      .replace("e+", "e");
  }
  return String(Number(value.toPrecision(digits)));
}

/** Writes numbers that stand below one another, with equally many decimals where that fits. */
function aligned(values) {
  const sizes = values.filter((value) => typeof value === "number" && value !== 0).map(Math.abs);
  const decimals = Math.max(0, 4 - Math.floor(Math.log10(Math.max(...sizes, 1e-9))));
  const whole = values.every((value) => typeof value !== "number" || Number.isInteger(value));
  const fits = !whole && decimals <= 7 && Math.min(...sizes) >= 10 ** -decimals * 5;
  return (value) =>
    fits && typeof value === "number" ? value.toFixed(Math.min(decimals, 6)) : shown(value, 5);
}

function shownTime(seconds) {
  if (typeof seconds !== "number") return "–";
  if (seconds < 9.995) return `${seconds.toFixed(2)} s`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(Math.round(seconds) / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(seconds) % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function percent(share) {
  return `${Math.round(100 * share)}%`;
}

function plural(count, thing) {
  return `${count.toLocaleString("en")} ${thing}${count === 1 ? "" : "s"}`;
}

function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}

const BEST = { min: "lowest", max: "highest" };
const BETTER = { min: "lower is better", max: "higher is better" };

/** Text of at most so many characters, without its middle if it is longer. */
function cut(text, most) {
  if (text.length <= most) return text;
  const head = Math.ceil((most - 1) / 2);
  return `${text.slice(0, head)}…${text.slice(text.length - (most - 1 - head))}`;
}

/** Text for plotly, which takes some HTML for markup. */
function plain(text, most = 40) {
  return cut(text, most).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

/** Texts for plotly that differ wherever the whole ones do. */
function distinct(texts, most) {
  const short = texts.map((text) => cut(text, most));
  return short.map((text, k) => {
    const twin = short.indexOf(text) < k || short.lastIndexOf(text) > k;
    return plain(twin && texts[k] !== text ? `${cut(text, most - 3)} #${k + 1}` : text);
  });
}

/** Different numbers in as few digits as tell them apart. */
function apart(values) {
  const texts = (digits) => values.map((value) => shown(value, digits));
  const enough = [2, 3, 4, 5, 6, 8].find((digits) => new Set(texts(digits)).size === values.length);
  return texts(enough ?? 12);
}

function shownParameter(parameter, i) {
  return shown(rawParameter(parameter, i));
}

/** A parameter's value as it is saved: a number, or the text of a category. */
function rawParameter(parameter, i) {
  const value = parameter.values[i];
  return value === null || !parameter.labels ? value : parameter.labels[value];
}

/** The parameters of a trial, those that it has. */
function configuration(study, i) {
  return study.parameters
    .filter((one) => one.values[i] !== null)
    .map((one) => [one.name, shownParameter(one, i)]);
}

function stateText(study, i) {
  return study.trials.state[i] + (isInfeasible(study, i) ? ", infeasible" : "");
}

/** A mean and its spread. */
function spreadText(mean, std, write = (value) => shown(value, 5)) {
  return typeof std === "number" ? `${write(mean)} ± ${shown(std, 2)}` : write(mean);
}

function hover(study, i, metric) {
  const pairs = configuration(study, i).slice(0, 8);
  const lines = pairs.map(([name, value]) => `${plain(name, 24)} = ${plain(value, 32)}`);
  const score = metric ? [`${plain(metric.name, 24)} ${shown(metric.values[i], 5)}`] : [];
  const state = isComplete(study, i) && !isInfeasible(study, i) ? [] : [stateText(study, i)];
  return [`<b>${plain(study.ids[i])}</b>`, ...score, ...state, ...lines].join("<br>");
}
