// The views: each makes a figure of the rows that are in sight, or says why there is none.

const MOST_MARKS = 1500;
const MOST_LINES = 120;
const MOST_DOTS = 300;
const MOST_BARS = 1500;
const BINS = 6;

function theMetric(study) {
  return study.metric.get(asked("metric")) ?? study.metrics[0];
}

/** Whether values are drawn in logarithms: as asked, otherwise if they are far apart. */
function isLog(values) {
  const [low, high] = extent(values);
  const scale = asked("scale", "auto");
  return low > 0 && (scale === "log" || (scale === "auto" && high / low > 200));
}

function valueAxis(colours, metric, values) {
  return numberAxis(colours, plain(metric.name, 32), values, isLog(values));
}

function ranked(study, rows, metric) {
  const sign = metric.mode === "max" ? -1 : 1;
  const v = metric.values;
  return [...rows].sort((a, b) => sign * (v[a] - v[b]));
}

/** The rows that a view of points draws: complete, with a value; the best of them if too many. */
function drawable(study, rows, metric, most = MOST_MARKS) {
  const complete = numbered(rows, metric.values).filter((i) => isComplete(study, i));
  if (complete.length <= most) return { complete, marks: complete, left: "" };
  const order = ranked(study, complete, metric);
  const half = most / 2;
  const chosen = chosenOf(study, complete);
  const marks = [...new Set([...order.slice(0, half), ...thinned(order.slice(half), half), ...chosen])];
  const left = `${plural(marks.length, "point")} of ${complete.length.toLocaleString("en")} drawn: the best and an even share of the rest. `;
  return { complete, marks, left };
}

/** Points that open their trials; the chosen ones have a ring. */
function points(study, rows, metric, { marker = {}, ...more }) {
  const chosen = new Set(selection(study));
  const ring = chosen.size ? { line: { width: rows.map((i) => (chosen.has(i) ? 2.5 : 0)), color: theme().text } } : {};
  return {
    type: "scatter", mode: "markers", hovertemplate: "%{text}<extra></extra>", marker: { ...ring, ...marker },
    text: rows.map((i) => hover(study, i, metric)), customdata: rows.map((i) => study.ids[i]), ...more,
  };
}

function chosenOf(study, rows) {
  const inSight = new Set(rows);
  return selection(study).filter((i) => inSight.has(i));
}

function bySweep(study, rows) {
  return study.sweeps.map((sweep, k) => [sweep, k, rows.filter((i) => study.trials.sweep[i] === k)])
    .filter(([, , own]) => own.length > 0);
}

const NO_SCORES = { empty: "No complete trial has a value of this metric here." };

const history_ = {
  id: "history", title: "History", wide: true, height: 340,
  draw(study, rows, colours) {
    const metric = theMetric(study);
    const scored = numbered(rows, metric.values);
    const complete = scored.filter((i) => isComplete(study, i));
    if (!complete.length) return NO_SCORES;
    const { marks, left } = drawable(study, rows, metric);
    const traces = bySweep(study, [...marks].sort((a, b) => a - b)).map(([sweep, k, own]) => {
      const { colour, symbol } = seriesOf(colours, k);
      return points(study, own, metric, { name: plain(sweep.name), x: own.map((i) => i + 1),
        y: own.map((i) => metric.values[i]), marker: { color: faded(colour, 0.7), symbol, size: 6 } });
    });
    const cut = thinned(scored.filter((i) => !isComplete(study, i) && !ENDED_BADLY.has(study.trials.state[i])), MOST_MARKS / 2);
    if (cut.length) {
      traces.push(points(study, cut, metric, { name: "ended early", x: cut.map((i) => i + 1),
        y: cut.map((i) => metric.values[i]),
        marker: { color: colours.quiet, symbol: "circle-open", size: 6 } }));
    }
    if (metric.mode) {
      const able = complete.filter((i) => study.feasible[i]);
      const best = bestSoFar(able.map((i) => metric.values[i]), metric.mode);
      const kept = [...best.keys()].filter((k) => best[k] !== best[k - 1] || k === best.length - 1);
      traces.push({ type: "scatter", mode: "lines", name: "best so far", hoverinfo: "skip",
        x: kept.map((k) => able[k] + 1), y: kept.map((k) => best[k]), line: { shape: "hv", color: colours.text, width: 2 } });
    }
    const bad = thinned(rows.filter((i) => ENDED_BADLY.has(study.trials.state[i])), MOST_MARKS / 2);
    if (bad.length) {
      traces.push(points(study, bad, null, { name: "failed", x: bad.map((i) => i + 1),
        y: bad.map(() => 0), yaxis: "y2", marker: { color: colours.bad, symbol: "x-thin-open", size: 7 } }));
    }
    const top = metric.mode && ranked(study, complete.filter((i) => study.feasible[i]), metric)[0];
    return {
      traces,
      layout: {
        xaxis: axis(colours, "trial", { range: [0, study.size + 1], anchor: "free", position: 0 }),
        yaxis: { ...valueAxis(colours, metric, complete.map((i) => metric.values[i])), domain: [bad.length ? 0.08 : 0, 1] },
        yaxis2: { domain: [0, 0.05], visible: false, range: [-1, 1], fixedrange: true },
      },
      caption: top == null ? `${left}${metric.name}: no direction is declared, so nothing is best.`
        : `${left}${capital(BEST[metric.mode])} ${metric.name} ${shown(metric.values[top], 5)} at ${study.ids[top]} · ${BETTER[metric.mode]}`,
    };
  },
};

const strategies = {
  id: "strategies", title: "Strategies", height: 320,
  draw(study, rows, colours) {
    const metric = theMetric(study);
    if (!metric.mode) return { empty: "No direction is declared for this metric." };
    const complete = numbered(rows, metric.values).filter((i) => isComplete(study, i) && study.feasible[i]);
    if (!complete.length) return NO_SCORES;
    let replicated = false;
    const traces = bySweep(study, complete).flatMap(([sweep, k, own]) => {
      const { colour, dash } = seriesOf(colours, k);
      const band = bestByReplicate(study, own, metric);
      replicated ||= band.replicates > 1;
      const x = band.mean.map((_, n) => n + 1);
      const line = { type: "scatter", mode: "lines", name: plain(sweep.name), x, y: band.mean,
        line: { color: colour, dash, width: 2 }, hovertemplate: `%{y:.5g} after %{x}<extra>${plain(sweep.name)}</extra>` };
      if (band.replicates < 2) return [line];
      return [{ type: "scatter", mode: "lines", x: [...x, ...[...x].reverse()],
        y: [...band.high, ...[...band.low].reverse()], fill: "toself", fillcolor: faded(colour, 0.15),
        line: { width: 0 }, hoverinfo: "skip", showlegend: false }, line];
    });
    return { traces,
      layout: { xaxis: axis(colours, "configurations tried"), yaxis: valueAxis(colours, metric, complete.map((i) => metric.values[i])) },
      caption: `Best ${metric.name} so far${replicated ? ": mean over replicates, band from the lowest to the highest replicate" : ""}` };
  },
};

/** Best so far of each replicate on its own; mean, lowest and highest after each configuration. */
function bestByReplicate(study, rows, metric) {
  const { number, replicate } = study.trials;
  const numbers = [...new Set(rows.map((i) => number[i]))].sort((a, b) => a - b);
  const at = new Map(numbers.map((n, k) => [n, k]));
  const lines = [...grouped(rows, (i) => replicate[i]).values()].map((own) => {
    const values = numbers.map(() => null);
    for (const i of own) values[at.get(number[i])] = metric.values[i];
    return bestSoFar(values, metric.mode);
  });
  const found = { mean: [], low: [], high: [], replicates: lines.length };
  for (const n of numbers.keys()) {
    const known = lines.map((line) => line[n]).filter((value) => value !== null);
    const [low, high] = extent(known);
    found.mean.push(mean(known));
    found.low.push(low);
    found.high.push(high);
  }
  return found;
}

const importance = {
  id: "importance", title: "Importance", height: 320,
  controls: () => [choice("Method", "method", [["total", "total effect"], ["ped-anova", "PED-ANOVA"]], "total")],
  draw(study, rows, colours, narrow) {
    const pools = study.importance.filter((pool) => pool.metric === theMetric(study).name);
    if (!pools.length) return { empty: "Needs at least 10 complete configurations, scores that differ and a known space." };
    const method = asked("method", "total");
    const traces = pools.map((pool, k) => {
      const found = [...pool.methods[method]].reverse();
      return { type: "bar", orientation: "h", name: plain(pool.sweeps.join(", ")),
        y: found.map((one) => plain(one.parameter, narrow ? 14 : 24)), x: found.map((one) => one.share),
        error_x: { array: found.map((one) => one.spread), color: colours.quiet, thickness: 1.2, width: 3 },
        marker: { color: seriesOf(colours, k).colour }, hovertemplate: "%{y}: %{x:.1%}<extra></extra>" };
    });
    const what = method === "total" ? "Share of what moves the score, interactions included" : "What tells the best tenth from the rest";
    return { traces, layout: { bargap: 0.45, showlegend: pools.length > 1, yaxis: axis(colours, "", { showgrid: false }),
      xaxis: axis(colours, "share", { tickformat: ".0%", rangemode: "tozero" }) },
      height: Math.max(320, 90 + 26 * pools[0].methods[method].length),
      caption: `${what}. Of all ${plural(pools[0].configurations, "complete configuration")}: filters would distort it.` };
  },
};

const slices = {
  id: "slices", title: "Parameters", wide: true,
  draw(study, rows, colours, narrow) {
    const metric = theMetric(study);
    const { marks, complete, left } = drawable(study, rows, metric);
    const shownParameters = study.parameters.slice(0, 12);
    if (!complete.length || !shownParameters.length) return NO_SCORES;
    const columns = Math.min(narrow ? 1 : 4, shownParameters.length);
    const lines = Math.ceil(shownParameters.length / columns);
    const layout = { showlegend: study.sweeps.length > 1 };
    const traces = [];
    const y = valueAxis(colours, metric, complete.map((i) => metric.values[i]));
    shownParameters.forEach((parameter, p) => {
      const [column, line] = [p % columns, Math.floor(p / columns)];
      const n = p ? String(p + 1) : "";
      const gap = narrow ? 0.12 : 0.035;
      const width = (1 - gap * (columns - 1)) / columns;
      const down = 0.3 / lines;
      const height = (1 - down * (lines - 1)) / lines;
      const start = 1 - line * (height + down) - height;
      layout[`xaxis${n}`] = { ...parameterAxis(colours, parameter), domain: [column * (width + gap), column * (width + gap) + width], anchor: `y${n}` };
      layout[`yaxis${n}`] = { ...y, domain: [Math.max(0, start), Math.min(1, start + height)], anchor: `x${n}`,
        matches: p ? "y" : undefined, showticklabels: column === 0, title: column ? undefined : y.title };
      for (const [sweep, k, own] of bySweep(study, marks.filter((i) => parameter.values[i] !== null))) {
        const { colour, symbol } = seriesOf(colours, k);
        traces.push(points(study, own, metric, { name: plain(sweep.name), legendgroup: sweep.name, showlegend: p === 0,
          x: own.map((i) => parameter.values[i] + (parameter.labels ? spread(i) : 0)), y: own.map((i) => metric.values[i]),
          xaxis: `x${n}`, yaxis: `y${n}`, marker: { color: faded(colour, 0.55), symbol, size: 5 } }));
      }
    });
    const more = study.parameters.length > 12 ? `The first 12 of ${study.parameters.length} parameters. ` : "";
    return { traces, layout, height: 60 + lines * 230, caption: `${left}${more}${metric.name} over each parameter${metric.mode ? `; ${BETTER[metric.mode]}` : ""}` };
  },
};

/** A place beside a category, always the same for a row. */
function spread(i) {
  return (((i * 0.618034) % 1) - 0.5) * 0.5;
}

const parallel = {
  id: "parallel", title: "Parallel coordinates", wide: true, height: 380,
  controls: () => [{ node: element("button", { type: "button", onclick: clearRanges }, "Clear ranges"), sync() {} }],
  draw(study, rows, colours, narrow) {
    const metric = theMetric(study);
    const { marks, complete, left } = drawable(study, rows, metric);
    const all = study.parameters.filter((one) => marks.some((i) => one.values[i] !== null));
    if (!complete.length || !all.length) return NO_SCORES;
    const parameters = all.slice(0, narrow ? 3 : 9);
    const axes = [...parameters.map((one) => upright(study, one)), upright(study, { ...metric, log: isLog(marks.map((i) => metric.values[i])) })];
    const annotations = axes.flatMap((one, x) => marksOf(one, x, colours, narrow));
    const shapes = axes.map((_, x) => ({ type: "line", x0: x, x1: x, y0: 0, y1: 1, line: { color: colours.quiet, width: 1 } }));
    const hidden = { visible: false, fixedrange: true };
    const more = parameters.length < all.length ? `The first ${parameters.length} of ${all.length} parameters. ` : "";
    return {
      traces: [...shades(study, marks, metric), [colours.text, chosenOf(study, marks)]]
        .map(([colour, own], k) => polylines(study, own, metric, axes, colour, k === 6 ? 3 : 1.3)),
      layout: { showlegend: false, dragmode: "select", selectdirection: "any", annotations, shapes,
        margin: { l: 20, r: narrow ? 44 : 56, t: 34, b: 10 }, newselection: { line: { color: colours.accent } },
        xaxis: { ...hidden, range: [-0.12, axes.length - 1 + 0.12] }, yaxis: { ...hidden, range: [-0.06, 1.04] } },
      brushed: (box) => axes.slice(0, -1).forEach((one, x) => x >= box.x[0] && x <= box.x[1] && brush(one, box.y)),
      caption: `${left}${more}Each line is a trial${metric.mode ? ", stronger is better and orange the best twentieth" : ""}; drag a box over an axis to filter all views`,
    };
  },
};

/** A column laid out between 0 and 1 from the bottom up. */
function upright(study, column) {
  const scale = unit(column, numbered(study.all, column.values));
  const pad = (u) => (column.labels && column.labels.length > 1 ? 0.06 + 0.88 * u : column.labels ? 0.5 : u);
  const unpad = (u) => (column.labels ? (u - 0.06) / 0.88 : u);
  return { column, to: (value) => pad(scale.to(value)), from: (u) => scale.from(unpad(u)) };
}

/** The name of an upright axis and what is written along it. */
function marksOf({ column, to, from }, x, colours, narrow) {
  const text = (y, content, more) => ({ x, y, text: content, showarrow: false, font: { size: 11, color: colours.quiet }, ...more });
  const most = narrow ? 9 : 16;
  const title = text(1, `<b>${plain(column.name, most)}</b>`, { yshift: 18, font: { size: 12, color: colours.text } });
  const beside = { xanchor: "left", xshift: 4, bgcolor: faded(colours.card, 0.8) };
  const places = column.labels ? column.labels.map((label, k) => [to(k), plain(label, most)])
    : [0, 0.25, 0.5, 0.75, 1].map((u) => [u, shown(from(u), 2)]);
  return [title, ...places.slice(0, 14).map(([y, content]) => text(y, content, beside))];
}

const SHADES = { light: ["#d9dee4", "#a9c3dc", "#6ea3cf", "#2f7fbd", "#08508a", "#e07b00"],
  dark: ["#343c46", "#3d5a78", "#437aa8", "#4f9bd6", "#7cc0fa", "#ffb454"] };

/** The rows in groups from the worst to the best fifth, and the best twentieth. */
function shades(study, rows, metric) {
  const order = ranked(study, rows, metric).reverse();
  const ends = [0.3, 0.5, 0.7, 0.85, 0.95, 1].map((share) => Math.round(share * order.length));
  const colours = dark.matches ? SHADES.dark : SHADES.light;
  return ends.map((end, k) => [colours[k], order.slice(ends[k - 1] ?? 0, end)]);
}

function polylines(study, rows, metric, axes, colour, width) {
  const trace = { type: "scatter", mode: "lines+markers", x: [], y: [], text: [], customdata: [], hovertemplate: "%{text}<extra></extra>",
    line: { color: colour, width }, marker: { size: 3, color: colour }, selected: { marker: { opacity: 1 } }, unselected: { marker: { opacity: 1 } } };
  for (const i of rows) {
    const text = hover(study, i, metric);
    axes.forEach(({ column, to }, x) => {
      const value = column.values[i];
      trace.x.push(x);
      trace.y.push(typeof value === "number" ? to(value) : null);
      trace.text.push(text);
      trace.customdata.push(study.ids[i]);
    });
    for (const column of [trace.x, trace.y, trace.text, trace.customdata]) column.push(null);
  }
  return trace;
}

/** Takes the part of an upright axis under a box as a filter. */
function brush({ column, from, to }, [low, high]) {
  if (column.labels) {
    const inside = column.labels.filter((_, k) => to(k) >= low && to(k) <= high);
    if (inside.length) go({ [`is.${column.name}`]: inside });
    return;
  }
  const ends = [Math.max(0, low), Math.min(1, high)].map((u) => String(Number(from(u).toPrecision(4))));
  go({ [`in.${column.name}`]: ends.join("..") });
}

function clearRanges() {
  const keys = [...address().keys()].filter((key) => key.startsWith("in.") || key.startsWith("is."));
  go(Object.fromEntries(keys.map((key) => [key, null])));
}

const contour = {
  id: "contour", title: "Two parameters", height: 380,
  controls(study) {
    const names = study.parameters.map((one) => one.name);
    if (names.length < 2) return [];
    return [choice("x", "cx", named(names), pair(study)[0]), choice("y", "cy", named(names), pair(study)[1])];
  },
  draw(study, rows, colours) {
    const metric = theMetric(study);
    if (study.parameters.length < 2) return { empty: "Needs two parameters." };
    const [x, y] = ["cx", "cy"].map((key, k) => study.parameter.get(asked(key)) ?? study.parameter.get(pair(study)[k]));
    const { marks, complete, left } = drawable(study, rows, metric, MOST_DOTS);
    const both = complete.filter((i) => x.values[i] !== null && y.values[i] !== null);
    if (both.length < 3 || x === y) return { empty: x === y ? "Choose two different parameters." : "Needs at least three complete trials with both parameters." };
    const scale = { x: unit(x, both), y: unit(y, both) };
    const top = quantile(both.map((i) => metric.values[i]), metric.mode === "max" ? 0.02 : 0.98);
    const log = isLog(both.map((i) => metric.values[i]));
    const bounded = (value) => (metric.mode === "max" ? Math.max(value, top) : Math.min(value, top));
    const held = (value) => (log ? Math.log10(bounded(value)) : bounded(value));
    const z = smoothed(both.map((i) => ({ u: scale.x.to(x.values[i]), v: scale.y.to(y.values[i]), z: held(metric.values[i]) })));
    const cells = Array.from({ length: CELLS }, (_, k) => k / (CELLS - 1));
    const seen = marks.filter((i) => x.values[i] !== null && y.values[i] !== null);
    const best = metric.mode ? [ranked(study, both, metric)[0]] : [];
    return {
      traces: [
        { type: "contour", x: cells.map(scale.x.from), y: cells.map(scale.y.from), z, colorscale: palette.scores, reversescale: metric.mode === "min",
          ncontours: 14, line: { width: 0 }, connectgaps: false, hoverinfo: "skip", showlegend: false,
          colorbar: { thickness: 8, outlinewidth: 0, tickfont: { size: 11, color: colours.quiet }, ...(log ? powers(z.flat()) : {}) } },
        points(study, seen, metric, { x: seen.map((i) => x.values[i]), y: seen.map((i) => y.values[i]), showlegend: false,
          marker: { size: 5, color: "rgba(255,255,255,.85)", line: { width: 1, color: "#1b1f24" } } }),
        points(study, best, metric, { x: best.map((i) => x.values[i]), y: best.map((i) => y.values[i]), showlegend: false,
          marker: { size: 13, color: "rgba(0,0,0,0)", symbol: "circle", line: { width: 2.5, color: "#ffffff" } } }),
      ],
      layout: { xaxis: parameterAxis(colours, x), yaxis: parameterAxis(colours, y), showlegend: false },
      caption: `${left}${metric.name}, smoothed over neighbouring trials${metric.mode ? "; brighter is better, the ring is the best" : ""}`,
    };
  },
};

/** Ticks for logarithms, written as what these are of. */
function powers(exponents) {
  const [low, high] = extent(exponents.filter((value) => value !== null));
  const tickvals = [0, 0.25, 0.5, 0.75, 1].map((share) => low + share * (high - low));
  return { tickmode: "array", tickvals, ticktext: tickvals.map((value) => shown(10 ** value, 2)) };
}

/** The two parameters that matter most, numbers before categories. */
function pair(study) {
  const known = study.importance[0]?.methods.total.map((one) => one.parameter) ?? [];
  const names = [...new Set([...known, ...study.parameters.map((one) => one.name)])];
  const rest = (name) => Boolean(study.parameter.get(name)?.labels);
  return [...names.filter((name) => !rest(name)), ...names.filter(rest)].slice(0, 2);
}

/** A parameter's values to the unit interval and back. */
function unit(parameter, rows) {
  const place = (value) => (parameter.log ? Math.log(value) : value);
  const [low, high] = parameter.labels ? [0, parameter.labels.length - 1] : extent(rows.map((i) => place(parameter.values[i])));
  const width = high - low || 1;
  return {
    to: (value) => (place(value) - low) / width,
    from: (u) => (parameter.log ? Math.exp(low + u * width) : low + u * width),
  };
}

const aggregation = {
  id: "aggregation", title: "Grouped", height: 380,
  controls(study) {
    const names = study.parameters.map((one) => [`p.${one.name}`, one.name]);
    return [
      choice("By", "by", [["strategy", "strategy"], ["replicate", "replicate"], ...names], defaultGroup(study)),
      choice("Show", "stat", named(Object.keys(STATISTICS)), "mean"),
      choice("Bars", "bars", [["ci", "95% CI"], ["sem", "sem"], ["std", "std"], ["none", "none"]], "ci"),
    ];
  },
  draw(study, rows, colours) {
    const metric = theMetric(study);
    const complete = numbered(rows, metric.values).filter((i) => isComplete(study, i));
    if (!complete.length) return NO_SCORES;
    const { groups, note } = groupedBy(study, complete, asked("by", defaultGroup(study)));
    const [stat, bars] = [asked("stat", "mean"), asked("bars", "ci")];
    const found = groups.map(([name, own]) => ({ name, values: own.map((i) => metric.values[i]) }));
    const means = found.map(({ values }) => mean(values));
    const errors = found.map(({ values }) => ERRORS[bars](values));
    const text = found.map(({ name, values }, k) => `<b>${plain(name)}</b><br>${stat} ${shown(STATISTICS[stat](values), 5)}<br>`
      + `mean ${shown(means[k], 5)}${errors[k] === null ? "" : ` ± ${shown(errors[k], 2)} (${bars === "ci" ? "95% CI" : bars})`}<br>n = ${values.length}`);
    const x = found.map((_, k) => k);
    const traces = [{ type: "scatter", mode: "markers", name: "mean", x, y: means, text, hovertemplate: "%{text}<extra></extra>",
      error_y: { array: errors.map((error) => error ?? 0), color: colours.quiet, thickness: 1.6, width: 5 },
      marker: { size: stat === "mean" ? 10 : 7, color: stat === "mean" ? colours.accent : colours.quiet, symbol: stat === "mean" ? "circle" : "line-ew-open" } }];
    if (stat !== "mean") {
      traces.push({ type: "scatter", mode: "markers", name: stat, x, y: found.map(({ values }) => STATISTICS[stat](values)), text,
        hovertemplate: "%{text}<extra></extra>", marker: { size: 10, symbol: "diamond", color: colours.accent } });
    }
    const reached = found.flatMap(({ values }, k) => [means[k] - (errors[k] ?? 0), means[k] + (errors[k] ?? 0), STATISTICS[stat](values)]);
    const counts = found.map(({ name, values }) => `${name} (${values.length})`);
    const what = bars === "none" ? "" : `; bars are the mean ± ${bars === "ci" ? "95% confidence (Student’s t)" : bars}`;
    return { traces, layout: { showlegend: stat !== "mean", xaxis: categoryAxis(colours, "", counts, 16), yaxis: valueAxis(colours, metric, reached) },
      caption: `${capital(stat)} of ${metric.name} over complete trials (their number in brackets)${what}. ${note}` };
  },
};

function defaultGroup(study) {
  const category = study.parameters.find((one) => one.labels);
  if (study.sweeps.length > 1) return "strategy";
  return category ? `p.${category.name}` : study.parameters.length ? `p.${pair(study)[0]}` : "strategy";
}

/** Rows by strategy, replicate, or the values of a parameter, which are put into bins if many. */
function groupedBy(study, rows, by) {
  if (by === "strategy") return { groups: bySweep(study, rows).map(([sweep, , own]) => [sweep.name, own]), note: "" };
  if (by === "replicate") {
    const found = [...grouped(rows, (i) => study.trials.replicate[i])].sort(([a], [b]) => a - b);
    return { groups: found.map(([name, own]) => [String(name), own]), note: "" };
  }
  const parameter = study.parameter.get(by.slice(2)) ?? study.parameters[0];
  const have = rows.filter((i) => parameter.values[i] !== null);
  const found = [...grouped(have, (i) => parameter.values[i])].sort(([a], [b]) => a - b);
  if (parameter.labels || found.length <= 10) {
    return { groups: found.map(([, own]) => [shownParameter(parameter, own[0]), own]), note: "" };
  }
  const sorted = [...have].sort((a, b) => parameter.values[a] - parameter.values[b]);
  const groups = Array.from({ length: BINS }, (_, k) => sorted.slice(Math.round((k * sorted.length) / BINS), Math.round(((k + 1) * sorted.length) / BINS)))
    .filter((own) => own.length)
    .map((own) => [`${shown(parameter.values[own[0]], 2)} – ${shown(parameter.values[own.at(-1)], 2)}`, own]);
  return { groups, note: `${parameter.name} in ${groups.length} bins of equal size.` };
}

const curves = {
  id: "curves", title: "Learning curves", height: 380,
  controls(study) {
    const names = [...new Set(study.curves.flatMap((curve) => Object.keys(curve.series)))];
    return names.length > 1 ? [choice("Series", "series", named(names), names[0])] : [];
  },
  draw(study, rows, colours) {
    if (!study.curves.length) return { empty: "No trial reported values on its way (trial.report)." };
    const first = Object.keys(study.curves[0].series)[0];
    const name = asked("series", first);
    const inSight = new Set(rows);
    const metric = study.metric.get(name) ?? theMetric(study);
    const known = study.curves.filter((curve) => inSight.has(curve.trial) && curve.series[name]);
    if (!known.length) return { empty: "None of these trials reported it." };
    const order = [...known].sort((a, b) => rankOf(metric, a.trial) - rankOf(metric, b.trial));
    const drawn = [...order.slice(0, MOST_LINES / 2), ...thinned(order.slice(MOST_LINES / 2), MOST_LINES / 2)];
    const traces = study.sweeps.flatMap((sweep, k) => [false, true].map((pruned) => {
      const own = drawn.filter((curve) => study.trials.sweep[curve.trial] === k && (study.trials.state[curve.trial] === "pruned") === pruned);
      return lines(study, own, name, `${sweep.name}${pruned ? ", pruned" : ""}`, seriesOf(colours, k), pruned);
    })).filter((trace) => trace.x.length);
    const chosen = known.filter((curve) => selection(study).includes(curve.trial));
    traces.push(...chosen.map((curve) => ({ ...lines(study, [curve], name, study.ids[curve.trial], { colour: colours.text }, false),
      line: { color: colours.text, width: 2.5, dash: palette.dashes[chosen.indexOf(curve) % palette.dashes.length] } })));
    const values = drawn.flatMap((curve) => curve.series[name][1].filter((value) => value !== null));
    const kept = study.curves.length < study.curvesKnown ? ` (${study.curves.length} of ${study.curvesKnown} are in this file)` : "";
    return { traces, layout: { xaxis: axis(colours, "step"), yaxis: valueAxis(colours, { name }, values) },
      caption: `${drawn.length < known.length ? `${drawn.length} of ${known.length} curves: the best half and an even share of the rest` : plural(known.length, "curve")}${kept}; pruned ones are dotted and end in a cross` };
  },
};

function rankOf(metric, i) {
  const value = metric.values[i];
  return typeof value === "number" ? (metric.mode === "max" ? -value : value) : Infinity;
}

/** Many curves as one trace, with gaps between them. */
function lines(study, own, name, title, { colour }, pruned) {
  const trace = { type: "scatter", mode: pruned ? "lines+markers" : "lines", name: plain(title), x: [], y: [], text: [], customdata: [], connectgaps: false,
    hovertemplate: "%{text}<br>step %{x}: %{y:.5g}<extra></extra>", line: { color: faded(colour, pruned ? 0.6 : 0.4), width: 1.2, dash: pruned ? "dot" : "solid" },
    marker: { symbol: "x-thin-open", color: colour, size: [] } };
  for (const { trial, series } of own) {
    const [steps, values] = series[name];
    steps.forEach((step, k) => {
      trace.x.push(step);
      trace.y.push(values[k]);
      trace.marker.size.push(k === steps.length - 1 ? 8 : 0);
      trace.text.push(plain(study.ids[trial]));
      trace.customdata.push(study.ids[trial]);
    });
    for (const column of [trace.x, trace.y, trace.marker.size, trace.text, trace.customdata]) column.push(null);
  }
  if (!pruned) delete trace.marker;
  return trace;
}

const pareto = {
  id: "pareto", title: "Trade-off", height: 380,
  controls(study) {
    const names = study.metrics.map((one) => one.name);
    return names.length < 2 ? [] : [choice("x", "mx", named(names), names[0]), choice("y", "my", named(names), names[1])];
  },
  draw(study, rows, colours) {
    if (study.metrics.length < 2) return { empty: "Needs two metrics." };
    const [x, y] = ["mx", "my"].map((key, k) => study.metric.get(asked(key)) ?? study.metrics[k]);
    const found = configurations(study, rows.filter((i) => typeof x.values[i] === "number" && typeof y.values[i] === "number"))
      .map((own) => ({ i: own[0], x: mean(own.map((i) => x.values[i])), y: mean(own.map((i) => y.values[i])), feasible: own.every((i) => study.feasible[i]) }));
    if (!found.length) return NO_SCORES;
    const directed = x.mode && y.mode && x !== y;
    const best = directed ? front(found.filter((one) => one.feasible), [x.mode, y.mode]) : [];
    const shownPoints = thinned(found, MOST_MARKS);
    const trace = (own, more) => points(study, own.map((one) => one.i), null, { x: own.map((one) => one.x), y: own.map((one) => one.y),
      text: own.map((one) => `${hover(study, one.i)}<br>${plain(x.name)} ${shown(one.x, 5)}<br>${plain(y.name)} ${shown(one.y, 5)}`), ...more });
    const traces = [trace(shownPoints, { name: "configurations", marker: { size: 6, color: faded(colours.quiet, 0.5) } })];
    if (best.length) traces.push(trace(best, { name: "Pareto front", mode: "lines+markers", line: { shape: "hv", color: colours.accent, width: 2 }, marker: { size: 9, color: colours.accent, symbol: "diamond" } }));
    return { traces, layout: { xaxis: axis(colours, `${plain(x.name)}${x.mode ? ` (${BETTER[x.mode]})` : ""}`), yaxis: axis(colours, `${plain(y.name)}${y.mode ? ` (${BETTER[y.mode]})` : ""}`) },
      caption: `${shownPoints.length < found.length ? `${shownPoints.length} of ${found.length} configurations drawn. ` : ""}${directed ? `${plural(best.length, "configuration")} of ${found.length} on the front, means over replicates` : "Both metrics need a declared direction for a front"}` };
  },
};

const timeline = {
  id: "timeline", title: "Timeline", wide: true, height: 220,
  draw(study, rows, colours) {
    const { started, duration, worker, state } = study.trials;
    const known = rows.filter((i) => typeof started[i] === "number");
    if (!known.length) return { empty: "The starts of these trials are not known." };
    const begin = extent(known.map((i) => started[i]))[0];
    const end = extent(known.map((i) => started[i] + duration[i]))[1] - begin;
    const [divisor, word] = end > 7200 ? [3600, "hours"] : end > 180 ? [60, "minutes"] : [1, "seconds"];
    const kinds = [["complete", colours.accent], ["ended early", colours.quiet], ["failed", colours.bad]];
    const bars = barsOf(study, known, known.length > MOST_BARS ? end / 400 : -1);
    const traces = kinds.map(([name, colour]) => {
      const own = bars.filter((bar) => bar.kind === name);
      return { ...points(study, own.map((bar) => bar.i), theMetric(study), {}), type: "bar", mode: undefined, textposition: "none", orientation: "h", name,
        y: own.map((bar) => plain(bar.worker, 16)), base: own.map((bar) => (bar.from - begin) / divisor), x: own.map((bar) => (bar.to - bar.from) / divisor),
        marker: { color: colour, line: { color: chosenColours(study, own, colours), width: bars.length > 400 ? 0 : 1 } } };
    }).filter((trace) => trace.x.length);
    const workers = new Set(bars.map((bar) => bar.worker));
    return { traces, height: Math.min(900, 100 + 34 * workers.size), layout: { barmode: "overlay", bargap: 0.35, xaxis: axis(colours, `${word} since the start`), yaxis: axis(colours, "", { type: "category", categoryorder: "category descending", showgrid: false }) },
      caption: `${plural(workers.size, "worker")}, ${shownTime(end)} in all${bars.length < known.length ? `; neighbouring trials that ended alike are drawn as one (${bars.length} bars for ${known.length} trials)` : ""}` };
  },
};

/** A bar for each trial; neighbours of one worker and kind are one if nearer than a gap. */
function barsOf(study, rows, gap) {
  const { started, duration, worker, state } = study.trials;
  const bars = [];
  const last = new Map();
  for (const i of sortedRows(rows, started, false)) {
    const kind = state[i] === "complete" ? "complete" : ENDED_BADLY.has(state[i]) ? "failed" : "ended early";
    const before = last.get(worker[i]);
    if (before && before.kind === kind && started[i] - before.to < gap) {
      before.to = started[i] + duration[i];
    } else {
      const bar = { i, kind, worker: worker[i] || "pytest", from: started[i], to: started[i] + duration[i] };
      bars.push(bar);
      last.set(worker[i], bar);
    }
  }
  return bars;
}

function chosenColours(study, bars, colours) {
  const chosen = new Set(selection(study));
  return bars.map((bar) => (chosen.has(bar.i) ? colours.text : colours.card));
}

const VIEWS = [history_, strategies, importance, slices, parallel, contour, aggregation, curves, pareto, timeline];
