"use strict";
// One known question to every engine of the route at once, each in a pane of its own: which of them answer right now?
document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-known]");
  if (!button || document.getElementById("send").disabled) return;
  const panes = [...document.querySelectorAll("[data-pane]")];
  const offered = [...panes[0].querySelector("select").options].filter((option) => option.value !== "auto" && !option.disabled);
  const names = offered.slice(0, panes.length).map((option) => option.value);
  if (!names.length) return;
  document.querySelector("[data-act=clear]").click();
  document.querySelector(`[data-panes="${names.length}"]`).click();
  names.forEach((name, index) => { panes[index].querySelector("select").value = name; });
  document.getElementById("prompt").value = button.dataset.known;
  document.getElementById("composer").requestSubmit();
});
