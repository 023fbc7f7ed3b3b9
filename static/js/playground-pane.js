"use strict";
// One pane: its conversation and what each frame of the websocket does to it. Other panes never notice its errors.
class PlaygroundPane extends PlaygroundView {
  constructor(root, changed) {
    super(root);
    this.changed = changed;
    this.clear();
  }

  clear() {
    Object.assign(this, { turns: [], run: null, busy: false, answer: null, stopNote: null });
    this.log.replaceChildren(Object.assign(document.createElement("p"), { className: "muted", textContent: "Nothing asked yet." }));
    this.stats.clear();
    this.status("idle", "circle-dashed", "Ready");
    this.why("Why this engine", "—", "Known when an answer has come.");
  }

  // `text` null asks the last question again.
  ask(run, text) {
    if (text === null && this.turns.at(-1)?.role === "assistant") this.turns.pop();
    if (!this.turns.length) this.log.replaceChildren();
    if (text !== null) {
      if (this.turns.at(-1)?.role === "user") this.turns.pop();
      this.turns.push({ role: "user", content: text });
      PlaygroundAnswer.ask(this.log, text);
    }
    this.run = run;
    this.busy = true;
    this.stopNote = null;
    this.answer = new PlaygroundAnswer(this.log, this.select.value);
    this.stats.clear();
    this.why("Why this engine", "—", "Known when an answer has come.");
    this.status("run", "circle-play", "Waiting");
    return { pane: this.number, engine: this.select.value, messages: this.turns };
  }

  take(frame) { PlaygroundPane.FRAMES[frame.type]?.call(this, frame); }

  first(frame) {
    this.answer.name(frame.engine);
    this.stats.take({ ttft_ms: frame.ttft_ms });
    this.status("run", "circle-play", "Streaming");
    this.why(`Why ${frame.engine}`, frame.rule || (this.select.value === "auto" ? "recorded at the end" : "chosen by you"), "The whole decision follows when the answer has ended.");
  }

  delta(frame) { this.answer.add(frame.text, frame.reasoning); }

  done(frame) {
    this.answer.name(frame.engine);
    this.stats.take({ ...frame.usage, finish: frame.finish_reason, complete: true });
    this.finish(frame, frame.html);
    this.status("ok", "circle-check", "Complete");
    this.say(`Answer of ${frame.engine} complete, ${frame.usage.output ?? "unknown"} tokens, ${PlaygroundStats.words("total_ms", frame.timings.total_ms)}`);
  }

  error(frame) {
    this.finish(frame, null);
    this.stats.take({ finish: "error" });
    this.status("fail", "octagon-x", frame.partial ? "Incomplete" : "Failed");
    this.answer.note("fail", frame.message, frame.code);
    this.say(`${frame.partial ? "Answer incomplete" : "No answer"}: ${frame.message}`);
  }

  stopped(frame) {
    if (this.busy) {
      this.finish(frame, null);
      this.stats.take({ finish: "stopped" });
    }
    this.status("hold", "circle-pause", frame.engine_confirmed === null ? "Stopping" : frame.engine_confirmed ? "Stopped" : "Stop not confirmed");
    this.stopNote ??= this.answer.note("hold", "");
    this.stopNote.parentElement.dataset.state = frame.engine_confirmed === false ? "warn" : "hold";
    const follow = PlaygroundAnswer.atBottom(this.log);
    this.stopNote.textContent = `${frame.engine_confirmed === null ? "Stopped here." : ""} ${frame.detail}`.trim();
    if (follow) this.log.scrollTop = this.log.scrollHeight;
    if (frame.engine_confirmed !== null) { this.explain(frame); this.say(frame.detail); }
  }

  // The socket closed under a running answer: the server stops the engine, nothing more will come.
  lost(cause) {
    const length = this.answer.text.length;
    const kept = length ? `What came so far (${PlaygroundStats.number(length)} characters) is kept, incomplete.` : "Nothing had come yet.";
    this.error({ message: `${cause} ${kept} The console stops the engine as soon as it notices.`, partial: length > 0 });
    this.why("Why this engine", "not known", "The answer broke off before its decision came.");
  }

  finish(frame, html) {
    this.busy = false;
    this.answer.end(html);
    if (this.answer.text) this.turns.push({ role: "assistant", content: this.answer.text });
    this.stats.take(frame.timings || {});
    if (frame.type !== "stopped") this.explain(frame);
    this.changed();
  }

  explain(frame) {
    if (!frame.decision_id) return;
    htmx.ajax("GET", `/playground/why/${encodeURIComponent(frame.request_id)}/`, { target: this.root.querySelector(".why"), swap: "innerHTML" });
  }
}
PlaygroundPane.FRAMES = Object.fromEntries(["first", "delta", "done", "error", "stopped"].map((name) => [name, PlaygroundPane.prototype[name]]));
