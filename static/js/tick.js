// The clock of live panels: dispatches console:tick-5, -15, -60 on <body>. htmx's own polling filter needs eval.
// No tick while hidden, paused, while a dialog is open, or over a form that somebody fills in.
(() => {
  const PERIODS = [5, 15, 60];
  const WAIT = [0, 0, 15_000, 60_000]; // milliseconds to stay quiet after that many failures in a row
  let failures = 0, quietUntil = 0, paused = false;

  const quiet = () => document.hidden || paused || Date.now() < quietUntil || document.querySelector("dialog[open]");
  const jitter = (seconds) => seconds * 1000 * (0.9 + Math.random() * 0.2);
  const tick = (seconds) => document.body.dispatchEvent(new CustomEvent(`console:tick-${seconds}`));

  function schedule(seconds) {
    setTimeout(() => {
      if (!quiet()) tick(seconds);
      schedule(seconds);
    }, jitter(seconds));
  }

  function all() { if (!quiet()) PERIODS.forEach(tick); }

  const busy = (target) => target && (target.closest("[data-dirty]") || target.querySelector("[data-dirty]") ||
    (target.contains(document.activeElement) && document.activeElement.matches("input, textarea, select")));

  document.addEventListener("htmx:beforeRequest", (event) => {
    const cause = event.detail.requestConfig.triggeringEvent;
    if (!cause || !cause.type.startsWith("console:")) return;
    if (busy(event.detail.target)) event.preventDefault();
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const answered = event.detail.xhr.status > 0 && event.detail.xhr.status < 500;
    failures = answered ? 0 : Math.min(failures + 1, WAIT.length - 1);
    quietUntil = answered ? 0 : Date.now() + WAIT[failures];
    document.dispatchEvent(new CustomEvent(answered ? "console:fresh" : "console:silent"));
  });
  document.addEventListener("htmx:afterSettle", () => {
    const words = document.querySelector("[data-title]");
    if (words) document.title = words.dataset.title;
  });

  document.addEventListener("visibilitychange", all);
  document.addEventListener("console:pause", (event) => { paused = event.detail; all(); });
  document.addEventListener("DOMContentLoaded", () => PERIODS.forEach(schedule));
  document.addEventListener("console:signed-out", () => { paused = true; });
})();
