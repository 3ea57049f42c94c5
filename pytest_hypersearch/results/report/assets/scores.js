// Views of scores: over the trials, by strategy and group, of two metrics; and what matters for them.

const BINS = 6;

const history_ = {
  id: "history",
  title: "History",
  wide: true,
  height: 340,
  draw(study, rows, colours) {
    const metric = theMetric(study);
    const scored = numbered(rows, metric.values);
    const complete = scored.filter((i) => isComplete(study, i));
    if (!complete.length) return NO_SCORES;
    const { marks, left } = drawable(study, rows, metric);
    const inOrder = [...marks].sort((a, b) => a - b);
    const traces = bySweep(
      study,
      inOrder.filter((i) => !isInfeasible(study, i)),
    ).map(([sweep, k, own]) => {
      const { colour, symbol } = seriesOf(colours, k);
      return points(study, own, metric, {
        name: plain(sweep.name),
        x: own.map((i) => i + 1),
        y: own.map((i) => metric.values[i]),
        marker: { color: faded(colour, 0.7), symbol, size: 6 },
      });
    });
    const cut = thinned(
      scored.filter((i) => !isComplete(study, i) && !ENDED_BADLY.has(study.trials.state[i])),
      MOST_MARKS / 2,
    );
    for (const [name, own, symbol] of [
      ["infeasible", inOrder.filter((i) => isInfeasible(study, i)), "diamond-open"],
      ["ended early", cut, "circle-open"],
    ]) {
      if (!own.length) continue;
      traces.push(
        points(study, own, metric, {
          name,
          x: own.map((i) => i + 1),
          y: own.map((i) => metric.values[i]),
          marker: { color: colours.quiet, symbol, size: 6 },
        }),
      );
    }
    if (metric.mode) traces.push(bestLine(study, rows, metric, colours));
    const bad = thinned(
      rows.filter((i) => ENDED_BADLY.has(study.trials.state[i])),
      MOST_MARKS / 2,
    );
    if (bad.length) {
      traces.push(
        points(study, bad, null, {
          name: "failed",
          x: bad.map((i) => i + 1),
          y: bad.map(() => 0),
          yaxis: "y2",
          marker: { color: colours.bad, symbol: "x-thin-open", size: 7 },
        }),
      );
    }
    const top = metric.mode && ranked(study, complete, metric)[0];
    const none = top != null && isInfeasible(study, top);
    return {
      traces,
      layout: {
        xaxis: axis(colours, "trial", { range: [0, study.size + 1], anchor: "free", position: 0 }),
        yaxis: {
          ...numberAxis(
            colours,
            plain(metric.name, 32),
            [...complete, ...cut].map((i) => metric.values[i]),
            isLog(complete.map((i) => metric.values[i])),
          ),
          domain: [bad.length ? 0.08 : 0, 1],
        },
        yaxis2: { domain: [0, 0.05], visible: false, range: [-1, 1], fixedrange: true },
      },
      caption:
        top == null || none
          ? `${left}${metric.name}: ${none ? "no trial here is feasible" : "no direction is declared"}, so nothing is best.`
          : `${left}${capital(BEST[metric.mode])} ${metric.name} ${shown(metric.values[top], 5)} at ${study.ids[top]} · ${BETTER[metric.mode]}`,
    };
  },
};

/** The best value so far: of one sweep if no other is in sight, otherwise of all trials. */
function bestLine(study, rows, metric, colours) {
  const sweeps = new Set(rows.map((i) => study.trials.sweep[i]));
  const best = sweeps.size === 1 ? metric.own : metric.best;
  const known = study.all.filter(
    (i) => best[i] !== null && (sweeps.size !== 1 || sweeps.has(study.trials.sweep[i])),
  );
  const kept = changes(known, best);
  return {
    type: "scatter",
    mode: "lines",
    name: "best so far",
    hoverinfo: "skip",
    x: kept.map((i) => i + 1),
    y: kept.map((i) => best[i]),
    line: { shape: "hv", color: colours.text, width: 2 },
  };
}

/** The rows at which a column's value is another than before, and the last one. */
function changes(rows, values) {
  return rows.filter((i, k) => values[i] !== values[rows[k - 1]] || k === rows.length - 1);
}

const strategies = {
  id: "strategies",
  title: "Strategies",
  height: 320,
  draw(study, rows, colours) {
    const metric = theMetric(study);
    if (!metric.mode) return { empty: "No direction is declared for this metric." };
    const inSight = new Set(rows.map((i) => study.trials.sweep[i]));
    const known = study.all.filter(
      (i) => metric.own[i] !== null && inSight.has(study.trials.sweep[i]),
    );
    if (!known.length) return NO_SCORES;
    const traces = bySweep(study, known).map(([sweep, k, own]) => {
      const { colour, dash } = seriesOf(colours, k);
      const kept = changes(own, metric.own);
      return {
        type: "scatter",
        mode: "lines",
        name: plain(sweep.name),
        x: kept.map((i) => study.trials.nth[i]),
        y: kept.map((i) => metric.own[i]),
        line: { shape: "hv", color: colour, dash, width: 2 },
        hovertemplate: `%{y:.5g} after %{x}<extra>${plain(sweep.name)}</extra>`,
        customdata: kept.map((i) => ({
          says: `${sweep.name}, ${shown(metric.own[i], 5)} after ${plural(study.trials.nth[i], "trial")}`,
        })),
      };
    });
    return {
      traces,
      layout: {
        xaxis: axis(colours, "trials of the sweep"),
        yaxis: valueAxis(
          colours,
          metric,
          known.map((i) => metric.own[i]),
        ),
      },
      caption: `Best ${metric.name} so far of each sweep, over all its trials`,
    };
  },
};

const importance = {
  id: "importance",
  title: "Importance",
  height: 320,
  controls: () => [
    choice(
      "Method",
      "method",
      [
        ["total", "total effect"],
        ["ped-anova", "PED-ANOVA"],
      ],
      "total",
    ),
  ],
  draw(study, rows, colours, narrow) {
    const pools = study.importance.filter((pool) => pool.metric === theMetric(study).name);
    if (!pools.length)
      return {
        empty: "Needs at least 10 complete configurations, scores that differ and a known space.",
      };
    const method = asked("method", "total");
    const traces = pools.map((pool, k) => {
      const found = [...pool.methods[method]].reverse();
      return {
        type: "bar",
        orientation: "h",
        name: plain(pool.sweeps.join(", ")),
        y: found.map((one) => plain(one.parameter, narrow ? 14 : 24)),
        x: found.map((one) => one.share),
        error_x: {
          array: found.map((one) => one.spread),
          color: colours.quiet,
          thickness: 1.2,
          width: 3,
        },
        marker: { color: seriesOf(colours, k).colour },
        hovertemplate: "%{y}: %{x:.1%}<extra></extra>",
        customdata: found.map(({ parameter, share, spread }, rank) => ({
          rank: -rank,
          says: `${[...(k ? pool.sweeps : []), parameter].join(", ")}: ${percent(share)} ± ${percent(spread)}`,
        })),
      };
    });
    const what =
      method === "total"
        ? "Share of what moves the score, interactions included"
        : "What tells the best tenth from the rest";
    return {
      traces,
      layout: {
        bargap: 0.45,
        showlegend: pools.length > 1,
        yaxis: axis(colours, "", { showgrid: false }),
        xaxis: axis(colours, "share", { tickformat: ".0%", rangemode: "tozero" }),
      },
      height: Math.max(320, 90 + 26 * pools[0].methods[method].length),
      caption: `${what}. Of all ${plural(pools[0].configurations, "complete configuration")}: filters would distort it.`,
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
    const complete = numbered(rows, metric.values).filter((i) => isComplete(study, i));
    if (!complete.length) return NO_SCORES;
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
      caption: `${capital(stat)} of ${metric.name} over complete trials${what}. ${note}`,
    };
  },
};

function spoken(stat, value, centre, error) {
  const spread = error === null ? "" : ` ± ${shown(error, 2)}`;
  return `${stat === "mean" ? "" : `${stat} ${shown(value, 5)}, `}mean ${shown(centre, 5)}${spread}`;
}

function defaultGroup(study) {
  const category = study.parameters.find((one) => one.labels);
  if (study.sweeps.length > 1) return "strategy";
  return category
    ? `p.${category.name}`
    : study.parameters.length
      ? `p.${pair(study)[0]}`
      : "strategy";
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

const pareto = {
  id: "pareto",
  title: "Trade-off",
  height: 380,
  controls(study) {
    const names = study.metrics.map((one) => one.name);
    return names.length < 2
      ? []
      : [choice("x", "mx", named(names), names[0]), choice("y", "my", named(names), names[1])];
  },
  draw(study, rows, colours) {
    if (study.metrics.length < 2) return { empty: "Needs two metrics." };
    const [x, y] = ["mx", "my"].map((key, k) => study.metric.get(asked(key)) ?? study.metrics[k]);
    const inSight = new Set(rows);
    const found = study.configurations
      .filter(
        ({ trials, means }) =>
          trials.some((i) => inSight.has(i)) && x.name in means && y.name in means,
      )
      .map((one) => ({ ...one, i: one.trials[0], x: one.means[x.name], y: one.means[y.name] }));
    if (!found.length) return NO_SCORES;
    const goals = study.sweeps[0].goals;
    const best = goals.length > 1 ? front(found, goals).sort((a, b) => a.x - b.x) : [];
    const flat =
      goals.length === 2 && goals.every(({ metric }) => [x.name, y.name].includes(metric));
    const infeasible = found.filter((one) => !one.feasible).length;
    const shownPoints = thinned(found, MOST_MARKS);
    const trace = (own, more) =>
      points(
        study,
        own.map((one) => one.i),
        null,
        {
          x: own.map((one) => one.x),
          y: own.map((one) => one.y),
          text: own.map(
            (one) =>
              `${hover(study, one.i)}<br>${plain(x.name)} ${shown(one.x, 5)}<br>${plain(y.name)} ${shown(one.y, 5)}`,
          ),
          ...more,
        },
      );
    const traces = [
      trace(shownPoints, {
        name: "configurations",
        marker: { size: 6, color: faded(colours.quiet, 0.5) },
      }),
    ];
    if (best.length)
      traces.push(
        trace(best, {
          name: "Pareto front",
          mode: flat ? "lines+markers" : "markers",
          line: { shape: "hv", color: colours.accent, width: 2 },
          marker: { size: 9, color: colours.accent, symbol: "diamond" },
        }),
      );
    return {
      traces,
      layout: {
        xaxis: axis(colours, `${plain(x.name)}${x.mode ? ` (${BETTER[x.mode]})` : ""}`),
        yaxis: axis(colours, `${plain(y.name)}${y.mode ? ` (${BETTER[y.mode]})` : ""}`),
      },
      caption:
        (shownPoints.length < found.length
          ? `${shownPoints.length} of ${found.length} configurations drawn. `
          : "") +
        (best.length
          ? `${plural(best.length, "configuration")} of ${found.length} on the front, means over replicates`
          : "A front needs two metrics with a direction, and a feasible configuration") +
        (infeasible ? `; ${infeasible} infeasible` : ""),
    };
  },
};
