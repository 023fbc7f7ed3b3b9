// The charts of a gate run from its points: which series, limits and phase bands. Drawn with chart-figure.js.
window.gateCharts = (() => {
  const { inks, layout, readable, short, traces } = window.chartFigure;
  const CONFIG = { responsive: true, displaylogo: false, showSendToCloud: false, displayModeBar: false, doubleClick: "reset" };
  const KINDS = { http_error: 2, transport_error: 3, timeout: 1, truncated: 4, empty: 5, not_sent: 6 };

  function charts(points, box) {
    const slot = Number(box.dataset.slotOf), column = (name, scale = 1) => points.map((point) => (point[name] == null ? null : point[name] * scale));
    const one = (name, key, faint, scale) => ({ name, slot, faint, y: column(key, scale) });
    const failures = [...new Set(points.flatMap((point) => Object.keys(point.errors || {})))].sort();
    const shapes = {
      load: { unit: "req/s", limit: null, series: [one("offered", "offered", true), one("served", "served")] },
      ttft: { unit: "s", limit: Number(box.dataset.ttft), series: [one("P50", "ttft_p50", true), one("P95", "ttft_p95")] },
      e2e: { unit: "s", limit: Number(box.dataset.e2e), series: [one("P50", "e2e_p50", true), one("P95", "e2e_p95")] },
      tpot: { unit: "s", limit: null, series: [one("P50", "tpot_p50")] },
      errors: { unit: "/s", limit: null, stacked: true, series: failures.map((kind) => ({ name: kind.replace("_", " "), slot: KINDS[kind] || 1, y: points.map((point) => point.errors?.[kind] || 0) })) },
      inside: { unit: "requests", limit: null, series: [one("in flight", "in_flight")] },
      queue: { unit: "waiting", limit: null, series: [one("waiting", "queue")] },
      kv: { unit: "%", limit: null, series: [one("KV use", "kv_use", false, 100)] },
    };
    const x = points.map((point) => point.at);
    for (const chart of Object.values(shapes)) {
      Object.assign(chart, { x, marks: [], series: chart.series.filter((series) => series.y.some((y) => y !== null)) });
    }
    return shapes;
  }

  // Kinds on top of each other; their names go to a legend, since a line's end is no value of its own.
  function stack(chart, lines, frame) {
    lines.forEach((line) => Object.assign(line, { stackgroup: "kinds", line: { ...line.line, width: 1 } }));
    const highest = Math.max(...chart.x.map((_, i) => chart.series.reduce((sum, one) => sum + one.y[i], 0)), 0);
    Object.assign(frame, { annotations: [], showlegend: true, legend: { x: 1, xanchor: "left", y: 1, bgcolor: "transparent" }, yaxis: { ...frame.yaxis, range: [0, highest * 1.15 || 1] } });
  }

  // Where a phase begins and ends, as a quiet band with its name.
  function bands(points, ink) {
    const runs = [];
    for (const point of points) {
      const name = (point.phase || "").toUpperCase();
      if (runs.at(-1)?.name === name) runs.at(-1).until = point.at;
      else runs.push({ name, from: point.at, until: point.at });
    }
    const named = runs.filter((run) => run.name);
    return {
      shapes: named.map((run) => ({ type: "rect", layer: "below", xref: "x", x0: run.from, x1: run.until, yref: "paper", y0: 0, y1: 1, line: { width: 0 }, fillcolor: ink.soft, opacity: 0.45 })),
      notes: named.map((run) => ({ xref: "x", x: run.from, xanchor: "left", yref: "paper", y: 1, yanchor: "bottom", showarrow: false, text: run.name, font: { size: 11, color: ink.text } })),
    };
  }

  // A short phase is narrower than its name: the names then stand side by side, in order, instead of on each other.
  function apart(notes, x, width) {
    const from = Date.parse(x[0]), scale = width / (Date.parse(x.at(-1)) - from || 1);
    notes.reduce((free, note) => {
      const at = (Date.parse(note.x) - from) * scale;
      note.xshift = Math.max(0, free - at);
      return at + note.xshift + 8 * note.text.length + 4;
    }, 0);
  }

  function draw(figure, given, points, ink) {
    const chart = readable(given);
    const plot = figure.querySelector("[data-plot]"), empty = figure.querySelector("[data-empty]");
    plot.hidden = !chart.series.length;
    empty.hidden = !plot.hidden;
    figure.querySelector("details").hidden = plot.hidden;
    empty.textContent = figure.dataset.chart === "errors" ? "No failure." : "— not measured by this engine.";
    if (plot.hidden) return;
    plot.setAttribute("aria-label", `${figure.querySelector("h3").textContent}: ${chart.series.map((one) => `${one.name} ${short(one.y.findLast((y) => y !== null))} ${chart.unit}`).join(", ")}`);
    const lines = traces(chart, ink), frame = layout(chart, ink), { shapes, notes } = bands(points, ink);
    chart.series.forEach((one, i) => Object.assign(lines[i].line, { dash: "solid", width: one.faint ? 1.5 : 2 }, one.faint && { color: ink.base }));
    if (chart.stacked) stack(chart, lines, frame);
    frame.shapes.push(...shapes);
    for (const note of frame.annotations) if (note.text?.endsWith("far above")) Object.assign(note, { x: 1, xanchor: "right", yanchor: "top" }); // above is the phases' place
    Object.assign(frame, { margin: { ...frame.margin, t: 20 }, xaxis: { ...frame.xaxis, tickformat: "%H:%M:%S", nticks: 4 } });
    apart(notes, chart.x, plot.clientWidth - frame.margin.l - frame.margin.r);
    frame.annotations.push(...notes);
    Plotly.react(plot, lines, frame, CONFIG);
    if (figure.querySelector("details").open) table(figure, chart);
  }

  function table(figure, chart) {
    const cell = (kind, text, number) => Object.assign(document.createElement(kind), { textContent: text, className: number ? "num" : "" });
    const row = (kind, values) => { const tr = document.createElement("tr"); tr.append(...values.map((value, i) => cell(kind, value, i > 0))); return tr; };
    const sheet = Object.assign(document.createElement("table"), { className: "table" });
    sheet.createTHead().append(row("th", ["UTC", ...chart.series.map((one) => `${one.name} (${chart.unit})`)]));
    const newest = chart.x.map((at, i) => [at.slice(11, 19), ...chart.series.map((one) => (one.y[i] === null ? "—" : short(one.y[i])))]).slice(-300).reverse();
    sheet.createTBody().append(...newest.map((values) => row("td", values)));
    figure.querySelector("[data-table]").replaceChildren(sheet);
  }

  function show(box, points) {
    box.querySelector(".charts").hidden = !points.length;
    box.querySelector("[data-none]").hidden = Boolean(points.length);
    if (!points.length) return;
    const found = charts(points, box), ink = inks();
    for (const figure of box.querySelectorAll("[data-chart]")) draw(figure, found[figure.dataset.chart], points, ink);
  }

  return { show };
})();
