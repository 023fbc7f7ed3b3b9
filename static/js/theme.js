// Theme before the first paint: system, light or dark, kept in this browser.
(() => {
  const KEY = "console.theme";
  const NEXT = { system: "light", light: "dark", dark: "system" };
  const stored = () => { try { return localStorage.getItem(KEY) || "system"; } catch { return "system"; } };

  function apply(theme) {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    for (const button of document.querySelectorAll("[data-theme-switch]")) {
      button.title = `Theme: ${theme}`;
      const words = button.querySelector(".sr");
      if (words) words.textContent = `Theme: ${theme}`;
    }
    document.dispatchEvent(new CustomEvent("console:theme"));
  }

  apply(stored());
  document.addEventListener("DOMContentLoaded", () => {
    apply(stored());
    document.addEventListener("click", (event) => {
      if (!event.target.closest("[data-theme-switch]")) return;
      const theme = NEXT[stored()];
      try { localStorage.setItem(KEY, theme); } catch { /* private mode: the choice lasts for this page */ }
      apply(theme);
    });
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => apply(stored()));
})();
