const editor = document.getElementById("editor");
const text = document.getElementById("text");
const gutter = document.getElementById("gutter");
const checked = document.getElementById("checked");
const verdict = document.getElementById("verdict");
const theirs = document.getElementById("theirs");
const why = document.getElementById("why"); // asked of rules alone
const { pages, name } = editor.dataset; // no name for a new template, and for the rules, of which there are only these
const begun = "newest" in editor.dataset; // there are versions, or a file
const address = (of) => (of ? `${pages}/${of}` : pages);
const api = `/api/v1${address(name)}`;
let newest = Number(editor.dataset.newest);
let saved = text.defaultValue; // what may be left behind

const say = (words) => { document.getElementById("status").textContent = words; };

function ask(method, path, body) {
  const sent = body && { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  return fetch(path, { method, ...sent }).catch(() => null);
}

// ── live check ──

let typing = 0, asked = 0;
text.addEventListener("input", () => { number(); clearTimeout(typing); typing = setTimeout(check, 250); });

async function check() {
  const mine = ++asked; // an answer to an older text is thrown away
  const answer = await ask("POST", `${pages}/check`, { text: text.value, name });
  const html = answer?.ok && (await answer.text());
  if (!html || mine !== asked) return;
  checked.innerHTML = html; // made and escaped by the server
  const told = checked.firstElementChild.dataset;
  if (verdict.textContent !== told.verdict) verdict.textContent = told.verdict; // it is read out when it changes
  verdict.classList.toggle("well", told.well === "yes");
  number();
}

// The sheet is as long as its text, and each line has its number.
function number() {
  const lines = text.value.split("\n").map((_, index) => {
    const line = document.createElement("span");
    line.textContent = index + 1;
    return line;
  });
  for (const mistake of checked.querySelectorAll("[data-line]")) lines[mistake.dataset.line - 1]?.classList.add("wrong");
  gutter.replaceChildren(...lines);
  text.rows = lines.length;
}
number();
if (text.value !== saved) check(); // typed before this script came, or put back by the browser

checked.addEventListener("click", (event) => {
  const line = Number(event.target.dataset.line);
  if (!line) return;
  const lines = text.value.split("\n");
  const start = lines.slice(0, line - 1).join("\n").length + (line > 1);
  text.focus();
  text.setSelectionRange(start, start + (lines[line - 1] ?? "").length);
});

// ── saving ──

editor.addEventListener("submit", async (event) => {
  event.preventDefault();
  say("saving");
  const body = { text: text.value, why: why?.value };
  done(await (begun ? ask("PUT", api, { ...body, on: newest }) : ask("POST", api, body)), body.text);
});
document.getElementById("out")?.addEventListener("click", async () => {
  if (why && !why.reportValidity()) return;
  const because = why ? `&why=${encodeURIComponent(why.value)}` : "";
  done(await ask("DELETE", `${api}?on=${newest}${because}`), saved);
});

async function done(answer, sent) {
  if (!answer) return say("The connection is lost: nothing was saved, your text stands here. Try again.");
  if (answer.status === 401) return say("You are signed out: sign in in another window, then save again here.");
  const told = await answer.json();
  if (answer.ok) { saved = sent; location.href = address(told.name); return; }
  if (answer.status === 409 && begun) return meanwhile();
  say(typeof told.detail === "string" ? told.detail : "This text cannot be saved.");
}

async function meanwhile() {
  const answer = await ask("GET", api);
  if (!answer?.ok) return say("Somebody else has saved this; your text stands here. Try again.");
  const now = await answer.json();
  const [last] = now.versions;
  newest = last.version;
  theirs.href = `${address(name)}?text=${newest}`;
  theirs.hidden = last.taken_out;
  say(`${last.by} has ${last.taken_out ? "taken it out of use" : `saved version ${newest}`} meanwhile. Your text stands here; saving it makes it version ${newest + 1}.`);
}

addEventListener("beforeunload", (event) => { if (text.value !== saved) event.preventDefault(); });
