// Views in time: curves within trials, and who ran which trial when.

const MOST_LINES = 120;

const MOST_BARS = 1500;

/** What learning curves can be drawn over: a title, and where a series has it. */
const ACROSS = { steps: ["step", 0], "wall time": ["seconds since the trial started", 2] };

function across() {
  return ACROSS[asked("across")] ?? ACROSS.steps;
}

const curves = {
  id: "curves",
  title: "Learning curves",
  height: 380,
  controls(study) {
    const names = [...new Set(study.curves.flatMap((curve) => Object.keys(curve.series)))];
    return [
      ...(names.length > 1 ? [choice("Series", "series", named(names), names[0])] : []),
      ...(names.length
        ? [
            choice("Across", "across", named(Object.keys(ACROSS)), "steps"),
            choice("Smooth", "smooth", named(["none", "0.6", "0.9"]), "none"),
          ]
        : []),
    ];
  },
  draw(study, rows, colours) {
    if (!study.curves.length)
      return { empty: "No trial reported intermediate values (trial.report)." };
    const first = Object.keys(study.curves[0].series)[0];
    const name = asked("series", first);
    const inSight = maskOf(study, rows);
    const known = study.curves.filter((curve) => inSight[curve.trial] && curve.series[name]);
    if (!known.length) return { empty: "None of these trials reported it." };
    const kept = new Set(
      sampled(
        study,
        known.map((curve) => curve.trial),
        MOST_LINES,
      ),
    );
    const drawn = known.filter((curve) => kept.has(curve.trial));
    const traces = study.sweeps
      .flatMap((sweep, k) =>
        [false, true].map((pruned) => {
          const own = drawn.filter(
            (curve) =>
              study.trials.sweep[curve.trial] === k &&
              (study.trials.state[curve.trial] === "pruned") === pruned,
          );
          return lines(
            study,
            own,
            name,
            `${sweep.name}${pruned ? ", pruned" : ""}`,
            seriesOf(colours, k),
            pruned,
          );
        }),
      )
      .filter((trace) => trace.x.length);
    const chosen = known.filter((curve) => selection(study).includes(curve.trial));
    traces.push(
      ...chosen.map((curve) => ({
        ...lines(study, [curve], name, study.ids[curve.trial], { colour: colours.text }, false),
        line: {
          color: colours.text,
          width: 2.5,
          dash: palette.dashes[chosen.indexOf(curve) % palette.dashes.length],
        },
      })),
    );
    const values = drawn.flatMap((curve) =>
      curve.series[name][1].filter((value) => value !== null),
    );
    const filed =
      study.curves.length < study.curvesKnown
        ? ` (${study.curves.length} of ${study.curvesKnown} are in this file)`
        : "";
    return {
      traces,
      layout: { xaxis: axis(colours, across()[0]), yaxis: valueAxis(colours, { name }, values) },
      caption: `${drawn.length < known.length ? `${drawn.length} of ${known.length} curves: the best and an even share of the rest` : plural(known.length, "curve")}${filed}; pruned ones are dotted and end in a cross${asked("smooth") ? "; smoothed by a moving average" : ""}`,
    };
  },
};

/** The exponential moving average of values with gaps, without bias to its start. */
function averagedAlong(values, share) {
  let [sum, weight] = [0, 0];
  return values.map((value) => {
    if (value === null || !share) return value;
    [sum, weight] = [share * sum + (1 - share) * value, share * weight + (1 - share)];
    return sum / weight;
  });
}

/** Draws the curves of one trial into its details. */
function curvesPart(study, i) {
  const own = study.curves.find((curve) => curve.trial === i);
  if (!own) return [];
  const names = Object.keys(own.series);
  const label = `What ${study.ids[i]} reported of ${names.join(", ")}`;
  const plot = element("div", { class: "plot", role: "img", "aria-label": label });
  plot.style.height = "220px";
  plotly().then(({ newPlot }) => {
    const colours = theme();
    const traces = names.map((name, k) =>
      lines(study, [own], name, name, seriesOf(colours, k), false),
    );
    const layout = {
      xaxis: axis(colours, across()[0]),
      yaxis: axis(colours, ""),
      margin: { l: 30, r: 10, t: 8, b: 30 },
    };
    newPlot(plot, traces, layoutOf(colours, layout), { ...CONFIG, responsive: true });
  });
  return part("Curves", plot);
}

/** Many curves as one trace, with gaps between them. */
function lines(study, own, name, title, { colour }, pruned) {
  const trace = {
    type: "scatter",
    mode: "lines+markers",
    name: plain(title),
    x: [],
    y: [],
    text: [],
    customdata: [],
    connectgaps: false,
    hovertemplate: "%{text}: %{y:.5g}<extra></extra>",
    line: { color: faded(colour, pruned ? 0.6 : 0.4), width: 1.2, dash: pruned ? "dot" : "solid" },
    marker: { symbol: pruned ? "x-thin-open" : "circle", color: colour, size: [] },
  };
  const size = (values, k) => {
    if (pruned && k === values.length - 1) return 8;
    return (values[k - 1] ?? values[k + 1] ?? null) === null ? 4 : 0; // no line leads to it
  };
  for (const { trial, series } of own) {
    const [steps, raw, times] = series[name];
    const x = across()[1] ? times : steps;
    const values = averagedAlong(raw, Number(asked("smooth")) || 0);
    steps.forEach((step, k) => {
      trace.x.push(x[k]);
      trace.y.push(values[k]);
      trace.marker.size.push(size(values, k));
      trace.text.push(`${plain(study.ids[trial])}<br>step ${shown(step)}, ${shownTime(times[k])}`);
      trace.customdata.push(study.ids[trial]);
    });
    for (const column of [trace.x, trace.y, trace.marker.size, trace.text, trace.customdata])
      column.push(null);
  }
  if (!trace.marker.size.some(Boolean)) trace.mode = "lines";
  return trace;
}

const LONGEST_WORKER = 24;

const timeline = {
  id: "timeline",
  title: "Timeline",
  wide: true,
  height: 220,
  draw(study, rows, colours, width) {
    const { started, duration } = study.trials;
    const known = rows.filter((i) => typeof started[i] === "number");
    if (!known.length) return { empty: "The starts of these trials are not known." };
    const begin = extent(known.map((i) => started[i]))[0];
    const end = extent(known.map((i) => started[i] + duration[i]))[1] - begin;
    const [divisor, word] =
      end > 7200 ? [3600, "hours"] : end > 180 ? [60, "minutes"] : [1, "seconds"];
    const kinds = [
      ["complete", colours.accent],
      ["infeasible", faded(colours.accent, 0.5)],
      ["ended early", colours.quiet],
      ["failed", colours.bad],
      ["running", colours.soft],
    ];
    const gap = known.length > MOST_BARS ? end / 400 : -Infinity;
    const bars = barsOf(study, known, begin + end, gap);
    const traces = kinds
      .map(([name, colour]) => {
        const own = bars.filter((bar) => bar.kind === name);
        return {
          ...points(
            study,
            own.map((bar) => bar.i),
            theMetric(study),
            {},
          ),
          type: "bar",
          mode: undefined,
          textposition: "none",
          orientation: "h",
          name,
          y: own.map((bar) => plain(bar.worker, LONGEST_WORKER)),
          base: own.map((bar) => (bar.from - begin) / divisor),
          x: own.map((bar) => Math.max(bar.to - bar.from, end / 1000) / divisor),
          marker: {
            color: colour,
            line: {
              color: name === "running" ? colours.accent : chosenColours(study, own, colours),
              width: own.map((bar) => (bars.length > 400 || bar.to - bar.from < end / 200 ? 0 : 1)),
            },
          },
        };
      })
      .filter((trace) => trace.x.length);
    const workers = new Set(bars.map((bar) => bar.worker));
    const upwards = [...workers].sort(byNode).reverse();
    return {
      traces,
      // a narrow legend has two names a line
      height: Math.min(900, 100 + 34 * workers.size + (width < NARROW ? 10 * traces.length : 0)),
      layout: {
        barmode: "overlay",
        bargap: 0.35,
        xaxis: axis(colours, `${word} since the start`),
        yaxis: axis(colours, "", {
          type: "category",
          categoryorder: "array",
          categoryarray: upwards.map((worker) => plain(worker, LONGEST_WORKER)),
          showgrid: false,
        }),
      },
      caption: `${plural(workers.size, "worker")}, ${shownTime(end)} in all${bars.length < known.length ? `; neighbouring trials that ended alike are drawn as one (${bars.length} bars for ${known.length} trials)` : ""}`,
    };
  },
};

/** The workers of one node together, and gw10 after gw2. */
function byNode(one, other) {
  const [key, otherKey] = [one, other].map((name) => name.split("@").reverse().join(" "));
  return key.localeCompare(otherKey, undefined, { numeric: true });
}

/** A bar for each trial, up to now if it runs; neighbours of one kind are one if nearer than a gap. */
function barsOf(study, rows, now, gap) {
  const { started, duration, worker } = study.trials;
  const bars = [];
  const last = new Map();
  for (const i of sortedBy(rows, started)) {
    const kind = study.kinds[i];
    const to = kind === "running" ? now : started[i] + duration[i];
    const before = last.get(worker[i]);
    if (before?.kind === kind && started[i] - before.to < gap) before.to = to;
    else {
      const bar = { i, kind, worker: worker[i] || "pytest", from: started[i], to };
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
