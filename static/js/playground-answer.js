"use strict";
// One message in a transcript. An answer grows as plain text, once per animation frame; its HTML comes once, at the end.
class PlaygroundAnswer {
  static CALM = matchMedia("(prefers-reduced-motion: reduce)");

  static message(log, from, who) {
    const box = document.getElementById("message").content.firstElementChild.cloneNode(true);
    box.dataset.from = from;
    box.querySelector(".who").textContent = who;
    const bottom = PlaygroundAnswer.atBottom(log) || from === "user";
    log.append(box);
    if (bottom) log.scrollTop = log.scrollHeight;
    return box;
  }

  static atBottom(log) {
    return log.scrollHeight - log.scrollTop - log.clientHeight < 24;
  }

  static ask(log, text) {
    const box = PlaygroundAnswer.message(log, "user", `You · ${new Date().toISOString().slice(11, 19)} UTC`);
    box.querySelector(".prose").append(Object.assign(document.createElement("p"), { className: "plain", textContent: text }));
  }

  constructor(log, who) {
    this.log = log;
    this.text = "";
    this.waiting = "";
    this.thoughts = "";
    this.due = false;
    this.box = PlaygroundAnswer.message(log, "engine", who);
    this.box.setAttribute("aria-busy", "true");
    this.prose = this.box.querySelector(".prose");
    this.line = document.createTextNode("");
    const paragraph = Object.assign(document.createElement("p"), { className: "plain" });
    paragraph.append(this.line, Object.assign(document.createElement("span"), { className: "caret" }));
    this.prose.append(paragraph);
  }

  name(engine) {
    if (engine) this.box.querySelector(".who").textContent = engine;
  }

  add(text, reasoning) {
    this.text += text;
    this.waiting += text;
    this.thoughts += reasoning || "";
    if (this.due) return;
    this.due = true;
    if (PlaygroundAnswer.CALM.matches) setTimeout(() => this.flush(), 500);
    else requestAnimationFrame(() => this.flush());
  }

  flush() {
    this.due = false;
    const follow = PlaygroundAnswer.atBottom(this.log);
    this.line.appendData(this.waiting);
    this.waiting = "";
    if (this.thoughts) {
      const details = this.box.querySelector(".reasoning");
      details.hidden = false;
      details.querySelector("p").append(this.thoughts);
      this.thoughts = "";
    }
    if (follow) this.log.scrollTop = this.log.scrollHeight;
  }

  // `html` is made and sanitised by the server; without it the plain text stays.
  end(html) {
    this.flush();
    const follow = PlaygroundAnswer.atBottom(this.log);
    this.box.removeAttribute("aria-busy");
    this.box.querySelector(".caret")?.remove();
    if (html) this.prose.innerHTML = html;
    if (follow) this.log.scrollTop = this.log.scrollHeight;
  }

  note(state, text, code) {
    const line = Object.assign(document.createElement("div"), { className: "notice" });
    line.dataset.state = state;
    const words = Object.assign(document.createElement("p"), { textContent: text });
    if (code) words.append(" ", Object.assign(document.createElement("span"), { className: "id", textContent: code }));
    line.append(words);
    this.prose.append(line);
    this.log.scrollTop = this.log.scrollHeight;
    return words;
  }
}
