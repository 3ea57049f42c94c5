// Drawing: plotly is unpacked after the first paint, a figure is drawn when it comes into sight.

const dark = matchMedia("(prefers-color-scheme: dark)");

/** The colours that are asked for, otherwise those of the system; on paper light ones. */
function scheme() {
  if (document.body.dataset.printing) return "light";
  return asked("theme") || (dark.matches ? "dark" : "light");
}

let palette = null;

const plotly = () => {
  plotly.ready ??= unpacked("plotly").then((source) => {
    const script = document.createElement("script");
    script.textContent = source;
    document.head.append(script);
    return window.Plotly;
  });
  return plotly.ready;
};

function theme() {
  const style = getComputedStyle(document.documentElement);
  const names = ["text", "quiet", "line", "card", "accent", "good", "bad", "soft"];
  return {
    ...Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()])),
    scheme: scheme(),
    series: palette[scheme()],
  };
}

function seriesOf(colours, k) {
  return {
    colour: colours.series[k % colours.series.length],
    symbol: palette.symbols[k % palette.symbols.length],
    dash: palette.dashes[k % palette.dashes.length],
  };
}

function faded(colour, share) {
  return (
    colour +
    Math.round(share * 255)
      .toString(16)
      .padStart(2, "0")
  );
}

/** An axis as we draw all of them. */
function axis(colours, title, more = {}) {
  return {
    title: { text: title, standoff: 8, font: { size: 12, color: colours.quiet } },
    gridcolor: colours.line,
    linecolor: colours.line,
    zeroline: false,
    automargin: true,
    tickfont: { size: 11, color: colours.quiet },
    exponentformat: "e",
    minexponent: 5,
    nticks: 7,
    ...more,
  };
}

/** An axis of numbers, in decades if logarithmic and long enough. */
function numberAxis(colours, title, values, log, nticks = 7) {
  if (!log) return axis(colours, title, { nticks });
  const [low, high] = extent(values);
  const tickvals = roundBetween(low, high, nticks);
  const ticks = tickvals
    ? { tickmode: "array", tickvals, ticktext: tickvals.map((value) => shown(value, 1)) }
    : { dtick: Math.ceil(Math.log10(high / low) / nticks) };
  return axis(colours, title, { type: "log", ...ticks });
}

/** Round numbers in a range and a little around it, at most so many; null if not even powers of 10 fit. */
function roundBetween(low, high, most) {
  const powers = [];
  for (let k = Math.floor(Math.log10(low)); k <= Math.log10(high) + 0.1; k++) powers.push(k);
  for (const digits of [[1, 2, 3, 5], [1, 2, 5], [1, 3], [1]]) {
    const all = powers.flatMap((power) => digits.map((digit) => Number(`${digit}e${power}`)));
    const within = all.filter((value) => value >= low * 0.8 && value <= high * 1.25);
    if (within.length <= most) return within;
  }
  return null;
}

/** Whole numbers in a range, about so many. */
function wholes(low, high, most) {
  const [first, last] = [Math.ceil(low - 1e-9), Math.floor(high + 1e-9)];
  const step = Math.max(1, Math.ceil((last - first) / most));
  return Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, k) => first + k * step);
}

function categoryAxis(colours, title, labels, most = 12) {
  return axis(colours, title, {
    tickmode: "array",
    tickvals: labels.map((_, k) => k),
    ticktext: distinct(labels, most),
    range: [-0.6, labels.length - 0.4],
    showgrid: false,
  });
}

function parameterAxis(colours, parameter, most = 28) {
  const title = plain(parameter.name, most);
  if (parameter.labels) return categoryAxis(colours, title, parameter.labels);
  const values = parameter.values.filter((value) => value !== null);
  const whole = parameter.integer && !parameter.log;
  const ticks = whole ? { tickmode: "array", tickvals: wholes(...extent(values), 5) } : {};
  return { ...numberAxis(colours, title, values, parameter.log, 5), ...ticks };
}

function layoutOf(colours, more) {
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colours.text },
    margin: { l: 8, r: 10, t: 8, b: 8 },
    hovermode: "closest",
    dragmode: matchMedia("(pointer: fine)").matches ? "zoom" : false, // fingers scroll
    uirevision: [asked("metric"), asked("scale"), asked("axes"), asked("cx"), asked("cy"), asked("across")].join(),
    showlegend: true,
    legend: {
      orientation: "h",
      traceorder: "normal",
      x: 0,
      y: 1.02,
      yanchor: "bottom",
      font: { size: 12, color: colours.quiet },
    },
    hoverlabel: {
      bgcolor: colours.card,
      bordercolor: colours.line,
      align: "left",
      font: { color: colours.text, size: 12 },
    },
    ...more,
  };
}

/** Opens what a point stands for: a trial by its name, or another run. */
function openPoint(customdata) {
  if (typeof customdata === "string") go({ trial: customdata });
  else if (customdata?.go) goToStudy(customdata.go);
}

const CONFIG = { displayModeBar: false, scrollZoom: false, doubleClick: "reset" };

const NEAR = 200; // pixels

/** The card of a view; draws itself when it is in sight and something has changed. */
class Card {
  constructor(view, study, redraw) {
    this.view = view;
    this.study = study;
    this.dirty = true;
    this.controls = (view.controls?.(study) ?? []).filter((one) => one !== null);
    this.caption = element("p", { class: "caption" });
    this.plot = element("div", {
      class: "plot",
      role: "application",
      tabindex: "0",
      "aria-roledescription": "figure",
      "aria-describedby": "keys",
    });
    this.spoken = element("p", { class: "unseen", role: "status" });
    this.keys = new Keys(this.plot, this.spoken);
    this.node = element(
      "section",
      {
        class: view.wide ? "view wide" : "view",
        id: view.id,
        "aria-labelledby": `${view.id}-title`,
      },
      element(
        "div",
        { class: "head" },
        element("h2", { id: `${view.id}-title` }, view.title),
        element(
          "div",
          { class: "controls" },
          this.controls.map((one) => one.node),
          menu("Save", `Save ${view.title}`, {
            PNG: () => this.save("png"),
            SVG: () => this.save("svg"),
          }),
        ),
      ),
      this.caption,
      this.plot,
      this.spoken,
    );
    this.plot.style.cssText = `height:${view.height ?? 320}px`;
    this.watcher = new IntersectionObserver(redraw, { rootMargin: `${NEAR}px` });
    this.watcher.observe(this.node);
    // a card changes its width also when its neighbours come or go
    this.resizer = new ResizeObserver(() => {
      if (this.listening && this.plot.offsetWidth) window.Plotly.Plots.resize(this.plot);
    });
    this.resizer.observe(this.plot);
  }

  /** Whether the card can be seen, or soon; the watcher would tell it only some time later. */
  get inSight() {
    const { top, bottom } = this.node.getBoundingClientRect();
    return top < innerHeight + NEAR && bottom > -NEAR;
  }

  mark() {
    this.dirty = true;
    this.node.removeAttribute("data-drawn");
    this.controls.forEach((one) => one.sync());
  }

  /** Draws what the view makes of the rows. */
  async draw(rows) {
    this.dirty = false;
    const colours = theme();
    const figure = this.view.draw(this.study, rows, colours, this.node.clientWidth);
    this.caption.textContent = figure.caption ?? figure.empty ?? "";
    this.plot.classList.toggle("empty", !figure.traces);
    this.node.classList.toggle("vacant", !figure.traces);
    this.plot.setAttribute("aria-label", `${this.view.title}. ${this.caption.textContent}`);
    if (figure.traces) {
      const Plotly = await plotly();
      if (figure.height) this.plot.style.cssText = `height:${figure.height}px`;
      await Plotly.react(this.plot, figure.traces, layoutOf(colours, figure.layout), CONFIG);
      this.listen(figure);
    }
    this.node.dataset.drawings = Number(this.node.dataset.drawings ?? 0) + 1;
    this.node.toggleAttribute("data-drawn", !this.dirty);
  }

  listen(figure) {
    this.keys.follow(this.study, figure.traces);
    this.brushed = figure.brushed;
    if (this.listening) return;
    this.listening = true;
    this.plot.on("plotly_click", ({ points: [point] }) => {
      openPoint(point?.customdata);
    });
    this.plot.on("plotly_selected", (event) => event?.range && this.brushed?.(event.range));
  }

  async save(format) {
    const { data, layout, offsetWidth: width, offsetHeight: height } = this.plot;
    if (!data) return;
    const opaque = { ...layout, paper_bgcolor: theme().card };
    const options = { format, width, height, scale: format === "png" ? 2 : 1 };
    saved(
      `${this.view.id}.${format}`,
      await window.Plotly.toImage({ data, layout: opaque }, options),
    );
  }

  close() {
    this.watcher.disconnect();
    this.resizer.disconnect();
    this.keys.traces = null; // the focus leaves what is no plot any more
    if (this.listening) window.Plotly.purge(this.plot);
  }
}
