"use strict";
// The playground page: the composer, the panes shown, who gets which frame. Needs the other playground-*.js files.
(() => {
  const form = document.getElementById("composer");
  if (!form) return;
  const field = (id) => document.getElementById(id);
  const prompt = field("prompt"), route = field("route"), send = field("send"), stopAll = form.querySelector("[data-act=stop-all]");
  const panes = [...document.querySelectorAll("[data-pane]")].map((root) => new PlaygroundPane(root, refresh));
  const shown = () => panes.filter((pane) => pane.shown);
  const id = () => crypto.getRandomValues(new Uint32Array(3)).join("-"), started = new Set();
  let conversation = id(), asked = "", ready = false;

  function link(state) {
    ready = state === "open";
    PlaygroundSocket.show(field("link"), state);
    if (!ready) panes.filter((pane) => pane.busy).forEach((pane) => pane.lost(PlaygroundSocket.CAUSES[state]));
    if (!ready) giveBack();
    refresh();
  }

  function refresh() {
    const busy = panes.some((pane) => pane.busy), count = shown().length;
    send.disabled = busy || !ready;
    send.lastElementChild.textContent = `Send to ${count} pane${count > 1 ? "s" : ""}`;
    stopAll.disabled = !busy;
    PlaygroundStats.compare(shown().map((pane) => pane.stats));
  }

  function giveBack() { // a prompt that was never accepted
    if (started.size) prompt.value ||= asked;
    started.clear();
  }

  function start(chosen, text) {
    if (!ready || chosen.some((pane) => pane.busy)) return;
    const params = PlaygroundParameters.read();
    if (!params) return;
    PlaygroundView.refuse("");
    field("examples").hidden = true;
    const run = id();
    started.add(run);
    asked = text || "";
    socket.send({ type: "start", run, conversation, route: route.value, params, panes: chosen.map((pane) => pane.ask(run, text)) });
    refresh();
  }

  function refused(frame) { // it names no run, so it concerns those that were not accepted yet
    PlaygroundView.refuse(frame.message);
    panes.filter((pane) => pane.busy && started.has(pane.run)).forEach((pane) => pane.error({ ...frame, code: frame.field }));
    giveBack();
  }

  const socket = new PlaygroundSocket({
    state: link,
    frame(frame) {
      if (frame.type === "accepted") started.delete(frame.run);
      else if (frame.pane === null) refused(frame);
      else panes.find((pane) => pane.number === frame.pane && pane.run === frame.run)?.take(frame);
    },
  });

  function submit() {
    const text = prompt.value.trim();
    if (!text || send.disabled) return;
    start(shown(), text);
    if (shown().some((pane) => pane.busy)) prompt.value = "";
  }

  const stop = (pane) => { if (pane.busy && ready) socket.send({ type: "stop", run: pane.run, pane: pane.number }); };
  const ACTS = {
    stop, again: (pane) => start([pane], null), copy: (pane) => navigator.clipboard.writeText(pane.answer.text),
    "stop-all": () => panes.forEach(stop),
    clear() { panes.forEach((pane) => { stop(pane); pane.clear(); }); conversation = id(); field("examples").hidden = false; PlaygroundView.refuse(""); refresh(); prompt.focus(); },
  };

  function show(count) {
    panes.forEach((pane) => { if (pane.number > count) stop(pane); pane.root.hidden = pane.number > count; });
    document.querySelectorAll("[data-panes]").forEach((button) => button.setAttribute("aria-pressed", String(Number(button.dataset.panes) === count)));
    refresh();
  }

  document.addEventListener("click", ({ target }) => {
    const button = target.closest("[data-act], [data-panes], [data-example]");
    if (!button) return;
    if (button.dataset.panes) show(Number(button.dataset.panes));
    else if (button.dataset.act) ACTS[button.dataset.act](panes.find((pane) => pane.root.contains(button)));
    else { prompt.value = button.textContent; submit(); }
  });
  const offer = () => panes.forEach((pane) => pane.offer(route.value));
  route.onchange = offer;
  form.addEventListener("submit", (event) => { event.preventDefault(); submit(); });
  prompt.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    submit();
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") ACTS["stop-all"](); });
  offer();
})();
