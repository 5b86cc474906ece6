// How a case is left: accepted as a draft, discarded, or given back; and what late images would change in it.
import { worklist } from "./case.js";
import { desk as shown, edit, say, typedWords } from "./desk.js";

const caseId = document.querySelector("[data-case]").dataset.case;
const place = (id) => document.getElementById(id);
const offer = place("offer");
const banner = place("banner");
let offered = null; // the later draft whose difference is shown
let refused = null; // the later draft that "Keep mine" was said to

function render(desk) {
  banner.textContent = desk.ending === "accepted" ? "AI draft, accepted as a draft, not verified" : "AI draft, not reviewed";
  place("draft").classList.toggle("discarded", desk.ending === "discarded");
  place("ended").textContent = desk.ending ? `This draft is ${desk.ending}. Undo takes it up again.` : "";
  place("accept").disabled = desk.drafting || Boolean(desk.refused) || desk.ending !== null;
  place("discard").querySelector("button").disabled = desk.ending === "discarded";
  if (desk.offer === null || desk.offer === refused) offer.hidden = true;
  else if (offered !== desk.offer) propose(desk);
  if (desk.offer !== null) place("newer").hidden = true;
}
document.addEventListener("desk", ({ detail }) => render(detail));
if (shown) render(shown); // it was told before this file had come

async function propose(desk) {
  offered = desk.offer;
  const old = desk.edit ? `edit-${desk.edit}` : `draft-${desk.version}`;
  const answer = await fetch(`/api/v1/cases/${caseId}/difference?old=${old}&new=draft-${desk.offer}`).catch(() => null);
  if (!answer?.ok) { offered = null; return; }
  const names = { same: "span", gone: "del", new: "ins" };
  offer.querySelector(".difference").replaceChildren(...(await answer.json()).flatMap((section) => {
    const text = document.createElement("p");
    text.append(...section.pieces.map((piece) => Object.assign(document.createElement(names[piece.change]), { textContent: piece.text })));
    return [Object.assign(document.createElement("h3"), { textContent: section.heading }), text];
  }));
  offer.hidden = false;
}
place("take").addEventListener("click", () => edit("/take"));
place("mine").addEventListener("click", () => { refused = offered; offer.hidden = true; });

async function accept() {
  const [typed] = typedWords();
  if (typed) {
    document.querySelector(`form.pin[data-section="${CSS.escape(typed[0])}"] input`).focus();
    return say("These words are not pinned yet: press Enter, or clear them, then accept.");
  }
  if (!place("accept").disabled && (await edit("/accept"))) location.reload();
}
place("accept").addEventListener("click", accept);
document.addEventListener("command", (event) => event.detail.name === "accept" && accept());
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); accept(); }
});

place("discard").addEventListener("submit", (event) => {
  event.preventDefault();
  edit("/discard", { reason: event.target.elements.reason.value });
});

place("return").addEventListener("click", async () => {
  const answer = await fetch(`/api/v1/cases/${caseId}/return`, { method: "POST" }).catch(() => null);
  if (answer?.ok) location.href = worklist();
  else say("the connection is lost; nothing was changed");
});

// The whole report as plain text, with the line that says what it is.
place("copy").addEventListener("click", async () => {
  const answer = await fetch(`/api/v1/cases/${caseId}/text`).catch(() => null);
  if (!answer?.ok) return say("the text could not be fetched");
  const text = await answer.text();
  if (navigator.clipboard) await navigator.clipboard.writeText(text).catch(() => bySelecting(text));
  else bySelecting(text);
  say("copied");
});
function bySelecting(text) { // where a page without HTTPS may not write to the clipboard by itself
  const area = Object.assign(document.createElement("textarea"), { value: text });
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
