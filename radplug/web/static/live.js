// What the server tells by itself. `heard` has a function for each kind of event; a lost connection is made anew.
export function live(address, heard, show = () => {}) {
  const events = new EventSource(address);
  events.addEventListener("open", () => show("live", true));
  for (const [kind, told] of Object.entries(heard)) events.addEventListener(kind, told);
  events.addEventListener("over", signInAgain);
  events.addEventListener("error", async () => {
    show("connection lost, trying again", false);
    if (events.readyState !== EventSource.CLOSED) return;
    const answer = await fetch("/rows", { redirect: "manual" }).catch(() => null);
    if (answer && answer.status === 401) signInAgain();
    else setTimeout(() => live(address, heard, show), 2000);
  });
}

export function showLive(text, well) {
  const place = document.getElementById("live");
  place.textContent = text;
  place.classList.toggle("well", well);
}

// The session has ended. Who signs out is on the way elsewhere already, and a reload would call them back.
let leaving = false;
addEventListener("beforeunload", () => { leaving = true; });
addEventListener("pageshow", () => { leaving = false; });
export function signInAgain() { if (!leaving) location.reload(); }

// What one has typed or looked for is nobody else's who signs in here afterwards.
document.querySelector("form.who")?.addEventListener("submit", () => addEventListener("pagehide", () => sessionStorage.clear()));

// Ages grow by themselves.
export function age() {
  for (const time of document.querySelectorAll("time")) {
    const seconds = Math.max(0, (Date.now() - Date.parse(time.dateTime)) / 1000);
    const [size, unit] = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]].find(([size]) => seconds >= size) ?? [1, "s"];
    time.textContent = `${Math.floor(seconds / size)} ${unit}`;
  }
}
setInterval(age, 5000);
