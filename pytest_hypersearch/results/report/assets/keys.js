// Figures by keyboard: keys step through the trials that a figure draws, or through its groups. What
// a point is, its customdata tells: the trial's name, or { says } with the words for a group, and its
// { rank } among them if they are not drawn in order.

const PAGE_STEP = 10;

/** What keys step through, in the order of the trials: its name or words, and where it is drawn. */
function stopsOf(study, traces) {
  const stops = new Map();
  traces.forEach((trace, curveNumber) => {
    const subplot = `${trace.xaxis ?? "x"}${trace.yaxis ?? "y"}`;
    trace.customdata?.forEach((known, pointNumber) => {
      if (!known || trace.y[pointNumber] === null) return;
      const key = known.says ?? known;
      const place = study.place.get(known);
      if (!stops.has(key))
        stops.set(key, { key, place, known, rank: known.rank, spots: new Map() });
      stops.get(key).spots.set(subplot, { curveNumber, pointNumber });
    });
  });
  const order = ({ place, rank }) => place ?? rank ?? 0;
  return [...stops.values()].sort((a, b) => order(a) - order(b));
}

function words(study, { key, place }) {
  if (place === undefined) return key;
  const metric = theMetric(study);
  const pairs = [[metric.name, shown(metric.values[place], 5)], ...configuration(study, place)];
  return [key, stateText(study, place), ...pairs.map((pair) => pair.join(" "))].join(", ");
}

/** Where a key leads from a stop among so many, null for keys that lead nowhere. */
function target(key, at, count) {
  const steps = {
    ArrowRight: at + 1,
    ArrowDown: at + 1,
    ArrowLeft: at - 1,
    ArrowUp: at - 1,
    PageDown: at + PAGE_STEP,
    PageUp: at - PAGE_STEP,
    Home: 0,
    End: count - 1,
  };
  return key in steps ? Math.min(count - 1, Math.max(0, steps[key])) : null;
}

/** Lets keys step through the points of a plot that plotly has drawn. */
class Keys {
  constructor(plot, spoken) {
    this.plot = plot;
    this.spoken = spoken;
    this.key = null;
    plot.addEventListener("keydown", (event) => this.press(event));
    plot.addEventListener("focus", () => this.show());
    plot.addEventListener("blur", () => this.hide());
  }

  /** Takes over what was drawn anew. */
  follow(study, traces) {
    Object.assign(this, { study, traces, known: null });
    if (document.activeElement === this.plot) this.show();
  }

  get stops() {
    return (this.known ??= stopsOf(this.study, this.traces));
  }

  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.traces) return;
    const at = this.stops.findIndex(({ key }) => key === this.key);
    const next = target(event.key, at, this.stops.length);
    if (event.key === "Escape") this.forget();
    else if (event.key === "Enter" && this.stops[at]) {
      event.preventDefault(); // the button that gets the focus is not pressed
      openPoint(this.stops[at].known);
    } else if (next !== null && this.stops.length) {
      event.preventDefault();
      this.key = this.stops[next].key;
      this.show();
    }
  }

  /** Shows what the pointer would show over the point, and says it. */
  show() {
    const stop = this.key === null ? null : this.stops.find(({ key }) => key === this.key);
    if (!stop) return;
    this.spoken.textContent = words(this.study, stop);
    window.Plotly.Fx.hover(this.plot, [...stop.spots.values()], [...stop.spots.keys()]);
  }

  forget() {
    this.key = null;
    this.hide();
  }

  hide() {
    this.spoken.textContent = "";
    if (this.traces) window.Plotly.Fx.unhover(this.plot);
  }
}
