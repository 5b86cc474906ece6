import { live, showLive, signInAgain } from "./live.js";

// What is copied out of a draft says what it is.
const banner = document.getElementById("banner");
document.addEventListener("copy", (event) => {
  const chosen = document.getSelection();
  const draft = document.getElementById("draft");
  if (!banner || !draft || !chosen.rangeCount || !chosen.getRangeAt(0).intersectsNode(draft)) return;
  event.clipboardData.setData("text/plain", `${banner.textContent.toUpperCase()}\n\n${chosen}`);
  event.preventDefault();
});

// A newer draft is offered, never swapped in; where there was none, there is nothing to be swapped.
const shown = document.querySelector("[data-case]").dataset;
export function look(version) {
  if (version === shown.version) return;
  if (shown.version === "0") location.reload();
  else document.getElementById("newer").hidden = false;
}
async function ask() {
  const answer = await fetch(`/cases/${shown.case}/version`).catch(() => null);
  if (answer?.status === 401) signInAgain();
  else if (answer?.ok) look(await answer.text());
}
if (!("steered" in shown)) live("/changes", { change: ask }, showLive); // else the desk's own events tell it

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.target.matches("input, select, textarea") || document.querySelector("dialog[open]")) return;
  location.href = "/";
});
