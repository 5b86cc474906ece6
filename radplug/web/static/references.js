// Which image a sentence of the model's refers to: the one without which the model would least have written it.
const report = document.getElementById("draft");

function imageOf(target) {
  const sentence = target?.closest?.("#draft [data-image]");
  const image = sentence && document.getElementById(`image-${sentence.dataset.image}`);
  for (const figure of document.querySelectorAll("figure[data-uid]")) figure.classList.toggle("referred", figure === image);
  return image;
}
report.addEventListener("focusin", (event) => imageOf(event.target));
report.addEventListener("focusout", () => imageOf(null));
report.addEventListener("mouseover", (event) => imageOf(event.target));
report.addEventListener("mouseleave", () => imageOf(document.activeElement));

const jump = (image) => image?.querySelector("button").click();
report.addEventListener("click", (event) => {
  if (getSelection().isCollapsed) jump(imageOf(event.target));
});
report.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() === "i" && !event.ctrlKey && !event.metaKey) jump(imageOf(event.target));
});
