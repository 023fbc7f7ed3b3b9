// The live page of a gate run: asks each second for new points while the run is active, and tells when the state moved.
(() => {
  const EVERY = 1_000, HIDDEN = 5_000, MOST = 1_800, CALM = matchMedia("(prefers-reduced-motion: reduce)");
  let points = [], after = 0, mark = null, paused = false, failures = 0, drawnAt = 0;

  const box = () => document.querySelector("[data-gate-points]");

  function fields(texts) {
    for (const place of document.querySelectorAll("[data-fields] [data-field]")) {
      const text = texts[place.dataset.field];
      if (text !== undefined && place.textContent !== text) place.textContent = text;
    }
  }

  function take(answer) {
    if (!after) box().querySelector("[data-frames]").textContent = answer.seconds > 1 ? `${answer.seconds} s frames, the newest 1 s · UTC` : "1 s frames · UTC";
    points = after ? points.concat(answer.points) : answer.points;
    after = answer.last;
    if (points.length > MOST) after = 0; // the next answer brings the history in larger frames
    fields(answer.fields);
    const moved = mark !== null && mark !== answer.mark;
    const behind = mark === null && document.getElementById("gate-head")?.dataset.mark !== answer.mark;
    mark = answer.mark;
    if (moved || behind) document.body.dispatchEvent(new CustomEvent("gate:moved"));
    const due = Date.now() - drawnAt >= (CALM.matches ? 5_000 : 0);
    if (due && (answer.points.length || !drawnAt || !answer.active)) { drawnAt = Date.now(); gateCharts.show(box(), points); }
  }

  function stale(on, at) {
    const asOf = box().querySelector("[data-as-of]");
    box().classList.toggle("stale", on);
    document.querySelector("[data-fields]")?.classList.toggle("stale", on);
    if (!on) asOf.textContent = at;
    else if (!asOf.textContent.endsWith("stale")) asOf.textContent += ", stale";
  }

  async function ask() {
    if (paused) return EVERY;
    try {
      const answer = await fetch(`${box().dataset.gatePoints}?after=${after}`, { headers: { accept: "application/json" } });
      if (!answer.ok || answer.redirected) throw new Error(`${answer.status}`);
      const body = await answer.json();
      failures = 0;
      take(body);
      stale(false, body.as_of);
      if (!body.active) return null;
      return document.hidden ? HIDDEN : EVERY;
    } catch (error) {
      failures += 1;
      if (failures > 2) stale(true);
      console.warn("Points were not read:", error);
      return Math.min(15_000, EVERY * 2 ** failures);
    }
  }

  let timer = null;
  async function loop() {
    clearTimeout(timer);
    const begun = Date.now();
    const wait = await ask();
    clearTimeout(timer); // a second caller may have come by while this one waited
    if (wait !== null) timer = setTimeout(loop, Math.max(100, wait - (Date.now() - begun)));
  }

  // A run that was resumed is active again: its row says so through the page's websocket.
  document.addEventListener("console:pause", (event) => { paused = event.detail; });
  document.addEventListener("console:theme", () => gateCharts.show(box(), points));
  document.addEventListener("toggle", (event) => { if (event.target.closest?.("[data-chart]")) gateCharts.show(box(), points); }, true);
  document.addEventListener("DOMContentLoaded", () => {
    Plotly.setPlotConfig({ showSendToCloud: false, displaylogo: false });
    document.body.addEventListener("console:changed", ({ detail }) => {
      if (detail.event === "all" || detail.event === `gate:${box().dataset.run}`) loop();
    });
    loop();
  });
})();
