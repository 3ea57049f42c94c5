// Tags and notes: what people say of trials and of the run. A live page has a form for them.

const RUN = "run"; // stands for the run where trials are told by their names

const isLive = () => Boolean(document.body.dataset.live);

/** The tags that any of some trials has. */
function tagsOf(study, rows) {
  return [...new Set(rows.flatMap((i) => study.trials.tags[i]))];
}

/** The notes on some trials, each once. */
function notesOf(study, rows) {
  return [...new Set(rows.map((i) => study.trials.note[i]).filter(Boolean))].join("\n");
}

function tagList(tags) {
  return element(
    "span",
    { class: "tags" },
    tags.map((tag) => element("span", { class: "tag" }, tag)),
  );
}

/** The tags of a configuration, and whether there is a note on it. */
function annotationCell(study, { rows }) {
  const note = notesOf(study, rows);
  const mark = note ? element("span", { title: note }, "✎") : "";
  return element("span", {}, tagList(tagsOf(study, rows)), mark);
}

/** What is said of some trials, or of the run; a live page lets it be changed. */
function annotationPart(study, id, rows) {
  const tags = rows ? tagsOf(study, rows) : study.tags;
  const note = rows ? notesOf(study, rows) : study.note;
  const ids = rows ? rows.map((i) => study.ids[i]) : [RUN];
  if (isLive()) return part("Tags and note", annotationForm(study, id, ids, tags, note));
  if (!tags.length && !note) return [];
  const text = note ? element("p", { class: "note" }, note) : "";
  return part("Tags and note", element("div", {}, tagList(tags), text));
}

let editing = { key: "", node: null };

/** A form for tags and a note; what is being written stays as newer data comes. */
function annotationForm(study, id, ids, tags, note) {
  const key = `${studyKey(study)} ${id}`;
  if (editing.key === key && editing.node.dataset.dirty) return editing.node;
  const [tagField, noteField] = [
    element("input", { type: "text", value: tags.join(", "), "data-key": `tags ${id}` }),
    element("textarea", { rows: "3", "data-key": `note ${id}` }, note),
  ];
  const said = element("span", { role: "alert", class: "wrong" });
  const save = async (event) => {
    event.preventDefault();
    const given = tagField.value
      .split(",")
      .map((tag) => tag.trim())
      .filter(Boolean);
    const answer = await fetch("annotations", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({
        nodeid: study.nodeid,
        run: study.run,
        trials: ids,
        add: given.filter((tag) => !tags.includes(tag)),
        remove: tags.filter((tag) => !given.includes(tag)),
        note: noteField.value.trim() === note ? null : noteField.value,
      }),
    }).catch((error) => ({ ok: false, text: () => `no answer: ${error.message}` }));
    said.textContent = answer.ok ? "" : await answer.text();
    if (answer.ok) delete node.dataset.dirty;
  };
  const node = element(
    "form",
    { class: "annotation", onsubmit: save, oninput: () => (node.dataset.dirty = "yes") },
    element("label", {}, "Tags, with commas between them", tagField),
    element("label", {}, "Note", noteField),
    element("div", {}, element("button", { "data-key": `save ${id}` }, "Save"), said),
  );
  editing = { key, node };
  return node;
}
