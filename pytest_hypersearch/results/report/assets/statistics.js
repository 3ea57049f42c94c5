// Sums over trials.

function mean(values) {
  return values.reduce((sum, value) => sum + value / values.length, 0);
}

/** The sample standard deviation, null for fewer than two values. */
function deviation(values) {
  if (values.length < 2) return null;
  const centre = mean(values);
  const length = values.reduce((sum, value) => Math.hypot(sum, value - centre), 0);
  return length / Math.sqrt(values.length - 1);
}

function quantile(values, share) {
  const sorted = Float64Array.from(values).sort();
  const at = share * (sorted.length - 1);
  const low = Math.floor(at);
  return sorted[low] + (at - low) * (sorted[Math.ceil(at)] - sorted[low]);
}

function extent(values) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

/** The 97.5% quantile of Student's t: Abramowitz & Stegun (1964), 26.7.5. */
function tQuantile(freedom) {
  if (freedom === 1) return Math.tan(Math.PI * 0.475);
  if (freedom === 2) return 0.95 * Math.sqrt(2 / (1 - 0.95 ** 2));
  const z = 1.959963984540054;
  const terms = [
    (z ** 3 + z) / 4,
    (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96,
    (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384,
    (79 * z ** 9 + 776 * z ** 7 + 1482 * z ** 5 - 1920 * z ** 3 - 945 * z) / 92160,
  ];
  return terms.reduce((sum, term, k) => sum + term / freedom ** (k + 1), z);
}

const STATISTICS = {
  mean,
  median: (values) => quantile(values, 0.5),
  min: (values) => extent(values)[0],
  max: (values) => extent(values)[1],
};

/** Half the length of an error bar around the mean, null where it cannot be told. */
const ERRORS = {
  ci: (values) =>
    values.length < 2
      ? null
      : (tQuantile(values.length - 1) * deviation(values)) / Math.sqrt(values.length),
  sem: (values) => (values.length < 2 ? null : deviation(values) / Math.sqrt(values.length)),
  std: deviation,
  none: () => null,
};

/** A number, or the end of a range that it is beyond. */
function within(value, low, high) {
  return Math.min(high, Math.max(low, value));
}

function isBetter(mode, one, other) {
  return mode === "min" ? one < other : one > other;
}

/** Rows put together by the text that a function gives them. */
function grouped(rows, key) {
  const found = new Map();
  for (const i of rows) {
    const name = key(i);
    if (!found.has(name)) found.set(name, []);
    found.get(name).push(i);
  }
  return found;
}

const CELLS = 44;

/** The weighted mean of points in the unit square on a grid of cells, null where there are none near. */
function smoothed(points) {
  const blank = () => Array.from({ length: CELLS }, () => new Float64Array(CELLS));
  let weights = blank();
  let sums = blank();
  const cell = (u) => Math.min(CELLS - 1, Math.max(0, Math.round(u * (CELLS - 1))));
  for (const { u, v, z } of points) {
    weights[cell(v)][cell(u)] += 1;
    sums[cell(v)][cell(u)] += z;
  }
  weights = blurred(weights);
  sums = blurred(sums);
  return weights.map((row, j) =>
    Array.from(row, (weight, i) => (weight > 0.004 ? sums[j][i] / weight : null)),
  );
}

/** The mean of the points that are nearest to each cell, null where there are none. */
function averaged(points, across, up) {
  const cells = Array.from({ length: up }, () => Array.from({ length: across }, () => []));
  for (const { u, v, z } of points)
    cells[Math.round(v * (up - 1))][Math.round(u * (across - 1))].push(z);
  return cells.map((row) => row.map((values) => (values.length ? mean(values) : null)));
}

function blurred(grid) {
  const reach = 11;
  const kernel = Array.from({ length: 2 * reach + 1 }, (_, k) =>
    Math.exp(-((k - reach) ** 2) / 24),
  );
  const along = (read) =>
    grid.map((_, j) =>
      Float64Array.from(grid, (_, i) => {
        let sum = 0;
        for (let k = -reach; k <= reach; k++) {
          if (i + k >= 0 && i + k < CELLS) sum += kernel[k + reach] * read(j, i + k);
        }
        return sum;
      }),
    );
  const across = along((j, i) => grid[j][i]);
  const up = along((i, j) => across[j][i]);
  return grid.map((_, j) => Float64Array.from(grid, (_, i) => up[i][j]));
}

/** At most so many rows, evenly from all of them. */
function thinned(rows, most) {
  if (rows.length <= most) return rows;
  return Array.from({ length: most }, (_, k) => rows[Math.floor((k * rows.length) / most)]);
}
