import { live, showLive, signInAgain } from "./live.js";

// The worklist as it was left.
export const worklist = () => "/" + (sessionStorage.getItem("worklist") ?? "");

// A newer draft is offered, never swapped in; where there was none, there is nothing to be swapped.
const shown = document.querySelector("[data-case]").dataset;
export function look(version) {
  if (version === shown.version) return;
  if (shown.version === "0") location.reload();
  else document.getElementById("newer").hidden = false;
}
export async function showState(state) {
  const place = document.querySelector(".patient .state");
  place.textContent = state;
  place.className = `state ${state.replace(" ", "-")}`;
  const answer = await fetch(`/cases/${shown.case}/sent`).catch(() => null);
  if (answer?.ok) document.getElementById("sent").innerHTML = await answer.text(); // made and escaped by the server
}
async function ask() {
  const answer = await fetch(`/cases/${shown.case}/version`).catch(() => null);
  if (answer?.status === 401) signInAgain();
  else if (answer?.ok) look(await answer.text());
}
if (!("steered" in shown)) live("/changes", { change: ask }, showLive); // else the desk's own events tell it

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.target.matches("input, select, textarea") || document.querySelector("dialog[open]")) return;
  location.href = worklist();
});
