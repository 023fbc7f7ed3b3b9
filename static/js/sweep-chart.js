// The points of a tuning sweep: output tokens a second against a latency, the best one marked. Drawn by Plotly.
(() => {
  const { inks, short } = window.chartFigure;
  const CONFIG = { responsive: true, displaylogo: false, showSendToCloud: false, displayModeBar: false };
  const HEIGHT = 200;

  const shown = (points, name) => points.filter((point) => point[name] !== null && point.tokens !== null);

  function trace(points, name, ink) {
    const size = (point) => (point.best ? 13 : 9);
    const colour = (point) => (point.kept ? ink.slots[0] : ink.base);
    return {
      type: "scatter", mode: points.length > 24 ? "markers" : "markers+text", cliponaxis: false,
      x: points.map((point) => point[name]), y: points.map((point) => point.tokens), text: points.map((point) => point.name),
      textposition: "top center", textfont: { size: 11, color: ink.text },
      marker: { symbol: points.map((point) => (point.best ? "star" : "circle")), size: points.map(size), color: points.map(colour) },
      hovertemplate: "%{text}<br>%{y:.3~g} tokens/s at %{x:.3~g} s<extra></extra>",
    };
  }

  function layout(points, name, limit, ink) {
    const right = Math.max(...points.map((point) => point[name])), near = limit <= right * 3;
    const top = Math.max(...points.map((point) => point.tokens)) * 1.2;
    const shapes = near ? [{ type: "line", x0: limit, x1: limit, yref: "paper", y0: 0, y1: 1, line: { color: ink.limit, width: 1.5, dash: "4px,3px" } }] : [];
    const note = near ? { x: limit, xanchor: "right", xshift: -4 } : { xref: "paper", x: 1, xanchor: "right" };
    const words = near ? `limit ${limit} s` : `limit ${limit} s, far to the right`;
    return {
      height: HEIGHT, margin: { l: 60, r: 36, t: 20, b: 28 }, showlegend: false, paper_bgcolor: ink.surface, plot_bgcolor: ink.surface, shapes,
      annotations: [{ ...note, yref: "paper", y: 1, yanchor: "bottom", showarrow: false, text: words, font: { size: 12, color: ink.limit } }],
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: ink.text }, hoverlabel: { bgcolor: ink.surface, font: { color: ink.text } },
      xaxis: { range: [0, (near ? Math.max(right, limit) : right) * 1.1], ticksuffix: " s", nticks: 6, gridcolor: ink.soft, zeroline: false, linecolor: ink.base },
      yaxis: { range: [0, top || 1], title: { text: "output tokens/s", font: { size: 12 } }, nticks: 5, gridcolor: ink.soft, zeroline: false },
    };
  }

  function draw() {
    const source = document.getElementById("sweep-data");
    if (!source) return;
    const { points, limits } = JSON.parse(source.textContent), ink = inks();
    for (const figure of document.querySelectorAll("[data-sweep]")) {
      const name = figure.dataset.sweep, found = shown(points, name), plot = figure.querySelector("[data-plot]");
      plot.hidden = !found.length;
      figure.querySelector("[data-empty]").hidden = Boolean(found.length);
      if (!found.length) continue;
      plot.setAttribute("aria-label", found.map((point) => `${point.name}: ${short(point.tokens)} tokens/s at ${short(point[name])} s`).join("; "));
      Plotly.react(plot, [trace(found, name, ink)], layout(found, name, limits[name], ink), CONFIG);
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    Plotly.setPlotConfig({ showSendToCloud: false, displaylogo: false });
    draw();
  });
  document.addEventListener("htmx:afterSwap", draw);
  document.addEventListener("console:theme", draw);
})();
