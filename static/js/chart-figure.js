// One chart as Plotly wants it: colours from the tokens, limit line, change markers, names at the line ends.
window.chartFigure = (() => {
  const DASH = { 1: "solid", 2: "6px,3px", 3: "1.5px,3px", 4: "6px,3px,1.5px,3px", 5: "10px,4px", 6: "10px,4px,2px,4px" };
  const HEIGHT = 200, MARGIN = { l: 52, r: 104, t: 16, b: 28 };

  // Custom properties hold light-dark(…); only a computed colour is resolved.
  function inks() {
    const probe = document.body.appendChild(document.createElement("span"));
    const ink = (name) => { probe.style.color = `var(${name})`; return getComputedStyle(probe).color; };
    const found = { text: ink("--text-2"), soft: ink("--border-soft"), base: ink("--border-control"), limit: ink("--fail-fg"), surface: ink("--surface") };
    found.slots = [1, 2, 3, 4, 5, 6].map((slot) => ink(`--slot-${slot}`));
    probe.remove();
    return found;
  }

  const short = (value) => (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2));
  // Seconds below one are read in milliseconds; the limit keeps the words it was set in.
  function readable(chart) {
    const words = chart.limit === null ? "" : `limit ${chart.limit} ${chart.unit}`;
    if (chart.unit !== "s" || Math.max(...known(chart), 0) >= 1) return { ...chart, words };
    const thousand = (y) => (y === null ? null : y * 1000);
    return { ...chart, words, unit: "ms", limit: thousand(chart.limit), series: chart.series.map((one) => ({ ...one, y: one.y.map(thousand) })) };
  }

  const known = (chart) => chart.series.flatMap((one) => one.y).filter((y) => y !== null);

  function top(chart) {
    const highest = Math.max(...known(chart), 0);
    const withLimit = chart.limit !== null && highest > chart.limit * 0.15 ? Math.max(highest, chart.limit) : highest;
    return withLimit * 1.15 || 1;
  }

  // A name at the end of each line, pushed apart where lines end close together.
  function names(chart, ceiling, ink) {
    const scale = (HEIGHT - MARGIN.t - MARGIN.b) / ceiling;
    const ends = chart.series.map((one) => ({ one, y: one.y.findLast((y) => y !== null) })).sort((a, b) => a.y - b.y);
    let floor = -Infinity;
    return ends.map(({ one, y }) => {
      const at = Math.max(y * scale, floor + 14);
      floor = at;
      return { xref: "paper", x: 1, xanchor: "left", xshift: 6, yref: "y", y, yanchor: "middle", yshift: at - y * scale, showarrow: false,
        text: `${one.name.slice(0, 10)} ${short(y)}`, font: { size: 12, color: ink.text } };
    });
  }

  function layout(chart, ink) {
    const ceiling = top(chart), shown = chart.limit !== null && chart.limit <= ceiling;
    const line = (at) => ({ type: "line", xref: "x", x0: at, x1: at, yref: "paper", y0: 0, y1: 1, line: { color: ink.text, width: 1, dash: "2px,2px" } });
    const shapes = chart.marks.map((mark) => line(mark.at));
    const notes = names(chart, ceiling, ink);
    if (shown) shapes.push({ type: "line", xref: "paper", x0: 0, x1: 1, y0: chart.limit, y1: chart.limit, line: { color: ink.limit, width: 1.5, dash: "4px,3px" } });
    if (chart.limit !== null) notes.push({ xref: "paper", x: 0, xanchor: "left", yref: shown ? "y" : "paper", y: shown ? chart.limit : 1, yanchor: "bottom", showarrow: false,
      text: shown ? chart.words : `${chart.words}, far above`, font: { size: 12, color: ink.limit } });
    return {
      height: HEIGHT, margin: MARGIN, uirevision: "kept", showlegend: false, hovermode: "x unified", paper_bgcolor: ink.surface, plot_bgcolor: ink.surface,
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: ink.text }, shapes, annotations: notes,
      xaxis: { type: "date", range: [chart.x[0], chart.x.at(-1)], showgrid: false, linecolor: ink.base, tickformat: "%H:%M", nticks: 5, fixedrange: false },
      yaxis: { range: [0, ceiling], gridcolor: ink.soft, zeroline: false, nticks: 5, ticksuffix: chart.unit.length < 3 ? ` ${chart.unit}` : "" }, hoverlabel: { bgcolor: ink.surface, font: { color: ink.text } },
    };
  }

  function traces(chart, ink) {
    const lines = chart.series.map((one) => ({ x: chart.x, y: one.y, name: one.name, mode: "lines", connectgaps: false, type: "scatter",
      line: { color: ink.slots[(one.slot - 1) % 6], width: 2, dash: DASH[one.slot] || "solid" }, hovertemplate: `%{y:.3~f} ${chart.unit}` }));
    const marks = { x: chart.marks.map((mark) => mark.at), y: chart.marks.map(() => top(chart)), text: chart.marks.map((mark) => mark.text), name: "change", type: "scatter",
      customdata: chart.marks.map((mark) => mark.href), mode: "markers", cliponaxis: false, marker: { color: ink.text, size: 7 }, hovertemplate: "%{text}" };
    return chart.marks.length ? [...lines, marks] : lines;
  }

  return { inks, layout, readable, short, traces };
})();
