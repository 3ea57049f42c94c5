// The page as a whole: one study in sight, drawn anew when the address or the data changes.

let studies = [];
let now = null;

function currentStudy() {
  return studies.find((study) => studyKey(study) === asked("study")) ?? studies[0];
}

function studyKey(study) {
  return study.run ? `${study.nodeid} ${study.run}` : study.nodeid;
}

function studyName(study) {
  return study.run ? `${study.nodeid} · ${study.run.split("/").at(-1)}` : study.nodeid;
}

/** Builds the parts of the page for a study; newer data of the one in sight keeps its cards. */
function open(study) {
  const kept = now && shape(now.study) === shape(study) ? now.cards : null;
  if (!kept) now?.cards.forEach((card) => card.close());
  const cards = kept ?? VIEWS.map((view) => new Card(view, study, paint));
  now = { study, filters: new Filters(study), table: new Table(study), cards, rows: [] };
  cards.forEach((card) => {
    card.study = study;
  });
  if (!kept) byId("views").replaceChildren(...cards.map((card) => card.node));
  summarize(study);
}

/** What the controls of the views depend on. */
function shape(study) {
  const names = [study.parameters, study.metrics, study.sweeps].map((all) =>
    all.map(({ name }) => name),
  );
  return JSON.stringify([studyKey(study), names, Object.keys(study.curves[0]?.series ?? {})]);
}

function summarize(study) {
  const [test, ...rest] = study.nodeid.split("::").reverse();
  byId("title").textContent = test;
  document.title = `${test} · sweep`;
  byId("subtitle").textContent = [rest.reverse().join("::"), study.run].filter(Boolean).join(" · ");
  byId("notes").hidden = !study.notes.length;
  byId("notes").replaceChildren(...study.notes.map((note) => element("li", {}, note)));
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
    return fact("Best configuration", "–", "No configuration is complete and feasible yet.");
  const { score, std, trials } = study.best;
  const figure = [
    shown(score, 5),
    element(
      "small",
      {},
      std === null ? "" : ` ± ${shown(std, 2)} over ${trials.length} replicates`,
    ),
  ];
  const pairs = configuration(study, trials[0]).map(([name, text]) =>
    element("li", {}, `${name} `, element("b", {}, text)),
  );
  return fact(
    `${capital(BEST[goal.mode])} ${goal.metric}`,
    figure,
    element("ul", { class: "pairs" }, pairs),
  );
}

function countFacts(study) {
  const count = (fits) => study.trials.state.filter(fits).length;
  const complete = count((state) => state === "complete");
  const bad = count((state) => ENDED_BADLY.has(state));
  const broken = study.all.filter((i) => isInfeasible(study, i)).length;
  const planned = study.sweeps.reduce((sum, sweep) => sum + sweep.planned, 0);
  const time = study.trials.duration.reduce((sum, seconds) => sum + seconds, 0);
  const workers = new Set(study.trials.worker.filter(Boolean)).size;
  return [
    fact(
      "Complete",
      complete.toLocaleString("en"),
      `of ${Math.max(planned, study.size).toLocaleString("en")} trials${broken ? `, ${broken.toLocaleString("en")} infeasible` : ""}`,
    ),
    fact(
      "Failed",
      bad.toLocaleString("en"),
      `${count((state) => state === "pruned").toLocaleString("en")} pruned`,
    ),
    fact("Time", shownTime(time), workers > 1 ? `in trials, on ${workers} workers` : "in trials"),
  ];
}

/** Shows what the address asks for. */
function render() {
  const study = currentStudy();
  if (now?.study !== study) open(study);
  const { key, rows } = { key: filterKey(), rows: visible(study) };
  now.rows = rows;
  now.filters.sync(rows);
  now.table.sync(rows);
  if (now.key !== key) now.cards.forEach((card) => card.mark());
  now.key = key;
  showComparison(study);
  showDetail(study);
  byId("studies").querySelector("select").value = studyKey(study);
  paint();
}

/** The part of the address that figures depend on. */
function filterKey() {
  const kept = address();
  for (const key of ["page", "sort", "trial", "show"]) kept.delete(key);
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

function take(data) {
  palette = data.palette;
  studies = data.studies.map(studyOf);
  const select = byId("studies").querySelector("select");
  select.replaceChildren(
    ...studies.map((study) => element("option", { value: studyKey(study) }, studyName(study))),
  );
  byId("studies").hidden = studies.length < 2;
  if (studies.length) render();
  else byId("title").textContent = "No sweep has run yet";
}

/** Asks a live server for newer data again and again. */
async function follow(url) {
  const line = byId("live");
  let seen = "";
  const ask = async () => {
    try {
      const reply = await fetch(url, { cache: "no-cache" });
      const tag = reply.headers.get("ETag");
      if (tag !== seen && !isTyping()) {
        if (seen) take(await reply.json());
        seen = tag;
      }
      line.textContent = "Live: follows the sweep";
    } catch {
      line.textContent = "The server has ended; this is the last it told";
    }
    setTimeout(ask, 2000);
  };
  ask();
}

function isTyping() {
  return document.activeElement?.matches("#filters input[type=text]") ?? false;
}

async function start() {
  byId("studies")
    .querySelector("select")
    .addEventListener("change", (event) => {
      history.replaceState(null, "", `#${new URLSearchParams({ study: event.target.value })}`);
      render();
    });
  byId("detail").addEventListener("close", () => asked("trial") && go({ trial: null }));
  take(JSON.parse(await unpacked("data")));
  listeners.push(render);
  dark.addEventListener("change", () => {
    now.cards.forEach((card) => card.mark());
    paint();
  });
  if (document.body.dataset.live) follow(document.body.dataset.live);
  document.body.dataset.ready = "yes";
}

start();
