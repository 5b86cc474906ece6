import { age, live, showLive, signInAgain } from "./live.js";

const rows = document.getElementById("rows");
const filter = document.getElementById("filter");
const search = document.getElementById("search");
let selected = sessionStorage.getItem("selected"); // a case's id
let fetching = null, again = false;
let searched = false; // by whoever sits there, which is noted
let held = false, late = null; // while a pointer is down no row moves from under it

// ── rows ──

async function refresh() {
  if (fetching) { again = true; return; }
  const mine = fetching = new AbortController();
  try {
    const answer = await fetch("/rows" + location.search, { signal: mine.signal, headers: searched ? { "X-Searched": "yes" } : {} });
    searched = false;
    if (answer.status === 401) return signInAgain();
    const html = answer.ok ? await answer.text() : null;
    if (fetching !== mine) return; // another search has been made meanwhile
    if (html !== null && held) late = html;
    else if (html !== null) show(html);
  } catch { /* the connection is lost; it is told beside, and the rows are asked for again once it is back */ }
  if (fetching !== mine) return;
  fetching = null;
  if (again) { again = false; setTimeout(refresh, 200); }
}

function show(html) {
  const focused = rows.contains(document.activeElement);
  rows.innerHTML = html; // made and escaped by the server
  for (const count of rows.querySelector("table").dataset.counts.split(";")) {
    const [state, number] = count.split("=");
    const place = document.querySelector(`[data-count="${state}"]`);
    if (place) place.textContent = number;
  }
  select(selected, focused);
  age();
}

function all() { return [...rows.querySelectorAll("tr[data-case]")]; }

function select(id, focus = true) {
  selected = id;
  for (const row of all()) {
    const it = row.dataset.case === id;
    row.classList.toggle("selected", it);
    if (it && focus) { row.querySelector("a.open").focus({ preventScroll: true }); row.scrollIntoView({ block: "nearest" }); }
  }
}

rows.addEventListener("pointerdown", () => { held = true; });
for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => setTimeout(() => { // after the click
  held = false;
  if (late !== null) show(late);
  late = null;
}));

// Whoever comes back from a case finds the search, the page and the row as they were.
addEventListener("pagehide", () => {
  sessionStorage.setItem("worklist", location.search);
  if (selected) sessionStorage.setItem("selected", selected);
});

rows.addEventListener("focusin", (event) => {
  const row = event.target.closest("tr[data-case]");
  if (row && row.dataset.case !== selected) select(row.dataset.case, false);
});
rows.addEventListener("dblclick", (event) => event.target.closest("tr[data-case]")?.querySelector("a.open").click());

// ── filter ──

let typing = 0;
function look() {
  const asked = new URLSearchParams(new FormData(filter));
  for (const [key, value] of [...asked]) if (!value || (key === "sort" && value === "priority")) asked.delete(key, value);
  history.replaceState(null, "", asked.size ? "/?" + asked : "/");
  fetching?.abort();
  fetching = null;
  searched = true;
  refresh();
}
search.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(look, 150); });
filter.addEventListener("change", (event) => { if (event.target !== search) look(); });
filter.addEventListener("submit", (event) => { event.preventDefault(); look(); });

// ── keys ──

function step(by) {
  const found = all();
  if (!found.length) return;
  const now = found.findIndex((row) => row.dataset.case === selected);
  select(found[Math.min(Math.max(now + by, 0), found.length - 1)].dataset.case);
}

const keys = {
  j: () => step(1), ArrowDown: () => step(1), k: () => step(-1), ArrowUp: () => step(-1),
  Enter: () => rows.querySelector("tr.selected a.open")?.click(),
  "/": () => search.select(),
  "[": () => rows.querySelector("a[rel=prev]")?.click(),
  "]": () => rows.querySelector("a[rel=next]")?.click(),
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input, select, textarea")) {
    if (event.key === "Escape") { event.target.blur(); step(0); }
    return;
  }
  if (event.key === "Enter" && event.target.matches("a, button")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key; // also with caps lock
  if (keys[key]) { event.preventDefault(); keys[key](); }
});

select(selected, false);
live("/changes", { change: refresh }, showLive);
