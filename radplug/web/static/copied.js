// What is copied, or dragged, out of a draft says what it is.
const banner = document.querySelector(".banner");
for (const [kind, carrier] of [["copy", "clipboardData"], ["dragstart", "dataTransfer"]])
  document.addEventListener(kind, (event) => {
    const chosen = document.getSelection();
    const within = chosen.rangeCount && !chosen.isCollapsed && [...document.querySelectorAll(".draft")].some((draft) => chosen.getRangeAt(0).intersectsNode(draft));
    if (!within || event.target.closest?.("mark[draggable]")) return;
    event[carrier].setData("text/plain", `${banner.textContent.toUpperCase()}\n\n${chosen}`);
    if (kind === "copy") event.preventDefault();
    else event.dataTransfer.clearData("text/html");
  });
