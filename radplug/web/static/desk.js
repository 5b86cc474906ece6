// The report under the radiologist's hands: pinned words stay, the gaps are drafted anew before their eyes.
import { look } from "./case.js";
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
export const edit = (path, body = {}) => ask("POST", path, { ...body, on: desk.edit });
export const refresh = () => ask("GET", "/desk");
export const pin = (section, text, after, accepted = false, source = "typed") => edit("/anchors", { section, text, after, accepted, source });
export const unpin = (id) => ask("DELETE", `/anchors/${id}?on=${desk.edit}`);
export function say(text) { if (status.textContent !== text) status.textContent = text; } // else it is read aloud twice

// ── what is shown ──

const element = (name, className, text) => Object.assign(document.createElement(name), { className, textContent: text });

function show(told) {
  if (told.revision < desk?.revision) return; // overtaken on its way by a later one
  const focused = document.activeElement?.closest?.("form.pin")?.dataset.section;
  const typed = new Map([...report.querySelectorAll("form.pin")].map((form) => [form.dataset.section, form.elements[0].value]));
  const drafted = desk?.drafting && !told.drafting;
  desk = told;
  chosen = null;
  report.replaceChildren(...told.sections.flatMap(sectionOf));
  report.classList.toggle("drafting", told.drafting);
  report.dataset.edit = told.edit;
  document.getElementById("questions").replaceChildren(...told.conflicts.map(questionOf));
  button("undo").disabled = !told.undo;
  button("redo").disabled = !told.redo;
  button("keep").disabled = button("strike").disabled = true;
  document.dispatchEvent(new CustomEvent("desk", { detail: told }));
  say(told.refused || (told.drafting ? "drafting …" : drafted ? "drafted" : ""));
  button("step").textContent = "";
  for (const form of report.querySelectorAll("form.pin")) {
    form.elements[0].value = typed.get(form.dataset.section) ?? "";
    if (form.dataset.section === focused) form.elements[0].focus();
  }
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
  text.append(...section.spans.map(spanOf));
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
    if (!(await pin(section.name, phrase))) field(section.name).value ||= phrase; // it is not lost
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
  if (span.confidence !== null) words.title = `confidence ${span.confidence.toFixed(2)}. Enter keeps it, Delete strikes it, a click or I shows its image.`;
  return words;
}

const field = (name) => report.querySelector(`form.pin[data-section="${CSS.escape(name)}"] input`);

// A frame is text by section; pinned words are found again in it, in their order.
function showFrame(frame) {
  if (!desk || frame.edit !== desk.edit) return;
  for (const [name, text] of frame.sections) {
    const place = report.querySelector(`p[data-section="${CSS.escape(name)}"]`);
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
  const node = selection.isCollapsed ? document.activeElement : selection.anchorNode;
  const section = (node?.nodeType === Node.TEXT_NODE ? node.parentElement : node)?.closest?.("#draft p[data-section]");
  const text = (selection.isCollapsed ? document.activeElement?.textContent ?? "" : selection.toString()).trim();
  const touches = selection.isCollapsed ? node?.matches?.("mark") : section && [...section.querySelectorAll("mark")].some((mark) => selection.containsNode(mark, true));
  chosen = section && text && !touches && !desk?.drafting && node !== section
    ? { section: section.dataset.section, text, after: before(selection.isCollapsed ? node : selection.getRangeAt(0).startContainer, section) }
    : null;
  button("keep").disabled = button("strike").disabled = !chosen;
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
  const section = report.querySelector(`p[data-section="${CSS.escape(place.section)}"]`);
  return moved || stops(section)[place.at] || stops(section).at(-1) || section.nextElementSibling.elements[0];
}
for (const id of ["keep", "strike"]) button(id).addEventListener("mousedown", (event) => event.preventDefault()); // keeps the selection

export const keep = (words = chosen) => words && pin(words.section, words.text, words.after, true);
export const strike = (words = chosen) => words && edit("/struck", { text: words.text });
button("keep").addEventListener("click", () => keep());
button("strike").addEventListener("click", () => strike());
button("undo").addEventListener("click", () => edit("/undo"));
button("redo").addEventListener("click", () => edit("/redo"));
document.addEventListener("command", ({ detail }) => { // spoken ones; `done` is for who has to wait
  if (detail.name === "undo" && desk?.undo) detail.done = edit("/undo");
  if (detail.name === "redo" && desk?.redo) detail.done = edit("/redo");
});

document.addEventListener("keydown", (event) => {
  if (event.target.matches("input, textarea, select")) return;
  const control = event.ctrlKey || event.metaKey;
  const key = event.key.toLowerCase();
  if (control && key === "z" && !event.shiftKey && desk?.undo) { event.preventDefault(); edit("/undo"); }
  if (control && (key === "y" || (key === "z" && event.shiftKey)) && desk?.redo) { event.preventDefault(); edit("/redo"); }
  const mark = event.target.closest("mark[data-phrase]");
  if (mark && event.altKey && (key === "arrowup" || key === "arrowdown")) { event.preventDefault(); step(mark.dataset.phrase, key === "arrowup" ? -1 : 1); }
  if (mark && (key === "delete" || key === "backspace")) { event.preventDefault(); unpin(mark.dataset.phrase); }
  if (mark || !chosen || event.target.matches("button")) return;
  if (key === "enter") { event.preventDefault(); keep(); }
  if (key === "delete") { event.preventDefault(); strike(); }
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
}, showLive);
