// The data of the page: unpacked, and looked up by name.

async function unpacked(id) {
  const text = document.getElementById(id).textContent.trim();
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let k = 0; k < bytes.length; k++) bytes[k] = characters.charCodeAt(k);
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

function studyOf(plain) {
  const { trials, sweeps } = plain;
  const size = trials.number.length;
  const ids = trials.number.map(
    (number, i) => `${sweeps[trials.sweep[i]].name}-${number}-r${trials.replicate[i]}`,
  );
  const study = {
    ...plain,
    size,
    ids,
    all: Array.from({ length: size }, (_, i) => i),
    place: new Map(ids.map((id, i) => [id, i])),
    parameter: new Map(plain.parameters.map((one) => [one.name, one])),
    metric: new Map(plain.metrics.map((one) => [one.name, one])),
    states: STATES.filter((state) => trials.state.includes(state)),
  };
  return study;
}

/** Whether the trial's configuration breaks a constraint. */
function isInfeasible(study, i) {
  return study.trials.feasible[i] === false;
}

function isComplete(study, i) {
  return study.trials.state[i] === "complete";
}

/** The rows whose value of a column is a number. */
function numbered(rows, values) {
  return rows.filter((i) => typeof values[i] === "number");
}
