// Every htmx request carries the CSRF token; a session that ended is said, never swapped into a panel.
(() => {
  const token = () => document.querySelector('meta[name="csrf-token"]').content;

  document.addEventListener("htmx:configRequest", (event) => {
    event.detail.headers["X-CSRFToken"] = token();
  });

  document.addEventListener("htmx:beforeSwap", (event) => {
    const landed = new URL(event.detail.xhr.responseURL || location.href).pathname;
    if (!landed.startsWith("/accounts/login")) return;
    event.detail.shouldSwap = false;
    document.dispatchEvent(new CustomEvent("console:signed-out"));
  });
})();
