// The split editor: sliders, steppers and presets move one weight, the baseline takes the remainder, the total is shown.
// Nothing is sent but the preview; the server checks everything again.
(() => {
  const form = document.querySelector("[data-split]");
  if (!form) return;
  const rows = [...form.querySelectorAll("[data-row]")];
  const part = (row, name) => row.querySelector(`[data-${name}]`);
  const inSplit = (row) => part(row, "role").value === "split";
  const weight = (row) => Number.parseInt(part(row, "weight").value, 10) || 0;
  const clamp = (value) => Math.max(0, Math.min(100, value));
  let chosen = rows.find((row) => inSplit(row) && part(row, "canary").checked) || rows.filter(inSplit)[1] || rows[0];

  function put(row, value) {
    part(row, "weight").value = value;
    part(row, "slide").value = value;
  }

  // The baseline with most weight; when that one is moved, the only other row of the split.
  function remainder(moved) {
    const others = rows.filter((row) => row !== moved && inSplit(row));
    const stable = others.filter((row) => !part(row, "canary").checked);
    const isBaseline = !part(moved, "canary").checked && weight(moved) >= Math.max(0, ...stable.map(weight));
    if (isBaseline && others.length === 1) return others[0];
    return stable.sort((a, b) => weight(b) - weight(a))[0] || others[0];
  }

  function balance(moved) {
    const taker = remainder(moved);
    if (!taker) return;
    const rest = rows.filter((row) => row !== taker && inSplit(row)).reduce((sum, row) => sum + weight(row), 0);
    put(taker, clamp(100 - rest));
  }

  function show() {
    const total = rows.filter(inSplit).reduce((sum, row) => sum + weight(row), 0);
    const box = form.querySelector("[data-total]");
    box.textContent = total === 100 ? "total 100 %" : `total ${total} %, must be 100 %`;
    box.toggleAttribute("data-wrong", total !== 100 && rows.some(inSplit));
    for (const row of rows) {
      const off = !inSplit(row);
      for (const name of ["slide", "weight", "canary"]) part(row, name).toggleAttribute("data-off", off);
      row.querySelectorAll("[data-step], [data-slide]").forEach((control) => { control.disabled = off; });
      row.toggleAttribute("data-off", off);
    }
    form.querySelector("[data-preset-name]").textContent = chosen ? `${chosen.dataset.row} to` : "";
    form.querySelectorAll("[data-preset]").forEach((button) => {
      button.setAttribute("aria-pressed", String(chosen && inSplit(chosen) && Number(button.dataset.preset) === weight(chosen)));
    });
  }

  function move(row, value) {
    chosen = row;
    if (!inSplit(row)) part(row, "role").value = "split";
    put(row, clamp(value));
    balance(row);
    changed();
    form.dispatchEvent(new CustomEvent("split:moved", { bubbles: true }));
  }

  function changed() {
    form.dataset.dirty = "";
    const apply = document.getElementById("apply");
    if (apply && form.hasAttribute("hx-post")) apply.disabled = true; // until the preview names the new numbers
    show();
  }

  form.addEventListener("click", (event) => {
    const button = event.target.closest("[data-step], [data-preset]");
    if (!button) return;
    if ("preset" in button.dataset) return chosen && move(chosen, Number(button.dataset.preset));
    const row = button.closest("[data-row]");
    move(row, weight(row) + Number(button.dataset.step));
  });
  form.addEventListener("input", (event) => {
    const row = event.target.closest("[data-row]");
    if (!row) return;
    chosen = row;
    if (event.target === part(row, "slide")) part(row, "weight").value = event.target.value;
    if (event.target === part(row, "weight")) part(row, "slide").value = event.target.value;
    if (event.target === part(row, "role")) put(row, inSplit(row) && rows.filter(inSplit).length === 1 ? 100 : 0);
    if (event.target !== part(row, "canary")) balance(row);
    changed();
  });
  form.addEventListener("htmx:afterRequest", (event) => {
    const apply = document.getElementById("apply");
    if (!event.detail.successful && apply) apply.disabled = false; // the server decides; the button never stays dead
  });
  document.addEventListener("htmx:afterSettle", () => {
    const moved = form.querySelector("[data-moved]");
    const truth = document.getElementById("truth");
    if (moved && truth) moved.hidden = truth.dataset.revision === form.elements.expected.value;
  });
  form.querySelector("[data-presets]").hidden = false;
  document.querySelectorAll(".only-plain").forEach((button) => { button.hidden = true; });
  show();
})();
