// Views of scores: over the trials, by strategy and group, of two metrics; and what matters for them.

const BINS = 6;
const MOST_SHARES = 12;

const history_ = {
  id: "history",
  title: "History",
  wide: true,
  height: 340,
  draw(study, rows, colours) {
    const metric = theMetric(study);
    const { complete, marks, left } = drawable(study, rows, metric);
    if (!complete.length) return noScores(study);
    const kinds = grouped(rows, (i) => study.kinds[i]);
    const ofKind = (kind) => kinds.get(kind) ?? [];
    const cut = thinned(numbered(ofKind("ended early"), metric.values), MOST_MARKS / 2);
    const bad = thinned(ofKind("failed"), MOST_MARKS / 2);
    const inOrder = [...marks].sort((a, b) => a - b);
    const trace = (own, name, marker, more = {}) =>
      points(study, own, metric, {
        name,
        x: own.map((i) => i + 1),
        y: own.map((i) => metric.values[i]),
        marker: { size: 6, ...marker },
        ...more,
      });
    const feasible = bySweep(
      study,
      inOrder.filter((i) => !isInfeasible(study, i)),
    );
    const quiet = { color: colours.quiet };
    const traces = [
      ...feasible.map(([sweep, k, own]) => {
        const { colour, symbol } = seriesOf(colours, k);
        return trace(own, plain(sweep.name), { color: faded(colour, 0.7), symbol });
      }),
      trace(
        inOrder.filter((i) => isInfeasible(study, i)),
        "infeasible",
        { ...quiet, symbol: "diamond-open" },
      ),
      trace(cut, "ended early", { ...quiet, symbol: "circle-open" }),
      trace(numbered(ofKind("running"), metric.values), "running", {
        color: colours.accent,
        symbol: "circle-open-dot",
      }),
      ...(metric.mode ? [bestLine(study, rows, metric, colours)] : []),
      trace(
        bad,
        "failed",
        { color: colours.bad, symbol: "x-thin-open", size: 7 },
        { y: bad.map(() => 0), yaxis: "y2" },
      ),
    ].filter((one) => one.x.length);
    const values = [...complete, ...cut].map((i) => metric.values[i]);
    return {
      traces,
      layout: {
        xaxis: axis(colours, "trial", { range: [0, study.size + 1], anchor: "free", position: 0 }),
        yaxis: {
          ...numberAxis(
            colours,
            plain(metric.name, 32),
            values,
            isLog(complete.map((i) => metric.values[i])),
          ),
          domain: [bad.length ? 0.08 : 0, 1],
        },
        yaxis2: { domain: [0, 0.05], visible: false, range: [-1, 1], fixedrange: true },
        margin: ROOMY,
      },
      caption: `${left}${bestText(study, metric)}`,
    };
  },
};

/** The best of a metric as Python ranks it, and in which direction. */
function bestText(study, metric) {
  if (!metric.mode) return `${metric.name}: no direction is declared, so nothing is best.`;
  const last = metric.best.findLast((value) => value !== null);
  if (last === undefined) return `${metric.name}: no trial is complete and feasible yet.`;
  const own = study.best && metric === study.metrics[0];
  const text = own ? spreadText(study.best.score, study.best.std) : shown(last, 5);
  const where = own ? ` (${bestId(study)})` : "";
  return `Each point is a trial, the line is the best configuration so far: ${text}${where} · ${BETTER[metric.mode]}`;
}

function bestId(study) {
  return study.of[study.best.trials[0]].id;
}

/** The best value so far: of one sweep if no other is in sight, otherwise of all trials. */
function bestLine(study, rows, metric, colours) {
  const sweeps = new Set(rows.map((i) => study.trials.sweep[i]));
  const [only] = sweeps.size === 1 ? sweeps : [null];
  const best = only === null ? metric.best : metric.own;
  const kept = changesOf(study, metric, only);
  return {
    type: "scatter",
    mode: kept.length > 1 ? "lines" : "markers",
    name: "best so far",
    hoverinfo: "skip",
    x: kept.map((i) => i + 1),
    y: kept.map((i) => best[i]),
    line: { shape: "hv", color: colours.text, width: 2 },
    marker: { symbol: "line-ew-open", color: colours.text, size: 14 },
  };
}

/** The rows at which the best so far changes, of one sweep or of all. */
function changesOf(study, metric, sweep) {
  metric.changes ??= new Map();
  if (!metric.changes.has(sweep)) {
    const best = sweep === null ? metric.best : metric.own;
    const own = (i) => best[i] !== null && (sweep === null || study.trials.sweep[i] === sweep);
    metric.changes.set(sweep, changes(study.all.filter(own), best));
  }
  return metric.changes.get(sweep);
}

/** The rows at which a column's value is another than before, and the last one. */
function changes(rows, values) {
  return rows.filter((i, k) => values[i] !== values[rows[k - 1]] || k === rows.length - 1);
}

const SPENT = { trials: "trials", steps: "steps", seconds: "seconds in trials" };

const strategies = {
  id: "strategies",
  title: "Strategies",
  height: 320,
  controls: (study) => [
    choice(
      "Spent",
      "spent",
      Object.entries(SPENT).filter(([name]) => study.spent[name].some(Boolean)),
      "trials",
    ),
  ],
  draw(study, rows, colours) {
    const metric = theMetric(study);
    if (!metric.mode) return { empty: "No direction is declared for this metric." };
    const spent = asked("spent") in SPENT ? asked("spent") : "trials";
    const inSight = new Set(rows.map((i) => study.trials.sweep[i]));
    const known = study.all.filter(
      (i) => metric.own[i] !== null && inSight.has(study.trials.sweep[i]),
    );
    if (!known.length) return noScores(study);
    const traces = bySweep(study, known).flatMap(([sweep, k, own]) => {
      const { colour, dash, symbol } = seriesOf(colours, k);
      const kept = changes(own, metric.own);
      const x = kept.map((i) => study.spent[spent][i]);
      const y = kept.map((i) => metric.own[i]);
      const bound = (sign) => y.map((value, p) => value + sign * (metric.spread[kept[p]] ?? 0));
      const band = { x, mode: "lines", line: { shape: "hv", width: 0 }, ...SILENT };
      return [
        ...(kept.some((i) => metric.spread[i] !== null)
          ? [
              { ...band, y: bound(-1) },
              { ...band, y: bound(1), fill: "tonexty", fillcolor: faded(colour, 0.15) },
            ]
          : []),
        {
          type: "scatter",
          mode: new Set(x).size > 1 ? "lines" : "markers",
          name: plain(sweep.name),
          x,
          y,
          line: { shape: "hv", color: colour, dash, width: 2 },
          marker: { color: colour, symbol, size: 9 },
          hovertemplate: `%{y:.5g} after %{x}<extra>${plain(sweep.name)}</extra>`,
          customdata: kept.map((i) => ({
            says: `${sweep.name}, ${spreadText(metric.own[i], metric.spread[i])} after ${shown(study.spent[spent][i])} ${SPENT[spent]}`,
          })),
        },
      ];
    });
    const spread = traces.length > bySweep(study, known).length;
    return {
      traces,
      layout: {
        xaxis: axis(colours, `${SPENT[spent]} of the sweep`),
        yaxis: valueAxis(
          colours,
          metric,
          known.map((i) => metric.own[i]),
        ),
      },
      caption: `Best ${metric.name} so far of each sweep, by all ${spent === "trials" ? "trials that ended, pruned and failed ones included" : `${spent} spent`}${spread ? "; the band is ± std over replicates" : ""}`,
    };
  },
};

/** A trace that is neither in the legend nor under the pointer. */
const SILENT = { type: "scatter", hoverinfo: "skip", showlegend: false };

const importance = {
  id: "importance",
  title: "Importance",
  height: 320,
  controls: (study) => [
    choice(
      "Method",
      "method",
      [
        ["total", "total effect"],
        ["ped-anova", "PED-ANOVA"],
      ],
      "total",
    ),
    ...(study.parameters.length > MOST_SHARES
      ? [choice("Show", "shares", named([`top ${MOST_SHARES}`, "all"]), `top ${MOST_SHARES}`)]
      : []),
  ],
  draw(study, rows, colours, width) {
    const pools = study.importance.filter((pool) => pool.metric === theMetric(study).name);
    if (!pools.length)
      return {
        empty: "Needs at least 10 complete configurations, scores that differ and a known space.",
      };
    const method = asked("method", "total");
    const most = asked("shares") === "all" ? Infinity : MOST_SHARES;
    const kept = new Set(pools[0].methods[method].slice(0, most).map((one) => one.parameter));
    const names = [...kept].reverse();
    const traces = pools.map((pool, k) => {
      const found = pool.methods[method].filter((one) => kept.has(one.parameter));
      return {
        type: "bar",
        orientation: "h",
        name: plain(pool.sweeps.join(", ")),
        y: found.map((one) => names.indexOf(one.parameter)),
        x: found.map((one) => one.share),
        error_x: {
          array: found.map((one) => one.spread),
          color: colours.quiet,
          thickness: 1.2,
          width: 3,
        },
        marker: { color: seriesOf(colours, k).colour },
        text: found.map((one) => plain(one.parameter)),
        textposition: "none",
        hovertemplate: "%{text}: %{x:.1%}<extra></extra>",
        customdata: found.map(({ parameter, share, spread }, rank) => ({
          rank,
          says: `${[...(k ? pool.sweeps : []), parameter].join(", ")}: ${percent(share)} ± ${percent(spread)}`,
        })),
      };
    });
    const what =
      method === "total"
        ? "Share of what moves the score, interactions included"
        : "What tells the best tenth from the rest";
    const rest = pools[0].methods[method].slice(kept.size);
    const more = rest.length
      ? ` ${plural(rest.length, "more parameter")} together ${percent(rest.reduce((sum, one) => sum + one.share, 0))}.`
      : "";
    return {
      traces,
      layout: {
        bargap: 0.45,
        showlegend: pools.length > 1,
        yaxis: categoryAxis(colours, "", names, width < NARROW ? 16 : 26),
        xaxis: axis(colours, "share", { tickformat: ".0%", rangemode: "tozero" }),
      },
      height: Math.max(320, 90 + 22 * names.length),
      caption: `${what}.${more} Of all ${plural(pools[0].configurations, "complete configuration")}: filters would distort it.`,
    };
  },
};

const aggregation = {
  id: "aggregation",
  title: "Grouped",
  height: 380,
  controls(study) {
    const names = study.parameters.map((one) => [`p.${one.name}`, one.name]);
    return [
      choice(
        "By",
        "by",
        [["strategy", "strategy"], ["replicate", "replicate"], ...names],
        defaultGroup(study),
      ),
      choice("Show", "stat", named(Object.keys(STATISTICS)), "mean"),
      choice(
        "Bars",
        "bars",
        [
          ["ci", "95% CI"],
          ["sem", "sem"],
          ["std", "std"],
          ["none", "none"],
        ],
        "ci",
      ),
    ];
  },
  draw(study, rows, colours) {
    const metric = theMetric(study);
    const complete = scored(study, rows, metric);
    if (!complete.length) return noScores(study);
    const { groups, note } = groupedBy(study, complete, asked("by", defaultGroup(study)));
    const [stat, bars] = [asked("stat", "mean"), asked("bars", "ci")];
    const found = groups.map(([name, own]) => ({ name, values: own.map((i) => metric.values[i]) }));
    const means = found.map(({ values }) => mean(values));
    const errors = found.map(({ values }) => ERRORS[bars](values));
    const text = found.map(
      ({ name, values }, k) =>
        `<b>${plain(name)}</b><br>${stat} ${shown(STATISTICS[stat](values), 5)}<br>` +
        `mean ${shown(means[k], 5)}${errors[k] === null ? "" : ` ± ${shown(errors[k], 2)} (${bars === "ci" ? "95% CI" : bars})`}<br>n = ${values.length}`,
    );
    const x = found.map((_, k) => k);
    const customdata = found.map(({ name, values }, k) => ({
      says: `${name}: ${spoken(stat, STATISTICS[stat](values), means[k], errors[k])}, n = ${values.length}`,
    }));
    const traces = [
      {
        type: "scatter",
        mode: "markers",
        name: "mean",
        x,
        y: means,
        text,
        customdata,
        hovertemplate: "%{text}<extra></extra>",
        error_y: {
          array: errors.map((error) => error ?? 0),
          color: colours.quiet,
          thickness: 1.6,
          width: 5,
        },
        marker: {
          size: stat === "mean" ? 10 : 7,
          color: stat === "mean" ? colours.accent : colours.quiet,
          symbol: stat === "mean" ? "circle" : "line-ew-open",
        },
      },
    ];
    if (stat !== "mean") {
      traces.push({
        type: "scatter",
        mode: "markers",
        name: stat,
        x,
        y: found.map(({ values }) => STATISTICS[stat](values)),
        text,
        customdata,
        hovertemplate: "%{text}<extra></extra>",
        marker: { size: 10, symbol: "diamond", color: colours.accent },
      });
    }
    const reached = found.flatMap(({ values }, k) => [
      means[k] - (errors[k] ?? 0),
      means[k] + (errors[k] ?? 0),
      STATISTICS[stat](values),
    ]);
    const counts = found.map(
      ({ name, values }) => `${plain(name, 22).replace(" – ", "<br>– ")}<br>n = ${values.length}`,
    );
    const what =
      bars === "none"
        ? ""
        : `; bars are the mean ± ${bars === "ci" ? "95% confidence (Student’s t)" : bars}`;
    return {
      traces,
      layout: {
        showlegend: stat !== "mean",
        xaxis: { ...categoryAxis(colours, "", counts), ticktext: counts },
        yaxis: valueAxis(colours, metric, reached),
      },
      caption: `${capital(stat)} of ${metric.name} over complete trials${what}. ${note}${contrastText(study, asked("by", defaultGroup(study)))}`,
    };
  },
};

/** How the groups compare in pairs, as the command `compare --by` judges all trials. */
function contrastText(study, by) {
  return by in study.contrasts ? ` In pairs: ${study.contrasts[by]}.` : "";
}

function spoken(stat, value, centre, error) {
  const spread = error === null ? "" : ` ± ${shown(error, 2)}`;
  return `${stat === "mean" ? "" : `${stat} ${shown(value, 5)}, `}mean ${shown(centre, 5)}${spread}`;
}

function defaultGroup(study) {
  const { parameters, sweeps } = study;
  const first = parameters.find((one) => one.labels) ?? parameters[0];
  return sweeps.length > 1 || !first ? "strategy" : `p.${first.name}`;
}

/** Rows by strategy, replicate, or the values of a parameter, which are put into bins if many. */
function groupedBy(study, rows, by) {
  if (by === "strategy")
    return { groups: bySweep(study, rows).map(([sweep, , own]) => [sweep.name, own]), note: "" };
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
  const groups = Array.from({ length: BINS }, (_, k) =>
    sorted.slice(
      Math.round((k * sorted.length) / BINS),
      Math.round(((k + 1) * sorted.length) / BINS),
    ),
  )
    .filter((own) => own.length)
    .map((own) => [
      `${shown(parameter.values[own[0]], 2)} – ${shown(parameter.values[own.at(-1)], 2)}`,
      own,
    ]);
  return { groups, note: `${parameter.name} in ${groups.length} bins of equal size.` };
}

const METRICS = ["mx", "my"];

const pareto = {
  id: "pareto",
  title: "Trade-off",
  height: 380,
  controls(study) {
    const names = study.metrics.map((one) => one.name);
    return axesChoice(METRICS, names, names);
  },
  draw(study, rows, colours) {
    if (study.metrics.length < 2) return { empty: "Needs two metrics." };
    const names = study.metrics.map((one) => one.name);
    const [x, y] = chosenAxes(METRICS, study.metric, names);
    const inSight = maskOf(study, rows);
    const found = study.configurations
      .filter(
        ({ trials, means }) =>
          trials.some((i) => inSight[i]) && x.name in means && y.name in means,
      )
      .map((one) => ({ ...one, i: one.trials[0], x: one.means[x.name], y: one.means[y.name] }));
    if (!found.length) return noScores(study);
    const { goals } = study.sweeps[0];
    const ofFront = found.filter((one) => one.front && one.objective === 0);
    const best = goals.length > 1 ? ofFront.sort((a, b) => a.x - b.x) : [];
    const flat =
      goals.length === 2 && goals.every(({ metric }) => [x.name, y.name].includes(metric));
    const infeasible = found.filter((one) => !one.feasible);
    const shownPoints = thinned(
      found.filter((one) => one.feasible),
      MOST_MARKS,
    );
    const trace = (own, more) =>
      points(
        study,
        own.map((one) => one.i),
        null,
        {
          x: own.map((one) => one.x),
          y: own.map((one) => one.y),
          text: own.map((one) => {
            const means = [x, y].map(
              ({ name }) => `${plain(name)} ${spreadText(one.means[name], one.stds[name])}`,
            );
            return [hover(study, one.i), ...means].join("<br>");
          }),
          ...more,
        },
      );
    const better = ({ name, mode }) => `${plain(name)}${mode ? ` (${BETTER[mode]})` : ""}`;
    return {
      traces: [
        trace(shownPoints, {
          name: "configurations",
          marker: { size: 6, color: faded(colours.quiet, 0.5) },
        }),
        trace(thinned(infeasible, MOST_MARKS), {
          name: "infeasible",
          marker: { size: 6, color: colours.quiet, symbol: "diamond-open" },
        }),
        trace(best, {
          name: "Pareto front",
          mode: flat ? "lines+markers" : "markers",
          line: { shape: "hv", color: colours.accent, width: 2 },
          marker: { size: 9, color: colours.accent, symbol: "diamond" },
        }),
      ].filter((one) => one.x.length),
      layout: { xaxis: axis(colours, better(x)), yaxis: axis(colours, better(y)) },
      caption:
        (best.length
          ? `${plural(best.length, "configuration")} of ${found.length} on the front, means over replicates`
          : "A front needs two metrics with a direction, and a feasible configuration") +
        (infeasible.length ? `; ${infeasible.length} infeasible` : ""),
    };
  },
};
