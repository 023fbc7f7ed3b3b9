// Live charts: [data-charts] names a JSON address, each [data-chart] in it one chart of that answer. Drawn by Plotly.
(() => {
  const { inks, layout, readable, short, traces } = window.chartFigure;
  const CONFIG = { responsive: true, displaylogo: false, showSendToCloud: false, displayModeBar: false, doubleClick: "reset" };
  const last = new WeakMap();

  function draw(figure, given, ink) {
    last.set(figure, given);
    const chart = readable(given);
    const plot = figure.querySelector("[data-plot]"), empty = figure.querySelector("[data-empty]");
    plot.hidden = !chart.series.length;
    empty.hidden = !plot.hidden;
    figure.querySelector("details").hidden = plot.hidden;
    empty.textContent = "— no requests in the last hour. ";
    const help = figure.closest("[data-charts]").dataset.chartsHelp;
    if (help) empty.append(Object.assign(document.createElement("a"), { href: help, textContent: "Send one in the playground" }));
    if (plot.hidden) return;
    plot.setAttribute("aria-label", `${figure.querySelector("h3").textContent}: ${chart.series.map((one) => `${one.name} ${short(one.y.findLast((y) => y !== null))} ${chart.unit}`).join(", ")}`);
    const first = !plot.classList.contains("js-plotly-plot");
    Plotly.react(plot, traces(chart, ink), layout(chart, ink), CONFIG);
    if (first) plot.on("plotly_click", ({ points }) => { const href = points.find((point) => point.customdata)?.customdata; if (href) location.assign(href); });
    if (figure.querySelector("details").open) table(figure, chart);
  }

  function table(figure, chart) {
    const cell = (kind, text, number) => Object.assign(document.createElement(kind), { textContent: text, className: number ? "num" : "" });
    const row = (kind, values) => { const tr = document.createElement("tr"); tr.append(...values.map((value, i) => cell(kind, value, i > 0))); return tr; };
    const sheet = Object.assign(document.createElement("table"), { className: "table" });
    sheet.createTHead().append(row("th", ["UTC", ...chart.series.map((one) => `${one.name} (${chart.unit})`)]));
    sheet.createTBody().append(...chart.x.map((at, i) => row("td", [at.slice(11, 16), ...chart.series.map((one) => (one.y[i] === null ? "—" : short(one.y[i])))])).reverse());
    figure.querySelector("[data-table]").replaceChildren(sheet);
  }

  async function refresh(box) {
    const asOf = box.querySelector("[data-as-of]");
    try {
      const answer = await fetch(box.dataset.charts, { headers: { accept: "application/json" } });
      if (!answer.ok || answer.redirected) throw new Error(`${answer.status}`);
      const { as_of: at, charts } = await answer.json();
      const ink = inks();
      for (const figure of box.querySelectorAll("[data-chart]")) if (charts[figure.dataset.chart]) draw(figure, charts[figure.dataset.chart], ink);
      box.classList.remove("stale");
      if (asOf) asOf.textContent = at;
    } catch (error) {
      box.classList.add("stale");
      if (asOf && !asOf.textContent.endsWith("stale")) asOf.textContent += ", stale";
      console.warn("Charts were not refreshed:", error);
    }
  }

  const boxes = () => document.querySelectorAll("[data-charts]");
  const redraw = () => { const ink = inks(); for (const box of boxes()) for (const figure of box.querySelectorAll("[data-chart]")) if (last.has(figure)) draw(figure, last.get(figure), ink); };
  document.addEventListener("DOMContentLoaded", () => {
    Plotly.setPlotConfig({ showSendToCloud: false, displaylogo: false });
    boxes().forEach(refresh);
    for (const kind of ["console:tick-15", "console:changed"]) document.body.addEventListener(kind, () => boxes().forEach(refresh));
    document.addEventListener("toggle", (event) => { const figure = event.target.closest?.("[data-chart]"); if (figure && last.has(figure) && event.target.open) table(figure, readable(last.get(figure))); }, true);
  });
  document.addEventListener("console:theme", redraw);
  document.addEventListener("htmx:beforeCleanupElement", ({ target }) => { if (target.matches?.(".js-plotly-plot")) Plotly.purge(target); });
})();
