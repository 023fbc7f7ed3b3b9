"use strict";
// What a pane shows beside its conversation: the state in its head, the buttons that fit it, why this engine.
class PlaygroundView {
  constructor(root) {
    this.root = root;
    this.number = Number(root.dataset.pane);
    this.select = root.querySelector("select");
    this.log = root.querySelector(".transcript");
    this.stats = new PlaygroundStats(root.querySelector(".stats"));
    this.button = (act) => root.querySelector(`[data-act="${act}"]`);
  }

  get shown() { return !this.root.hidden; }

  // What was wrong with the whole message, beside the composer; an empty text takes it away.
  static refuse(text) {
    const box = document.getElementById("refused");
    box.hidden = !text;
    box.querySelector("p").textContent = text;
  }

  // Engines that the route does not name would be refused.
  offer(route) {
    for (const option of this.select.options) option.disabled = option.value !== "auto" && !option.dataset.routes.split(" ").includes(route);
    if (this.select.selectedOptions[0]?.disabled) this.select.value = "auto";
  }

  why(title, rule, text) {
    const box = this.root.querySelector(".why");
    box.querySelector("summary").replaceChildren(`${title}: `, Object.assign(document.createElement("span"), { className: "strong", textContent: rule }));
    [...box.children].slice(1).forEach((part) => part.remove());
    box.append(Object.assign(document.createElement("p"), { textContent: text }));
  }

  status(state, icon, word) {
    const box = this.root.querySelector("[data-status]");
    box.dataset.state = state;
    box.querySelector("use").setAttribute("href", `#i-${icon}`);
    box.lastElementChild.textContent = word;
    this.log.setAttribute("aria-busy", String(this.busy));
    this.button("stop").hidden = !this.busy;
    this.button("again").hidden = this.busy || !this.turns.length;
    this.button("copy").disabled = !this.answer?.text;
    this.select.disabled = this.busy;
  }

  say(words) { this.root.querySelector("[data-summary]").textContent = words; }
}
