// The page as a whole: one study in sight, drawn anew when the address or the data changes.

let studies = [];
let now = null;
const MOST_PAIRS = 10;

function currentStudy() {
  const { nodeid } = studies[0] ?? {};
  return (
    studies.find((study) => studyKey(study) === asked("study")) ??
    studies.findLast((study) => study.nodeid === nodeid)
  );
}

function studyKey(study) {
  return study.run ? `${study.nodeid} ${study.run}` : study.nodeid;
}

/** The studies to choose from, the runs of one test together. */
function studyOptions() {
  const option = (study, text) => element("option", { value: studyKey(study) }, text);
  return [...grouped(studies, (study) => study.nodeid)].flatMap(([nodeid, own]) =>
    own.length > 1
      ? element(
          "optgroup",
          { label: nodeid },
          own.map((study) => option(study, runName(study))),
        )
      : own.map((study) => option(study, nodeid)),
  );
}

/** Builds the parts of the page for a study; newer data of the one in sight keeps them. */
function open(study) {
  if (now && shape(now.study) === shape(study)) {
    now.study = now.filters.study = study;
    now.table.take(study);
    now.cards.forEach((card) => {
      card.study = study;
    });
  } else {
    now?.cards.forEach((card) => card.close());
    const views = VIEWS.filter((view) => view.wanted?.(study) ?? true);
    const cards = views.map((view) => new Card(view, study, paint));
    for (const home of ["over-runs", "views"])
      byId(home).replaceChildren(
        ...cards.filter(({ view }) => (view.home ?? "views") === home).map((card) => card.node),
      );
    now = { study, filters: new Filters(study), table: new Table(study), cards, rows: [] };
  }
  now.key = null;
  summarize(study);
}

/** What the controls of the views depend on. */
function shape(study) {
  const names = [study.parameters, study.metrics, study.sweeps].map((all) =>
    all.map(({ name }) => name).sort(),
  );
  const labels = study.parameters.flatMap((one) => one.labels ?? []).sort();
  const series = Object.keys(study.curves[0]?.series ?? {});
  const kept = [study.tagNames, study.tagged, study.importance.length > 0, study.spent.steps.some(Boolean)];
  const runs = Boolean(study.test?.history);
  return JSON.stringify([studyKey(study), names, labels, series, kept, runs]);
}

function summarize(study) {
  const [test, ...rest] = study.nodeid.split("::").reverse();
  byId("title").textContent = test;
  document.title = `${test} · sweep`;
  byId("subtitle").replaceChildren(
    [rest.reverse().join("::"), study.run].filter(Boolean).join(" · "),
    tagList(study.tags),
    study.note ? element("span", { class: "note" }, study.note) : "",
  );
  const failures = study.failures.map(
    ({ state, reason, count }) => `${count} ${state}: ${reason || "no reason given"}`,
  );
  const notes = [...study.notes, ...failures].map((note) => element("li", {}, note));
  if (study.rule) notes.push(ruleItem(study, study.rule));
  byId("notes").hidden = !notes.length;
  byId("notes").replaceChildren(...notes);
  showGates(study);
  byId("summary").replaceChildren(bestFact(study), ...countFacts(study));
}

function fact(label, figure, ...rest) {
  return element(
    "div",
    { class: "fact" },
    element("p", { class: "label" }, label),
    element("p", { class: "figure" }, figure),
    element("div", { class: "rest" }, rest),
  );
}

function bestFact(study) {
  const goal = study.sweeps[0]?.goals[0];
  if (!study.best || !goal)
    return fact("Best configuration", "–", "No configuration is complete and feasible.");
  const { score, std, trials } = study.best;
  const spread =
    std === null ? "" : ` ± ${shown(std, 2)} over ${plural(trials.length, "replicate")}`;
  const figure = [shown(score, 5), element("small", {}, spread)];
  const pairs = configuration(study, trials[0]).map(([name, text]) =>
    element("li", {}, `${name} `, element("b", {}, text)),
  );
  if (pairs.length > MOST_PAIRS)
    pairs.splice(
      MOST_PAIRS,
      Infinity,
      element(
        "li",
        {},
        button(`${pairs.length - MOST_PAIRS} more`, () => go({ trial: bestId(study) }), {
          class: "plain",
          "data-key": "more",
        }),
      ),
    );
  return fact(
    `${capital(BEST[goal.mode])} ${goal.metric}`,
    figure,
    element("ul", { class: "pairs" }, pairs),
  );
}

function countFacts(study) {
  const kinds = grouped(study.all, (i) => study.kinds[i]);
  const count = (kind) => kinds.get(kind)?.length ?? 0;
  const text = (number) => number.toLocaleString("en");
  const and = (kind) => (count(kind) ? `, ${text(count(kind))} ${kind}` : "");
  const planned = study.sweeps.reduce((sum, sweep) => sum + sweep.planned, 0);
  const time = study.trials.duration.reduce((sum, seconds) => sum + seconds, 0);
  const workers = new Set(study.trials.worker.filter(Boolean)).size;
  const pruned = study.trials.state.filter((state) => state === "pruned").length;
  return [
    fact(
      "Complete",
      text(count("complete") + count("infeasible")),
      `of ${text(Math.max(planned, study.size))} trials${and("infeasible")}${and("running")}`,
    ),
    fact("Failed", text(count("failed")), `${text(pruned)} pruned`),
    fact("Time", shownTime(time), workers > 1 ? `in trials, on ${workers} workers` : "in trials"),
  ];
}

/** Shows what the address asks for. */
function render() {
  const study = currentStudy();
  if (!study) return;
  dress();
  keepingFocus(() => {
    if (now?.study !== study) open(study);
    const key = filterKey();
    if (now.key !== key) {
      now.rows = visible(study);
      now.cards.forEach((card) => card.mark());
    }
    now.key = key;
    now.filters.sync(now.rows);
    now.table.sync(now.rows);
    showComparison(study);
    showPair(study);
  });
  showDetail(study);
  byId("studies").querySelector("select").value = studyKey(study);
  byId("theme").value = asked("theme");
  paint();
}

const darkRules = [...document.styleSheets[0].cssRules].find((one) =>
  one.conditionText?.includes("dark"),
);

/** Puts the page in the colours that are asked for. */
function dress() {
  const wanted = scheme();
  if (document.documentElement.style.colorScheme === wanted) return; // or all styles are told anew
  document.documentElement.style.colorScheme = wanted;
  darkRules.media.mediaText = wanted === "dark" ? "all" : "not all";
}

/** What the address holds that no figure depends on. */
const UNDRAWN = ["page", "sort", "trial", "show", "columns", "differs", "before", "now", "rows"];

/** The part of the address that figures depend on. */
function filterKey() {
  const kept = address();
  for (const key of UNDRAWN) kept.delete(key);
  return String(kept);
}

let painting = false;

/** Draws what is in sight and has changed, one figure at a time. */
async function paint() {
  if (painting || !now) return;
  painting = true;
  try {
    for (let card = due(); card; card = due()) {
      await new Promise((done) => setTimeout(done));
      await card.draw(now.rows);
    }
  } finally {
    painting = false;
  }
}

function due() {
  return now.cards.find((card) => card.dirty && card.inSight);
}

/** Draws all views in light colours and lets the browser print them. */
async function printed() {
  const redraw = async () => {
    dress();
    for (const card of now.cards) {
      card.mark();
      await card.draw(now.rows);
    }
  };
  document.body.dataset.printing = "yes";
  await redraw();
  window.print();
  delete document.body.dataset.printing;
  await redraw();
}

function take(data) {
  palette = data.palette;
  studies = data.studies.map(studyOf);
  for (const test of data.tests) for (const place of test.runs) studies[place].test = test;
  const select = byId("studies").querySelector("select");
  select.replaceChildren(...studyOptions());
  byId("studies").hidden = studies.length < 2;
  if (studies.length) render();
  else byId("subtitle").textContent = "No sweep has run yet";
}

const SECONDS = 1000;

/** Asks a live server for newer data again and again, whatever its last answer was. */
async function follow(url) {
  let seen = "";
  const ask = async () => {
    const reply = await fetch(url, {
      cache: "no-cache",
      signal: AbortSignal.timeout(30 * SECONDS),
    });
    if (!reply.ok) return `Waits: ${await reply.text()}`;
    const tag = reply.headers.get("ETag");
    if (tag !== seen) take(await reply.json());
    seen = tag;
    return "Live: follows the sweep";
  };
  for (;;) {
    byId("live").textContent = await ask().catch(
      (error) => `No answer from the server (${error.message}): this is the last it told`,
    );
    await new Promise((done) => setTimeout(done, SECONDS / 2));
  }
}

async function start() {
  byId("studies")
    .querySelector("select")
    .addEventListener("change", ({ target }) => goToStudy(target.value));
  byId("theme").addEventListener("change", ({ target }) => go({ theme: target.value || null }));
  byId("print").addEventListener("click", printed);
  byId("run").addEventListener("click", () => go({ trial: RUN }));
  byId("detail").addEventListener("close", leaveDetail);
  take(JSON.parse(await unpacked("data")));
  listeners.push(render);
  dark.addEventListener("change", () => {
    now?.cards.forEach((card) => card.mark());
    render();
  });
  document.body.dataset.ready = "yes";
  if (document.body.dataset.live) follow(document.body.dataset.live);
}

start();
