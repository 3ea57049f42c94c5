// Views of scores over parameters: one, two, or all of them.

const MOST_DOTS = 300;
const COARSE = 8;

const slices = {
  id: "slices",
  title: "Parameters",
  wide: true,
  draw(study, rows, colours, narrow) {
    const metric = theMetric(study);
    const { marks, complete, left } = drawable(study, rows, metric);
    const shownParameters = study.parameters.slice(0, 12);
    if (!complete.length || !shownParameters.length) return NO_SCORES;
    const columns = Math.min(narrow ? 1 : 4, shownParameters.length);
    const lines = Math.ceil(shownParameters.length / columns);
    const layout = { showlegend: study.sweeps.length > 1 };
    const traces = [];
    const y = valueAxis(
      colours,
      metric,
      complete.map((i) => metric.values[i]),
    );
    shownParameters.forEach((parameter, p) => {
      const [column, line] = [p % columns, Math.floor(p / columns)];
      const n = p ? String(p + 1) : "";
      const gap = narrow ? 0.12 : 0.035;
      const width = (1 - gap * (columns - 1)) / columns;
      const down = 0.3 / lines;
      const height = (1 - down * (lines - 1)) / lines;
      const start = 1 - line * (height + down) - height;
      layout[`xaxis${n}`] = {
        ...parameterAxis(colours, parameter),
        domain: [column * (width + gap), column * (width + gap) + width],
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
        traces.push(
          points(study, own, metric, {
            name: plain(sweep.name),
            legendgroup: sweep.name,
            showlegend: p === 0,
            x: own.map((i) => parameter.values[i] + (parameter.labels ? spread(i) : 0)),
            y: own.map((i) => metric.values[i]),
            xaxis: `x${n}`,
            yaxis: `y${n}`,
            marker: { color: faded(colour, 0.55), symbol, size: 5 },
          }),
        );
      }
    });
    const more =
      study.parameters.length > 12 ? `The first 12 of ${study.parameters.length} parameters. ` : "";
    return {
      traces,
      layout,
      height: 60 + lines * 230,
      caption: `${left}${more}${metric.name} over each parameter${metric.mode ? `; ${BETTER[metric.mode]}` : ""}`,
    };
  },
};

/** A place beside a category, always the same for a row. */
function spread(i) {
  return (((i * 0.618034) % 1) - 0.5) * 0.5;
}

const parallel = {
  id: "parallel",
  title: "Parallel coordinates",
  wide: true,
  height: 380,
  controls: () => [
    {
      node: element("button", { type: "button", onclick: clearRanges }, "Clear ranges"),
      sync() {},
    },
  ],
  draw(study, rows, colours, narrow) {
    const metric = theMetric(study);
    const { marks, complete, left } = drawable(study, rows, metric);
    const all = study.parameters.filter((one) => marks.some((i) => one.values[i] !== null));
    if (!complete.length || !all.length) return NO_SCORES;
    const parameters = all.slice(0, narrow ? 3 : 9);
    const axes = [
      ...parameters.map((one) => upright(study, one)),
      upright(study, { ...metric, log: isLog(marks.map((i) => metric.values[i])) }),
    ];
    const annotations = axes.flatMap((one, x) => marksOf(one, x, colours, narrow));
    const shapes = axes.map((_, x) => ({
      type: "line",
      x0: x,
      x1: x,
      y0: 0,
      y1: 1,
      line: { color: colours.quiet, width: 1 },
    }));
    const hidden = { visible: false, fixedrange: true };
    const more =
      parameters.length < all.length
        ? `The first ${parameters.length} of ${all.length} parameters. `
        : "";
    return {
      traces: [...shades(study, marks, metric), [colours.text, chosenOf(study, marks)]].map(
        ([colour, own], k) => polylines(study, own, metric, axes, colour, k === 6 ? 3 : 1.3),
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
        yaxis: { ...hidden, range: [-0.06, 1.04] },
      },
      brushed: (box) =>
        axes.slice(0, -1).forEach((one, x) => x >= box.x[0] && x <= box.x[1] && brush(one, box.y)),
      caption: `${left}${more}Each line is a trial${metric.mode ? ", stronger is better and orange the best twentieth" : ""}; drag a box over an axis to filter all views`,
    };
  },
};

/** A column laid out between 0 and 1 from the bottom up. */
function upright(study, column) {
  const scale = unit(column, numbered(study.all, column.values));
  const pad = (u) =>
    column.labels && column.labels.length > 1 ? 0.06 + 0.88 * u : column.labels ? 0.5 : u;
  const unpad = (u) => (column.labels ? (u - 0.06) / 0.88 : u);
  return { column, to: (value) => pad(scale.to(value)), from: (u) => scale.from(unpad(u)) };
}

/** The name of an upright axis and what is written along it. */
function marksOf({ column, to, from }, x, colours, narrow) {
  const text = (y, content, more) => ({
    x,
    y,
    text: content,
    showarrow: false,
    font: { size: 11, color: colours.quiet },
    ...more,
  });
  const most = narrow ? 9 : 16;
  const title = text(1, `<b>${plain(column.name, most)}</b>`, {
    yshift: 18,
    font: { size: 12, color: colours.text },
  });
  const beside = { xanchor: "left", xshift: 4, bgcolor: faded(colours.card, 0.8) };
  const places = column.labels
    ? column.labels.map((label, k) => [to(k), plain(label, most)])
    : [0, 0.25, 0.5, 0.75, 1].map((u) => [u, shown(from(u), 2)]);
  return [title, ...places.slice(0, 14).map(([y, content]) => text(y, content, beside))];
}

const SHADES = {
  light: ["#d9dee4", "#a9c3dc", "#6ea3cf", "#2f7fbd", "#08508a", "#e07b00"],
  dark: ["#343c46", "#3d5a78", "#437aa8", "#4f9bd6", "#7cc0fa", "#ffb454"],
};

/** The rows in groups from the worst, and infeasible ones, to the best twentieth. */
function shades(study, rows, metric) {
  const broken = rows.filter((i) => isInfeasible(study, i));
  const order = ranked(study, rows, metric).slice(0, rows.length - broken.length).reverse();
  const ends = [0.3, 0.5, 0.7, 0.85, 0.95, 1].map((share) => Math.round(share * order.length));
  const colours = dark.matches ? SHADES.dark : SHADES.light;
  return ends.map((end, k) => [
    colours[k],
    [...(k ? [] : broken), ...order.slice(ends[k - 1] ?? 0, end)],
  ]);
}

function polylines(study, rows, metric, axes, colour, width) {
  const trace = {
    type: "scatter",
    mode: "lines+markers",
    x: [],
    y: [],
    text: [],
    customdata: [],
    hovertemplate: "%{text}<extra></extra>",
    line: { color: colour, width },
    marker: { size: 3, color: colour },
    selected: { marker: { opacity: 1 } },
    unselected: { marker: { opacity: 1 } },
  };
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
  const ends = [Math.max(0, low), Math.min(1, high)].map((u) =>
    String(Number(from(u).toPrecision(4))),
  );
  go({ [`in.${column.name}`]: ends.join("..") });
}

function clearRanges() {
  const keys = [...address().keys()].filter(
    (key) => key.startsWith("in.") || key.startsWith("is."),
  );
  go(Object.fromEntries(keys.map((key) => [key, null])));
}

const contour = {
  id: "contour",
  title: "Two parameters",
  height: 380,
  controls(study) {
    const names = study.parameters.map((one) => one.name);
    if (names.length < 2) return [];
    return [
      choice("x", "cx", named(names), pair(study)[0]),
      choice("y", "cy", named(names), pair(study)[1]),
    ];
  },
  draw(study, rows, colours) {
    const metric = theMetric(study);
    if (study.parameters.length < 2) return { empty: "Needs two parameters." };
    const [x, y] = ["cx", "cy"].map(
      (key, k) => study.parameter.get(asked(key)) ?? study.parameter.get(pair(study)[k]),
    );
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
    const first = ranked(study, both, metric)[0];
    const best = metric.mode && !isInfeasible(study, first) ? [first] : [];
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
        points(study, best, metric, {
          x: best.map((i) => x.values[i]),
          y: best.map((i) => y.values[i]),
          showlegend: false,
          marker: {
            size: 13,
            color: "rgba(0,0,0,0)",
            symbol: "circle",
            line: { width: 2.5, color: "#ffffff" },
          },
        }),
      ],
      layout: {
        xaxis: parameterAxis(colours, x),
        yaxis: parameterAxis(colours, y),
        showlegend: false,
      },
      caption: `${left}${metric.name}, ${smooth ? "smoothed over neighbouring trials" : "mean of each cell"}${metric.mode ? "; brighter is better, the ring is the best" : ""}`,
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
  const known = study.importance[0]?.methods.total.map((one) => one.parameter) ?? [];
  const names = [...new Set([...known, ...study.parameters.map((one) => one.name)])];
  const rest = (name) => Boolean(study.parameter.get(name)?.labels);
  return [...names.filter((name) => !rest(name)), ...names.filter(rest)].slice(0, 2);
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
