"use strict";
// The settings that all panes share: read for a run, shown in short while their fields are folded.
const PlaygroundParameters = (() => {
  const field = (id) => document.getElementById(id);
  const number = (id) => (field(id).value === "" ? null : Number(field(id).value));

  // null when a field needs a change; the browser then says which.
  function read() {
    const box = document.querySelector(".parameters"), form = box.closest("form");
    if (!form.checkValidity()) {
      box.open = true;
      form.reportValidity();
      return null;
    }
    return {
      temperature: number("temperature"), top_p: number("top-p"), max_tokens: number("max-tokens"),
      stop: field("stops").value.split("\n").filter(Boolean), system: field("system").value.trim() || null,
    };
  }

  function show() {
    const parts = [["temperature", "temperature"], ["top-p", "top p"], ["max-tokens", "max tokens"]]
      .filter(([id]) => field(id).value !== "").map(([id, name]) => `${name} ${field(id).value}`);
    if (field("stops").value.trim()) parts.push("stop strings");
    if (field("system").value.trim()) parts.push("system prompt");
    field("parameters-now").textContent = parts.join(" · ") || "Parameters: the engines’ own";
  }

  document.querySelector(".parameters")?.addEventListener("input", show);
  if (field("parameters-now")) show();
  return { read };
})();
