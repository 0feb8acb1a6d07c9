// Comfort only: without it, the page works by reloading.
"use strict";
(() => {
  const EVERY = 3000;
  const main = document.getElementById("content");

  function inUse() {
    const selection = document.getSelection();
    return main.contains(document.activeElement) && document.activeElement !== main ||
      (selection && !selection.isCollapsed && main.contains(selection.anchorNode));
  }

  async function refresh() {
    const stale = document.getElementById("stale");
    try {
      const answer = await fetch("live", { signal: AbortSignal.timeout(EVERY) });
      if (!answer.ok) throw new Error(String(answer.status));
      const text = await answer.text();
      if (!inUse() && main.dataset.shown !== text) {
        main.replaceChildren(...new DOMParser().parseFromString(text, "text/html").body.childNodes);
        main.dataset.shown = text;
      }
      stale.hidden = true;
    } catch {
      stale.hidden = false;
    }
  }

  setInterval(() => { if (!document.hidden) refresh(); }, EVERY);
})();
