// The report under the radiologist's hands: pinned words stay, the gaps are drafted anew before their eyes.
import { look, showState } from "./case.js";
import { live, showLive, signInAgain } from "./live.js";

const caseId = document.querySelector("[data-case]").dataset.case;
const report = document.getElementById("draft");
const button = (id) => document.getElementById(id);
const status = button("status");
export let desk = null;
let place = null; // { phrase, section, at } that had the focus last, which its successor gets when all is shown anew
let chosen = null; // { section, text, after } of the words of the model's that are selected or focused

// ── to the server and back ──

async function ask(method, path, body) {
  const answer = await fetch(`/api/v1/cases/${caseId}${path}`, {
    method, headers: body && { "Content-Type": "application/json" }, body: body && JSON.stringify(body),
  }).catch(() => null);
  if (answer?.status === 401) return signInAgain();
  if (!answer) return say("the connection is lost; nothing was changed");
  const told = await answer.json().catch(() => ({}));
  if (answer.status === 409) { await refresh(); return say("somebody else has edited this case; this is theirs"); }
  if (!answer.ok) return say(typeof told.detail === "string" ? told.detail : "this cannot be done");
  show(told);
  return told;
}
let work = Promise.resolve(); // edits go out one after another, each on what the one before has left
const inTurn = (make) => { const made = work.then(make); work = made.catch(() => {}); return made; };
export const edit = (path, body = {}) => inTurn(() => ask("POST", path, { ...body, on: desk.edit }));
export const refresh = () => ask("GET", "/desk");
export const pin = (section, text, after, accepted = false, source = "typed") => edit("/anchors", { section, text, after, accepted, source });
export const unpin = (id) => inTurn(() => ask("DELETE", `/anchors/${id}?on=${desk.edit}`));
const undo = () => inTurn(() => desk.undo && ask("POST", "/undo", { on: desk.edit }));
const redo = () => inTurn(() => desk.redo && ask("POST", "/redo", { on: desk.edit }));
export function say(text) { if (status.textContent !== text) status.textContent = text; } // else it is read aloud twice

// ── what is shown ──

const element = (name, className, text) => Object.assign(document.createElement(name), { className, textContent: text });

function show(told) {
  if (told.revision < desk?.revision) return; // overtaken on its way by a later one
  const drafted = desk?.drafting && !told.drafting;
  desk = told;
  chosen = null;
  const order = told.sections.map(({ name }) => name).join("\n");
  if (report.dataset.sections !== order) { // else the fields stay, and with them what is being typed there
    const typed = typedWords();
    report.replaceChildren(...told.sections.flatMap(sectionOf));
    report.dataset.sections = order;
    for (const [name, words] of typed) if (field(name)) field(name).value = words;
  }
  for (const section of told.sections) paragraph(section.name).replaceChildren(...section.spans.map(spanOf));
  report.classList.toggle("drafting", told.drafting);
  report.dataset.edit = told.edit;
  document.getElementById("questions").replaceChildren(...told.conflicts.map(questionOf));
  button("undo").disabled = !told.undo;
  button("redo").disabled = !told.redo;
  button("keep").disabled = button("strike").disabled = true;
  document.dispatchEvent(new CustomEvent("desk", { detail: told }));
  say(told.refused ? `${told.refused}. Undo takes it back.` : (told.drafting ? "drafting …" : drafted ? "drafted" : ""));
  button("step").textContent = "";
  if (place && document.activeElement === document.body) {
    const kept = place; // a phrase that moves may not be shown before it is drafted
    successor().focus();
    place = kept;
  }
}

// A phrase that the model does not see is asked about, and stands all the same.
function questionOf(conflict) {
  const asked = element("p", "remark", `Is it so? The model does not see in the images (${conflict.probability.toFixed(2)}): `);
  asked.append(element("q", "", conflict.phrase));
  return asked;
}

function sectionOf(section) {
  const heading = element("h2", "", section.heading);
  const text = element("p", "", "");
  text.lang = "";
  text.dataset.section = section.name;
  const form = element("form", "pin", "");
  form.dataset.section = section.name;
  const input = element("input", "", "");
  input.placeholder = "Type a phrase, Enter pins it";
  input.setAttribute("aria-label", `Pin a phrase in ${section.heading}`);
  input.maxLength = 10000;
  form.append(input);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const phrase = input.value;
    if (!phrase.trim()) return;
    input.value = "";
    if (!(await pin(section.name, phrase))) input.value = [phrase, input.value].filter(Boolean).join(" "); // it is not lost
  });
  return [heading, text, form];
}

function spanOf(span) {
  if (span.phrase) {
    const mark = element("mark", span.by === "accepted" ? "anchor accepted" : "anchor", span.text);
    Object.assign(mark, { tabIndex: 0, draggable: true, title: "Pinned. Delete takes the pin out; Alt+↑ and Alt+↓ move it, or drag it elsewhere." });
    mark.dataset.phrase = span.phrase;
    return mark;
  }
  const words = element("span", `model ${span.sure}`, span.text);
  words.tabIndex = 0;
  if (span.image) words.dataset.image = span.image;
  if (span.confidence !== null) words.title = `confidence ${span.confidence.toFixed(2)}. Enter keeps it, Delete strikes it${span.image ? `, a click or I shows its image, ${span.image}` : ""}.`;
  return words;
}

const field = (name) => report.querySelector(`form.pin[data-section="${CSS.escape(name)}"] input`);
const paragraph = (name) => report.querySelector(`p[data-section="${CSS.escape(name)}"]`);

// Words that are typed and not yet pinned stay with the case, wherever one goes from here; signing out ends that.
const kept = `typed ${caseId}`;
export function typedWords() {
  const fields = [...report.querySelectorAll("form.pin")].map((form) => [form.dataset.section, form.elements[0].value]);
  return report.dataset.sections === undefined ? JSON.parse(sessionStorage.getItem(kept) ?? "[]") : fields.filter(([, words]) => words);
}
addEventListener("pagehide", () => { if (typedWords().length) sessionStorage.setItem(kept, JSON.stringify(typedWords())); else sessionStorage.removeItem(kept); });

// A frame is text by section; pinned words are found again in it, in their order.
function showFrame(frame) {
  if (!desk || frame.edit !== desk.edit) return;
  for (const [name, text] of frame.sections) {
    const place = paragraph(name);
    if (!place) continue;
    const parts = [];
    let rest = text;
    for (const phrase of desk.phrases.filter((phrase) => phrase.section === name)) {
      const at = rest.indexOf(phrase.text);
      if (at < 0) continue;
      parts.push(element("span", "model", rest.slice(0, at)), element("mark", "anchor", phrase.text));
      rest = rest.slice(at + phrase.text.length);
    }
    place.replaceChildren(...parts, element("span", "model", rest));
  }
  button("step").textContent = `step ${frame.step}`; // not read aloud, one after another
}

// ── words that are chosen: by selecting, or by the keyboard's focus ──

const before = (node, section) => {
  const marks = [...section.querySelectorAll("mark[data-phrase]")];
  return marks.filter((mark) => mark.compareDocumentPosition(node) & Node.DOCUMENT_POSITION_FOLLOWING).at(-1)?.dataset.phrase ?? "";
};

function choose() {
  const selection = getSelection();
  const sectionAt = (node) => (node?.nodeType === Node.TEXT_NODE ? node.parentElement : node)?.closest?.("#draft p[data-section]");
  const node = selection.isCollapsed ? document.activeElement : selection.anchorNode;
  const section = selection.isCollapsed || sectionAt(selection.focusNode) === sectionAt(node) ? sectionAt(node) : null;
  const text = (selection.isCollapsed ? document.activeElement?.textContent ?? "" : selection.toString()).trim();
  const touches = selection.isCollapsed ? node?.matches?.("mark") : section && [...section.querySelectorAll("mark")].some((mark) => selection.containsNode(mark, true));
  chosen = section && text && !touches && !desk?.drafting && node !== section
    ? { section: section.dataset.section, text, after: before(selection.isCollapsed ? node : selection.getRangeAt(0).startContainer, section), whole: whole(section, selection, node) }
    : null;
  button("keep").disabled = button("strike").disabled = !chosen;
}
// The sentences of the model's that are touched: what is struck is struck whole.
function whole(section, selection, node) {
  const touched = [...section.querySelectorAll("span.model")].filter((span) => (selection.isCollapsed ? span === node : selection.containsNode(span, true)));
  return touched.map((span) => span.textContent.trim()).filter(Boolean);
}
document.addEventListener("selectionchange", choose);
report.addEventListener("focusin", ({ target }) => {
  const section = target.closest("p[data-section]");
  place = section && { phrase: target.dataset.phrase, section: section.dataset.section, at: stops(section).indexOf(target) };
  choose();
});
document.addEventListener("pointerdown", () => { place = null; });

const stops = (section) => [...section.querySelectorAll("[tabindex]")];
function successor() {
  const moved = place.phrase && report.querySelector(`mark[data-phrase="${place.phrase}"]`);
  const section = paragraph(place.section);
  return moved || stops(section)[place.at] || stops(section).at(-1) || section.nextElementSibling.elements[0];
}
for (const id of ["keep", "strike"]) button(id).addEventListener("mousedown", (event) => event.preventDefault()); // keeps the selection

export const keep = (words = chosen) => words && pin(words.section, words.text, words.after, true);
export const strike = (words = chosen) => words && Promise.all((words.whole?.length ? words.whole : [words.text]).map((text) => edit("/struck", { text }))).then((told) => told.at(-1));
button("keep").addEventListener("click", () => keep());
button("strike").addEventListener("click", () => strike());
button("undo").addEventListener("click", undo);
button("redo").addEventListener("click", redo);
document.addEventListener("command", ({ detail }) => { // spoken ones; `done` is for who has to wait
  if (detail.name === "undo") detail.done = undo();
  if (detail.name === "redo") detail.done = redo();
});

document.addEventListener("keydown", (event) => {
  if (event.target.matches("input, textarea, select")) return;
  const control = event.ctrlKey || event.metaKey;
  const key = event.key.toLowerCase();
  if (control && key === "z" && !event.shiftKey && desk) { event.preventDefault(); undo(); }
  if (control && (key === "y" || (key === "z" && event.shiftKey)) && desk) { event.preventDefault(); redo(); }
  const mark = event.target.closest("mark[data-phrase]");
  if (mark && event.altKey && (key === "arrowup" || key === "arrowdown")) { event.preventDefault(); step(mark.dataset.phrase, key === "arrowup" ? -1 : 1); }
  if (mark && (key === "delete" || key === "backspace")) { event.preventDefault(); unpin(mark.dataset.phrase); }
  if (mark || !chosen || control || event.target.matches("a, button, canvas")) return;
  if (key === "enter") { event.preventDefault(); keep(); }
  if (key === "delete" || key === "backspace") { event.preventDefault(); strike(); }
});

// ── moving a pinned phrase: by a key, past the next one or into the section beside; or by dragging ──

function step(id, by) {
  const { section } = desk.phrases.find((phrase) => phrase.id === id);
  const within = desk.phrases.filter((phrase) => phrase.section === section).map((phrase) => phrase.id);
  const to = within.indexOf(id) + by;
  if (to in within) return edit(`/anchors/${id}/move`, { section, after: within[by > 0 ? to : to - 1] ?? "" });
  const beside = desk.sections[desk.sections.findIndex(({ name }) => name === section) + by]?.name;
  if (beside) edit(`/anchors/${id}/move`, { section: beside, after: by > 0 ? "" : undefined });
}

report.addEventListener("dragstart", (event) => {
  const mark = event.target.closest?.("mark[data-phrase]");
  if (mark) event.dataTransfer.setData("application/x-phrase", mark.dataset.phrase);
});
report.addEventListener("dragover", (event) => {
  if (event.dataTransfer.types.includes("application/x-phrase") && event.target.closest("p[data-section], form.pin")) event.preventDefault();
});
report.addEventListener("drop", (event) => {
  const id = event.dataTransfer.getData("application/x-phrase");
  const place = event.target.closest("p[data-section], form.pin");
  if (!id || !place) return;
  event.preventDefault();
  const onto = event.target.closest("span, mark");
  let after = place.matches("p") && onto ? before(onto, place) : undefined;
  if (onto?.matches("mark")) after = onto.dataset.phrase;
  if (after !== id) edit(`/anchors/${id}/move`, { section: place.dataset.section, after });
});

// ── what happens elsewhere: frames, and what others do ──

live(`/api/v1/cases/${caseId}/events`, {
  others: (event) => {
    const names = JSON.parse(event.data), place = document.getElementById("others");
    place.hidden = !names.length;
    place.textContent = `Also open with ${names.join(", ")}.`;
  },
  frame: (event) => showFrame(JSON.parse(event.data)),
  desk: refresh,
  version: ({ data }) => look(data),
  state: ({ data }) => { showState(data); },
}, showLive);
