// The data of the page: unpacked, and looked up by name.

async function unpacked(id) {
  const text = document.getElementById(id).textContent.trim();
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

const STATES = [
  "complete",
  "pruned",
  "raced out",
  "failed",
  "invalid",
  "crashed",
  "timed out",
  "running",
  "not run",
];
const ENDED_BADLY = new Set(["failed", "invalid", "crashed", "timed out"]);

/** A study as it came, with its trials and configurations by their names. */
function studyOf(plain) {
  const { trials, sweeps } = plain;
  const ids = trials.number.map(
    (number, i) => `${sweeps[trials.sweep[i]].name}-${number}-r${trials.replicate[i]}`,
  );
  const configurations = plain.configurations.map((one, rank) => ({
    ...one,
    rank,
    id: `${sweeps[one.sweep].name}-${one.number}`,
    rows: [...one.trials, ...one.others],
  }));
  const of = [];
  for (const one of configurations) for (const i of one.rows) of[i] = one;
  const states = new Map();
  for (const state of trials.state) states.set(state, (states.get(state) ?? 0) + 1);
  const important = plain.importance[0]?.methods.total.map(({ parameter }) => parameter) ?? [];
  const place = ({ name }) => (important.indexOf(name) + 1 || Infinity) - 1;
  const study = {
    ...plain,
    size: ids.length,
    ids,
    configurations,
    of,
    states,
    tags: plain.tags ?? [],
    tagNames: [...new Set(trials.tags.flat())],
    tagged: trials.tags.some((tags) => tags.length) || trials.note.some(Boolean),
    order: configurations.flatMap((one) => one.rows.filter((i) => trials.state[i] === "complete")),
    all: ids.map((_, i) => i),
    place: new Map(ids.map((id, i) => [id, i])),
    items: new Map([
      ...ids.map((id, i) => [id, { id, rows: [i], trials: [i] }]),
      ...configurations.map((one) => [one.id, one]),
    ]),
    parameters: plain.parameters.toSorted((a, b) => place(a) - place(b) || 0),
    parameter: new Map(plain.parameters.map((one) => [one.name, one])),
    metric: new Map(plain.metrics.map((one) => [one.name, one])),
  };
  study.kinds = study.all.map((i) => kindOf(study, i));
  return study;
}

/** Which of a study's rows are among some: 1 or 0 for each, told faster than by a set. */
function maskOf(study, rows) {
  const mask = new Uint8Array(study.size);
  for (const i of rows) mask[i] = 1;
  return mask;
}

/** Whether the trial's configuration breaks a constraint. */
function isInfeasible(study, i) {
  return study.trials.feasible[i] === false;
}

function isComplete(study, i) {
  return study.trials.state[i] === "complete";
}

/** How figures tell trials apart by their states. */
function kindOf(study, i) {
  const state = study.trials.state[i];
  if (isInfeasible(study, i)) return "infeasible";
  if (ENDED_BADLY.has(state)) return "failed";
  return state === "complete" || state === "running" ? state : "ended early";
}

/** The rows whose value of a column is a number. */
function numbered(rows, values) {
  return rows.filter((i) => typeof values[i] === "number");
}
