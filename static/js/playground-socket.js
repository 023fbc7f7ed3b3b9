"use strict";
// The playground's websocket: reconnects by itself; a lost one loses its runs, because the server stops them.
class PlaygroundSocket {
  static SILENT_AFTER = 15_000; // the server beats every 5 s

  static WORDS = {
    open: ["ok", "circle-check", "Connected"], lost: ["warn", "triangle", "Reconnecting · you can go on typing"],
    "signed-out": ["fail", "octagon-x", "Session ended · sign in again"], forbidden: ["fail", "octagon-x", "Your role may not chat"],
  };

  static CAUSES = {
    lost: "The connection to the console was lost.", "signed-out": "Your session ended.", forbidden: "Your role may not chat.",
  };

  static show(box, state) {
    const [tone, icon, words] = PlaygroundSocket.WORDS[state];
    box.dataset.state = tone;
    box.querySelector("use").setAttribute("href", `#i-${icon}`);
    box.lastElementChild.textContent = words;
  }

  constructor({ frame, state }) {
    this.frame = frame;
    this.state = state;
    this.attempt = 0;
    this.connect();
  }

  get open() { return this.socket.readyState === WebSocket.OPEN; }

  send(message) { this.socket.send(JSON.stringify(message)); }

  connect() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    this.socket = new WebSocket(`${scheme}//${location.host}/ws/playground/`);
    let heard = Date.now();
    const watch = setInterval(() => { if (Date.now() - heard > PlaygroundSocket.SILENT_AFTER) this.drop(watch, 4000); }, 1_000);
    this.socket.onopen = () => { this.attempt = 0; this.state("open"); };
    this.socket.onmessage = ({ data }) => {
      heard = Date.now();
      const frame = JSON.parse(data);
      if (frame.type !== "beat") this.frame(frame);
    };
    this.socket.onclose = ({ code }) => this.drop(watch, code);
  }

  // A silent network may hold back the close event for minutes, so it is not waited for.
  drop(watch, code) {
    clearInterval(watch);
    this.socket.onclose = this.socket.onmessage = null;
    this.socket.close();
    if (code === 4401) {
      this.state("signed-out");
      document.dispatchEvent(new CustomEvent("console:signed-out"));
      scrollTo(0, 0);
      return;
    }
    if (code === 4403) { this.state("forbidden"); return; }
    this.state("lost");
    this.attempt += 1;
    setTimeout(() => this.connect(), 250 + Math.random() * Math.min(15_000, 500 * 2 ** this.attempt));
  }
}
