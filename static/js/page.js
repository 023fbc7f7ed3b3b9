// Small behaviours of every page: pause live updates, dismiss toasts, copy text, mark forms that were touched.
(() => {
  let paused = false;

  function pause(button) {
    paused = !paused;
    button.setAttribute("aria-pressed", String(paused));
    button.title = paused ? "Resume live updates" : "Pause live updates";
    button.querySelector(".sr").textContent = button.title;
    document.dispatchEvent(new CustomEvent("console:pause", { detail: paused }));
  }

  async function copy(button) {
    const source = document.querySelector(button.dataset.copy);
    const label = button.querySelector("[data-label]") || button;
    const before = label.textContent;
    try {
      await navigator.clipboard.writeText("value" in source ? source.value : source.textContent.trim());
      label.textContent = "Copied";
    } catch {
      label.textContent = "Copy failed: select the text";
      source.hidden = false;
    }
    setTimeout(() => { label.textContent = before; }, 2_000);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-pause], [data-dismiss], [data-copy]");
    if (!button) return;
    if ("pause" in button.dataset) pause(button);
    if ("dismiss" in button.dataset) button.closest(".toast").remove();
    if ("copy" in button.dataset) copy(button);
  });
  document.addEventListener("input", (event) => {
    const form = event.target.closest("form");
    if (form) form.dataset.dirty = "";
  });

  // A refreshed part keeps what the reader opened and where the keyboard is.
  let kept = { open: [], focus: null };
  document.addEventListener("htmx:beforeSwap", ({ detail: { target } }) => {
    const active = target.contains(document.activeElement) ? document.activeElement : null;
    const address = active?.getAttribute("href");
    kept = {
      open: [...target.querySelectorAll("details[id][open]")].map((details) => details.id),
      focus: active && (active.id ? `#${CSS.escape(active.id)}` : address && `[href="${CSS.escape(address)}"]`),
    };
  });
  document.addEventListener("htmx:afterSwap", () => {
    for (const id of kept.open) document.getElementById(id)?.setAttribute("open", "");
    if (kept.focus && document.activeElement === document.body) document.querySelector(`#main ${kept.focus}`)?.focus({ preventScroll: true });
    kept = { open: [], focus: null };
  });

  function expire(toast) {
    if (toast.dataset.state === "warn" || toast.dataset.state === "fail") return;
    setTimeout(() => toast.remove(), Number(toast.dataset.toast) * 1_000);
  }
  document.addEventListener("DOMContentLoaded", () => document.querySelectorAll("[data-toast]").forEach(expire));
  document.addEventListener("htmx:load", (event) => {
    if (event.detail.elt.matches?.("[data-toast]")) expire(event.detail.elt);
  });
})();
