// The page's websocket: names of what changed become console:changed on <body>. Also the words of the live indicator.
(() => {
  const SILENT_AFTER = 35_000; // the server beats every 15 s
  const SAY_AFTER = 15_000;
  let attempt = 0, heard = Date.now(), lostAt = null, paused = false, over = false;

  const clock = (ms) => `${new Date(ms).toISOString().slice(11, 19)} UTC`;
  const indicator = () => document.getElementById("live");

  function show() {
    const box = indicator();
    if (!box) return;
    const state = paused ? "paused" : lostAt ? "lost" : "live";
    const words = { live: "Live", paused: "Paused", lost: `Reconnecting · data from ${clock(heard)}` }[state];
    const icon = { live: "dot", paused: "pause", lost: "circle-dashed" }[state];
    if (box.dataset.live === state && box.querySelector("[data-word]").textContent === words) return;
    box.dataset.live = state;
    box.querySelector("[data-word]").textContent = words;
    box.querySelector("use").setAttribute("href", `#i-${icon}`);
  }

  function trouble(text, address) {
    const place = document.getElementById("trouble");
    place.hidden = !text;
    document.getElementById("main").classList.toggle("stale", Boolean(text) && !address);
    place.replaceChildren();
    if (!text) return;
    const line = document.createElement("div");
    line.className = "notice";
    line.dataset.state = "warn";
    line.setAttribute("role", "alert");
    line.append(Object.assign(document.createElement("p"), { textContent: text }));
    if (address) line.append(Object.assign(document.createElement("a"), { className: "button small", href: address, textContent: "Sign in" }));
    place.append(line);
  }

  const alive = () => { heard = Date.now(); if (lostAt) { lostAt = null; trouble(""); } show(); };
  const lost = () => { lostAt ??= Date.now(); show(); };

  function connect() {
    if (over) return;
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/ws/console/`);
    const watch = setInterval(() => { if (Date.now() - heard > SILENT_AFTER) socket.close(); }, 5_000);
    socket.onopen = () => { if (attempt) document.body.dispatchEvent(new CustomEvent("console:changed", { detail: { event: "all" } })); attempt = 0; alive(); };
    socket.onmessage = ({ data }) => {
      alive();
      const { event } = JSON.parse(data);
      if (event !== "beat" && !paused) document.body.dispatchEvent(new CustomEvent("console:changed", { detail: { event } }));
    };
    socket.onclose = ({ code }) => {
      clearInterval(watch);
      if (code === 4401) return document.dispatchEvent(new CustomEvent("console:signed-out"));
      lost();
      attempt += 1;
      setTimeout(connect, Math.random() * Math.min(15_000, 500 * 2 ** attempt) + 250);
    };
  }

  document.addEventListener("console:silent", lost);
  document.addEventListener("console:signed-out", () => {
    over = true;
    trouble("Your session ended. What you typed is still here; sign in again to go on.", `/accounts/login/?next=${encodeURIComponent(location.pathname)}`);
  });
  document.addEventListener("console:pause", (event) => { paused = event.detail; show(); });
  setInterval(() => {
    if (lostAt && !over && Date.now() - lostAt > SAY_AFTER) {
      trouble(`The console does not answer; data from ${clock(heard)}. Gateways keep serving the routing table they have.`);
    }
    show();
  }, 5_000);
  document.addEventListener("DOMContentLoaded", connect);
})();
