// Dictation with the browser's own speech recognition: while the key is held, words that it is sure of are pinned.
import { desk, keep, pin, strike, unpin } from "./desk.js";
import { actionsOf } from "./spoken.js";

const KEY = "F9";
const CLICK = 500; // milliseconds; a press of the button that is shorter leaves it on
const LANGUAGE = navigator.languages.find((one) => one.startsWith("en")) ?? "en-US"; // the spoken commands are English
const PROBLEMS = {
  "not-allowed": "The browser may not use the microphone: allow it beside the page's address, then dictate again.",
  "service-not-allowed": "The browser does not allow its speech recognition here; please type.",
  "audio-capture": "There is no microphone; plug one in, or type.",
  network: "The browser's speech service cannot be reached; please type.",
  "language-not-supported": `The browser does not recognise ${LANGUAGE}; please type.`,
  aborted: "Another page listens now; dictate again to go on here.",
};
const Recognition = isSecureContext && (window.SpeechRecognition ?? window.webkitSpeechRecognition);
const button = document.getElementById("dictate");
const notice = document.getElementById("speech-notice");
const say = (text) => { document.getElementById("heard").textContent = text; };

let wanted = false; // held, or pressed once
let running = false; // as far as the browser has told
let here = false; // speech is recognised on this computer
let section = ""; // where words go
let typed = "", interim = ""; // what stands in its field besides, and words that may still change
let line = false; // the next phrase begins a line
let work = Promise.resolve(); // one action after another
const dictated = []; // ids of phrases, the latest last

// ── what is heard ──

function listen() {
  const ear = new Recognition();
  Object.assign(ear, { lang: LANGUAGE, continuous: true, interimResults: true });
  Recognition.available?.({ langs: [LANGUAGE], processLocally: true }).then(
    (found) => { here = ear.processLocally = found === "available"; }, () => {});
  ear.addEventListener("result", ({ results, resultIndex }) => {
    interim = [...results].filter((one) => !one.isFinal).map((one) => one[0].transcript).join("");
    show();
    for (const one of [...results].slice(resultIndex)) if (one.isFinal) act(one[0].transcript);
  });
  ear.addEventListener("error", ({ error }) => {
    if (error === "no-speech") return;
    end();
    say(PROBLEMS[error] ?? `Speech recognition has failed (${error}); please type.`);
  });
  ear.addEventListener("end", () => { // browsers end by themselves after a while; what was not final stays in the field
    running = false;
    [typed, interim] = [joined(typed, interim), ""];
    if (wanted) start();
  });
  const start = () => { running = true; ear.start(); };
  return { start, stop: () => ear.stop() };
}

const ear = Recognition && listen();

function begin() {
  if (wanted || !desk) return;
  if (!here && !sessionStorage.getItem("speech-notice")) return notice.showModal();
  wanted = true;
  button.setAttribute("aria-pressed", "true");
  section ||= desk.sections[0].name;
  typed = field()?.value ?? "";
  tellWhere();
  if (!running) ear.start();
}

function end() {
  if (!wanted) return;
  wanted = false;
  button.setAttribute("aria-pressed", "false");
  say("");
  ear.stop();
}

// ── what is done about it ──

const doing = {
  pin: async ({ text }) => {
    const phrase = line ? `\n${text}` : text;
    line = false;
    const told = await pin(section, phrase, undefined, false, "dictated");
    if (told) dictated.push(told.phrases.at(-1).id);
    else keepInField(text); // nothing that was said is lost: Enter pins it
  },
  section: ({ name }) => goTo(name),
  line: () => { line = true; },
  keep: () => keep() ?? keep(lastWords()),
  strike: () => {
    const id = dictated.findLast((one) => desk.phrases.some((phrase) => phrase.id === one));
    return id ? unpin(id) : strike() ?? strike(lastWords());
  },
};

function act(transcript) {
  for (const action of actionsOf(transcript, desk.sections)) work = work.then(() => (doing[action.do] ?? command)(action));
}

function command({ do: name }) {
  const detail = { name };
  document.dispatchEvent(new CustomEvent("command", { detail }));
  return detail.done;
}

// The last sentence of the model's in the section; none while it is drafted anew.
function lastWords() {
  const { spans } = desk.sections.find(({ name }) => name === section);
  const at = spans.findLastIndex((span) => span.by === "model" && span.text.trim());
  if (desk.drafting || at < 0) return null;
  return { section, text: spans[at].text.trim(), after: spans.slice(0, at).findLast((span) => span.phrase)?.phrase ?? "" };
}

// ── where words are shown ──

const field = () => document.querySelector(`form.pin[data-section="${CSS.escape(section)}"] input`);
const joined = (...parts) => parts.map((part) => part.trim()).filter(Boolean).join(" ");
function show() { if (field()) field().value = joined(typed, interim); }
function keepInField(text) { typed = joined(running ? typed : field().value, text); show(); }
function tellWhere() { say(`Listening: ${desk.sections.find(({ name }) => name === section).heading}`); }

function goTo(name) {
  if (name === section) return;
  if (running && field()) field().value = typed;
  section = name;
  if (!running) return;
  typed = field()?.value ?? "";
  show();
  if (wanted) tellWhere();
}

// ── key and button ──

if (ear) {
  button.hidden = false;
  document.addEventListener("keydown", (event) => {
    if (event.key !== KEY || notice.open) return;
    event.preventDefault();
    if (!event.repeat) begin();
  });
  document.addEventListener("keyup", (event) => { if (event.key === KEY) end(); });
  addEventListener("blur", end); // a key that is let go of elsewhere is not heard of here
  let pressed = 0, was = false;
  button.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    button.setPointerCapture(event.pointerId);
    [pressed, was] = [event.timeStamp, wanted];
    begin();
  });
  button.addEventListener("pointerup", (event) => { if (was || event.timeStamp - pressed > CLICK) end(); });
  button.addEventListener("click", (event) => { if (event.detail === 0) (wanted ? end : begin)(); }); // by keyboard
  document.getElementById("draft").addEventListener("focusin", (event) => {
    const name = event.target.closest("[data-section]")?.dataset.section;
    if (name) goTo(name);
  });
  // For a moment after it is closed the focus is still in it.
  notice.addEventListener("keydown", (event) => { if (notice.open) event.stopPropagation(); });
  notice.addEventListener("close", () => {
    if (notice.returnValue !== "understood") return;
    sessionStorage.setItem("speech-notice", "understood");
    say(`Hold ${KEY} to dictate.`);
  });
} else {
  say(isSecureContext
    ? "This browser does not recognise speech (Chrome, Edge and Safari do); please type."
    : "Browsers recognise speech over HTTPS only; please type.");
}
