// The list of all keys, by the key that everybody tries.
const list = document.getElementById("keys");
document.getElementById("all-keys").addEventListener("click", () => list.showModal());
document.addEventListener("keydown", (event) => {
  if (event.key !== "?" || event.target.matches("input, select, textarea") || document.querySelector("dialog[open]")) return;
  event.preventDefault();
  list.showModal();
});
list.addEventListener("keydown", (event) => event.stopPropagation()); // else they would act behind it
