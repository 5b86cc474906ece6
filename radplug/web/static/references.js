// Which image a sentence of the model's refers to: all that the model was shown when it wrote it.
const report = document.getElementById("draft");
const figures = [...document.querySelectorAll("figure[data-uid]")];

function refer(target) {
  const sentence = target?.closest?.("#draft span.model");
  for (const figure of figures) figure.classList.toggle("referred", Boolean(sentence?.textContent.trim()));
  return sentence;
}
report.addEventListener("focusin", (event) => refer(event.target));
report.addEventListener("focusout", () => refer(null));
report.addEventListener("mouseover", (event) => refer(event.target));
report.addEventListener("mouseleave", () => refer(document.activeElement));

const jump = () => figures[0]?.querySelector("button").click();
report.addEventListener("click", (event) => {
  if (getSelection().isCollapsed && refer(event.target)) jump();
});
report.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() === "i" && !event.ctrlKey && !event.metaKey && refer(event.target)) jump();
});
