// Views of scores over parameters: one, two, or all of them. They draw the most important parameters
// unless others are chosen.

const MOST_DOTS = 300;
const COARSE = 8;
const NOT_SET = -0.16;

/** What is drawn of the parameters: the chosen ones, otherwise the first few by importance. */
function chosenParameters(study, most) {
  const chosen = askedAll("axes")
    .map((name) => study.parameter.get(name))
    .filter(Boolean);
  return chosen.length ? chosen : study.parameters.slice(0, most);
}

function parametersChoice(study) {
  const names = study.parameters.map((one) => one.name);
  return names.length > 2 ? [severalChoice("Parameters", "axes", names)] : [];
}

/** How many of the parameters are drawn, if not all. */
function someOf(study, drawn) {
  const all = study.parameters.length;
  if (drawn.length === all) return "";
  const which = askedAll("axes").length
    ? ""
    : study.importance.length
      ? "most important "
      : "first ";
  return `${drawn.length} ${which}of ${all} parameters. `;
}

const slices = {
  id: "slices",
  title: "Parameters",
  wide: true,
  controls: parametersChoice,
  draw(study, rows, colours, width) {
    const metric = theMetric(study);
    const fitting = within(Math.floor(width / 230), 1, 4);
    const drawn = chosenParameters(study, fitting === 1 ? 4 : 2 * fitting);
    const most = Math.min(MOST_MARKS, Math.ceil((2 * MOST_MARKS) / Math.max(1, drawn.length)));
    const { marks, complete, left } = drawable(study, rows, metric, most);
    if (!complete.length) return noScores(study);
    if (!drawn.length) return { empty: "The sweep has no parameters." };
    const columns = Math.min(fitting, drawn.length);
    const lines = Math.ceil(drawn.length / columns);
    const showlegend = study.sweeps.length > 1;
    const layout = { showlegend, margin: { ...ROOMY, t: showlegend ? ROOMY.t : 12 } };
    const traces = [];
    const y = valueAxis(
      colours,
      metric,
      complete.map((i) => metric.values[i]),
    );
    drawn.forEach((parameter, p) => {
      const [column, line] = [p % columns, Math.floor(p / columns)];
      const n = p ? String(p + 1) : "";
      const gap = 0.035;
      const share = (1 - gap * (columns - 1)) / columns;
      const down = 0.3 / lines;
      const height = (1 - down * (lines - 1)) / lines;
      const start = 1 - line * (height + down) - height;
      layout[`xaxis${n}`] = {
        ...parameterAxis(colours, parameter, within(Math.floor(width / columns / 8), 12, 28)),
        domain: [column * (share + gap), column * (share + gap) + share],
        anchor: `y${n}`,
      };
      layout[`yaxis${n}`] = {
        ...y,
        domain: [Math.max(0, start), Math.min(1, start + height)],
        anchor: `x${n}`,
        matches: p ? "y" : undefined,
        showticklabels: column === 0,
        title: column ? undefined : y.title,
      };
      for (const [sweep, k, own] of bySweep(
        study,
        marks.filter((i) => parameter.values[i] !== null),
      )) {
        const { colour, symbol } = seriesOf(colours, k);
        const symbols = own.map((i) => (isInfeasible(study, i) ? `${symbol}-open` : symbol));
        const quiet = own.map((i) =>
          isInfeasible(study, i) ? colours.quiet : faded(colour, 0.55),
        );
        traces.push(
          points(study, own, metric, {
            name: plain(sweep.name),
            legendgroup: sweep.name,
            showlegend: p === 0,
            x: own.map((i) => parameter.values[i] + (parameter.labels ? beside(i) : 0)),
            y: own.map((i) => metric.values[i]),
            xaxis: `x${n}`,
            yaxis: `y${n}`,
            marker: { color: quiet, symbol: symbols, size: 5 },
          }),
        );
      }
    });
    const hollow = complete.some((i) => isInfeasible(study, i))
      ? "; infeasible ones are hollow"
      : "";
    return {
      traces,
      layout,
      height: 60 + lines * 230,
      caption: `${left}${someOf(study, drawn)}${metric.name} over each parameter${metric.mode ? `; ${BETTER[metric.mode]}` : ""}${hollow}`,
    };
  },
};

/** A place beside a category, always the same for a row. */
function beside(i) {
  return (((i * 0.618034) % 1) - 0.5) * 0.5;
}

const parallel = {
  id: "parallel",
  title: "Parallel coordinates",
  wide: true,
  height: 380,
  controls: (study) => [
    ...parametersChoice(study),
    {
      node: element("button", { type: "button", onclick: clearRanges }, "Clear ranges"),
      sync() {},
    },
  ],
  draw(study, rows, colours, width) {
    const metric = theMetric(study);
    const { marks, complete, left } = drawable(study, rows, metric);
    if (!complete.length) return noScores(study);
    const drawn = chosenParameters(study, within(Math.floor(width / 95) - 1, 3, 8));
    const narrow = width < NARROW;
    const most = within(Math.floor(width / (drawn.length + 1) / 8.5), 9, 16);
    const log = isLog(marks.map((i) => metric.values[i]));
    const axes = [
      ...drawn.map((one) => upright(study, one, study.parameter)),
      upright(study, { ...metric, log }),
    ];
    const some = axes.some((one) => one.gaps);
    const annotations = axes.flatMap((one, x) =>
      marksOf(one, x, axes.length - 1, colours, { narrow, most }),
    );
    const shapes = axes.map((one, x) => ({
      type: "line",
      x0: x,
      x1: x,
      y0: 0,
      y1: 1,
      line: { color: colours.quiet, width: 1 },
    }));
    const hidden = { visible: false, fixedrange: true };
    const groups = [...shades(study, marks, colours), [colours.text, chosenOf(study, marks)]];
    return {
      traces: groups.map(([colour, own], k) =>
        polylines(study, own, metric, axes, {
          color: colour,
          width: k === groups.length - 1 ? 3 : 1.3,
          dash: k ? "solid" : "dot",
        }),
      ),
      layout: {
        showlegend: false,
        dragmode: "select",
        selectdirection: "any",
        annotations,
        shapes,
        margin: { l: 20, r: narrow ? 44 : 56, t: 34, b: 10 },
        newselection: { line: { color: colours.accent } },
        xaxis: { ...hidden, range: [-0.12, axes.length - 1 + 0.12] },
        yaxis: { ...hidden, range: [some ? NOT_SET - 0.06 : -0.06, 1.04] },
      },
      brushed: ({ x: [from, to], y }) =>
        axes.forEach((one, x) => x >= from && x <= to && brush(one, y)),
      caption: `${left}${someOf(study, drawn)}Each line is a trial${metric.mode ? ", stronger is better, orange the best twentieth and dotted infeasible" : ""}; drag a box over an axis to filter all views`,
    };
  },
};

/** A column laid out between 0 and 1 from the bottom up; below are those that have no value. */
function upright(study, column, parameters) {
  const scale = unit(column, numbered(study.all, column.values));
  const pad = (u) =>
    column.labels && column.labels.length > 1 ? 0.06 + 0.88 * u : column.labels ? 0.5 : u;
  const unpad = (u) => (column.labels ? (u - 0.06) / 0.88 : u);
  return {
    column,
    gaps: Boolean(parameters) && column.values.includes(null),
    key: `${column.labels ? "is" : parameters ? "in" : "of"}.${column.name}`,
    to: (value) => (typeof value === "number" ? pad(scale.to(value)) : NOT_SET),
    from: (u) => scale.from(unpad(u)),
  };
}

/** The name of an upright axis and what is written along it. */
function marksOf({ column, gaps, to, from }, x, last, colours, { narrow, most }) {
  const text = (y, content, more) => ({
    x,
    y,
    text: content,
    showarrow: false,
    font: { size: 11, color: colours.quiet },
    ...more,
  });
  // the outer ones begin and end at the edge, where half of them would be clipped
  const anchor =
    x === 0
      ? { xanchor: "left", xshift: -18 }
      : x === last
        ? { xanchor: "right", xshift: narrow ? 40 : 52 }
        : {};
  const title = text(1, `<b>${plain(column.name, most)}</b>`, {
    yshift: 18,
    font: { size: 12, color: colours.text },
    ...anchor,
  });
  const aside = { xanchor: "left", xshift: 4, bgcolor: faded(colours.card, 0.8) };
  const labels = column.labels && distinct(column.labels, most);
  const values = ticksBetween(column, from);
  const texts = apart(values);
  const places =
    labels?.map((label, k) => [to(k), label]) ?? values.map((value, k) => [to(value), texts[k]]);
  return [
    title,
    ...(gaps ? [text(NOT_SET, "not set", aside)] : []),
    ...thinned(places, 14).map(([y, content]) => text(y, content, aside)),
  ];
}

/** What is written along an axis of numbers: round numbers, unless the range has too few. */
function ticksBetween({ log, integer }, from) {
  const [low, high] = [from(0), from(1)];
  const round = log ? (roundBetween(low, high, 6) ?? []) : integer ? wholes(low, high, 5) : [];
  const within = round.filter((value) => value >= low * 0.999 && value <= high * 1.001);
  return within.length > 1 || integer ? within : [0, 0.25, 0.5, 0.75, 1].map(from);
}

const SHADES = {
  light: ["#d9dee4", "#a9c3dc", "#6ea3cf", "#2f7fbd", "#08508a", "#e07b00"],
  dark: ["#343c46", "#3d5a78", "#437aa8", "#4f9bd6", "#7cc0fa", "#ffb454"],
};

/** The infeasible rows, and then the others in groups from the worst to the best twentieth. */
function shades(study, rows, colours) {
  const order = ranked(
    study,
    rows.filter((i) => !isInfeasible(study, i)),
  ).reverse();
  const ends = [0.3, 0.5, 0.7, 0.85, 0.95].map((share) => Math.floor(share * order.length));
  return [
    [faded(colours.quiet, 0.5), rows.filter((i) => isInfeasible(study, i))],
    ...SHADES[colours.scheme].map((shade, k) => [shade, order.slice(ends[k - 1] ?? 0, ends[k])]),
  ];
}

function polylines(study, rows, metric, axes, line) {
  const trace = {
    type: "scatter",
    mode: "lines+markers",
    x: [],
    y: [],
    text: [],
    customdata: [],
    hovertemplate: "%{text}<extra></extra>",
    line,
    marker: { size: 3, color: line.color },
    selected: { marker: { opacity: 1 } },
    unselected: { marker: { opacity: 1 } },
  };
  for (const i of rows) {
    const text = hover(study, i, metric);
    axes.forEach(({ column, to }, x) => {
      trace.x.push(x);
      trace.y.push(to(column.values[i]));
      trace.text.push(text);
      trace.customdata.push(study.ids[i]);
    });
    for (const column of [trace.x, trace.y, trace.text, trace.customdata]) column.push(null);
  }
  return trace;
}

/** Takes the part of an upright axis under a box as a filter. */
function brush({ column, key, from, to }, [low, high]) {
  if (column.labels) {
    const inside = column.labels.filter((_, k) => to(k) >= low && to(k) <= high);
    if (inside.length) go({ [key]: inside });
    return;
  }
  const ends = [Math.max(0, low), Math.min(1, high)].map((u) =>
    String(Number(from(u).toPrecision(4))),
  );
  if (high > 0) go({ [key]: ends.join("..") });
}

function clearRanges() {
  const keys = [...address().keys()].filter((key) => /^(in|is|of)\./.test(key));
  go(Object.fromEntries(keys.map((key) => [key, null])));
}

const PAIR = ["cx", "cy"];

const contour = {
  id: "contour",
  title: "Two parameters",
  height: 380,
  controls: (study) =>
    axesChoice(
      PAIR,
      study.parameters.map((one) => one.name),
      pair(study),
    ),
  draw(study, rows, colours) {
    const metric = theMetric(study);
    if (study.parameters.length < 2) return { empty: "Needs two parameters." };
    const [x, y] = chosenAxes(PAIR, study.parameter, pair(study));
    const { marks, complete, left } = drawable(study, rows, metric, MOST_DOTS);
    const both = complete.filter((i) => x.values[i] !== null && y.values[i] !== null);
    if (both.length < 3 || x === y)
      return {
        empty:
          x === y
            ? "Choose two different parameters."
            : "Needs at least three complete trials with both parameters.",
      };
    const scale = { x: unit(x, both), y: unit(y, both) };
    const top = quantile(
      both.map((i) => metric.values[i]),
      metric.mode === "max" ? 0.02 : 0.98,
    );
    const log = isLog(both.map((i) => metric.values[i]));
    const bounded = (value) =>
      metric.mode === "max" ? Math.max(value, top) : Math.min(value, top);
    const held = (value) => (log ? Math.log10(bounded(value)) : bounded(value));
    const placed = both.map((i) => ({
      u: scale.x.to(x.values[i]),
      v: scale.y.to(y.values[i]),
      z: held(metric.values[i]),
    }));
    const smooth = !x.labels && !y.labels;
    const [across, up] = [x, y].map((one) => cellsOf(one, smooth));
    const z = smooth ? smoothed(placed) : averaged(placed, across.length, up.length);
    const seen = marks.filter((i) => x.values[i] !== null && y.values[i] !== null);
    const inSight = maskOf(study, both);
    const best = (study.best?.trials ?? []).filter((i) => inSight[i]).slice(0, 1);
    // dark around white, to be seen on any colour
    const ring = (color, width) =>
      points(study, best, metric, {
        x: best.map((i) => x.values[i]),
        y: best.map((i) => y.values[i]),
        showlegend: false,
        marker: { size: 14, color: "rgba(0,0,0,0)", symbol: "circle", line: { width, color } },
      });
    return {
      traces: [
        {
          type: smooth ? "contour" : "heatmap",
          x: across.map(scale.x.from),
          y: up.map(scale.y.from),
          z,
          colorscale: palette.scores,
          reversescale: metric.mode === "min",
          ...(smooth ? { ncontours: 14, line: { width: 0 } } : { xgap: 2, ygap: 2 }),
          connectgaps: false,
          hoverinfo: "skip",
          showlegend: false,
          colorbar: {
            thickness: 8,
            outlinewidth: 0,
            tickfont: { size: 11, color: colours.quiet },
            ...(log ? powers(z.flat()) : {}),
          },
        },
        points(study, seen, metric, {
          x: seen.map((i) => x.values[i]),
          y: seen.map((i) => y.values[i]),
          showlegend: false,
          marker: { size: 5, color: "rgba(255,255,255,.85)", line: { width: 1, color: "#1b1f24" } },
        }),
        ...(best.length ? [ring("#1b1f24", 6), ring("#ffffff", 2.5)] : []),
      ],
      layout: {
        xaxis: parameterAxis(colours, x),
        yaxis: parameterAxis(colours, y),
        showlegend: false,
      },
      caption: `${left}${metric.name}, ${smooth ? "smoothed over neighbouring trials" : "mean of each cell"}${metric.mode ? "; brighter is better, the ring is the best configuration" : ""}`,
    };
  },
};

/** Where a parameter is cut into cells, in the unit interval: at its categories, if it has any. */
function cellsOf(parameter, smooth) {
  const count = smooth ? CELLS : (parameter.labels?.length ?? COARSE);
  return Array.from({ length: count }, (_, k) => (count > 1 ? k / (count - 1) : 0));
}

/** Ticks for logarithms, written as what these are of. */
function powers(exponents) {
  const [low, high] = extent(exponents.filter((value) => value !== null));
  const tickvals = [0, 0.25, 0.5, 0.75, 1].map((share) => low + share * (high - low));
  return { tickmode: "array", tickvals, ticktext: tickvals.map((value) => shown(10 ** value, 2)) };
}

/** The two parameters that matter most, numbers before categories. */
function pair(study) {
  const { parameters } = study;
  const sorted = [
    ...parameters.filter((one) => !one.labels),
    ...parameters.filter((one) => one.labels),
  ];
  return sorted.slice(0, 2).map((one) => one.name);
}

/** A parameter's values to the unit interval and back. */
function unit(parameter, rows) {
  const place = (value) => (parameter.log ? Math.log(value) : value);
  const [low, high] = parameter.labels
    ? [0, parameter.labels.length - 1]
    : extent(rows.map((i) => place(parameter.values[i])));
  const width = high - low || 1;
  return {
    to: (value) => (place(value) - low) / width,
    from: (u) => (parameter.log ? Math.exp(low + u * width) : low + u * width),
  };
}
