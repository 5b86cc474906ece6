const text = document.getElementById("text");
const tried = document.getElementById("tried");

document.getElementById("try").addEventListener("submit", async (event) => {
  event.preventDefault();
  const asked = { text: text.value, case: document.getElementById("case").value };
  const sent = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(asked) };
  const answer = await fetch("/rules/try", sent).catch(() => null);
  if (answer?.ok) tried.innerHTML = await answer.text(); // made and escaped by the server
  else tried.textContent = "The text could not be tried. Try again.";
});
text.addEventListener("input", () => { tried.textContent = ""; }); // what was said of another text
