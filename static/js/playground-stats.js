"use strict";
// The figures under an answer. Numbers as in console/numbers.py; "—" where nothing was measured, never 0.
class PlaygroundStats {
  static LOWEST = ["ttft_ms", "tpot_ms", "total_ms"];
  static HIGHEST = ["tokens_per_second"];

  constructor(root) {
    this.cells = Object.fromEntries([...root.querySelectorAll("[data-figure]")].map((cell) => [cell.dataset.figure, cell]));
    this.values = {};
  }

  clear() {
    this.values = {};
    this.show();
  }

  // A part of the figures: frames bring them one after another.
  take(values) {
    Object.assign(this.values, values);
    this.show();
  }

  show() {
    for (const [name, cell] of Object.entries(this.cells)) cell.textContent = PlaygroundStats.words(name, this.values[name]);
  }

  static words(name, value) {
    if (value === undefined || value === null) return "—";
    if (name === "finish") return value;
    if (name === "tokens_per_second") return `${value.toFixed(1)} tok/s`;
    if (name === "tpot_ms") return value > 0 && value < 0.1 ? "< 0.1 ms" : `${value.toFixed(1)} ms`;
    if (name.endsWith("_ms")) return value > 0 && value < 1 ? "< 1 ms" : `${PlaygroundStats.number(value)} ms`;
    return PlaygroundStats.number(value);
  }

  static number(value) {
    return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, "\u2009");
  }

  // Marks the best of all panes in words, where at least two complete answers have the figure.
  static compare(all) {
    all.forEach((stats) => stats.show());
    const mark = (name, best, word) => {
      const having = all.filter((stats) => stats.values.complete && typeof stats.values[name] === "number");
      if (having.length < 2) return;
      const value = best(...having.map((stats) => stats.values[name]));
      const shown = PlaygroundStats.words(name, value); // a difference that rounding hides is none
      const winners = having.filter((stats) => PlaygroundStats.words(name, stats.values[name]) === shown);
      if (winners.length === having.length) return;
      for (const stats of winners) {
        stats.cells[name].append(" ", Object.assign(document.createElement("span"), { className: "best", textContent: word }));
      }
    };
    PlaygroundStats.LOWEST.forEach((name) => mark(name, Math.min, "lowest"));
    PlaygroundStats.HIGHEST.forEach((name) => mark(name, Math.max, "highest"));
  }
}
