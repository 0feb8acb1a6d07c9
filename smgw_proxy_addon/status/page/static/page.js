// Comfort only: without it, the page works by reloading.
"use strict";
(() => {
  const EVERY = 5000;

  // A section that is being used is left alone: focus and selection would be lost.
  function inUse(section) {
    const selection = document.getSelection();
    return section.contains(document.activeElement) ||
      (selection && !selection.isCollapsed && section.contains(selection.anchorNode));
  }

  function withoutButtons(section) {
    const copy = section.cloneNode(true);
    copy.querySelectorAll("button.copier").forEach((button) => button.remove());
    copy.querySelectorAll("details").forEach((details) => details.removeAttribute("open"));
    return copy.innerHTML + copy.className;
  }

  function replace(section, fresh) {
    const open = [...section.querySelectorAll("details[open]")].map((details) => details.id);
    const scrolled = [...section.querySelectorAll(".scroll")].map((part) => part.scrollLeft);
    section.className = fresh.className;
    section.replaceChildren(...fresh.childNodes);
    open.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
    section.querySelectorAll(".scroll").forEach((part, at) => { part.scrollLeft = scrolled[at] ?? 0; });
    addCopiers(section);
  }

  async function refresh() {
    const stale = document.getElementById("stale");
    try {
      const answer = await fetch("live", { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(EVERY) });
      if (!answer.ok) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const section of document.querySelectorAll("[data-live]")) {
        const fresh = page.getElementById(section.id);
        if (fresh && !inUse(section) && withoutButtons(fresh) !== withoutButtons(section)) replace(section, fresh);
      }
      // The app is back: without the notice, and with the forms' new token.
      if (!stale.hidden && document.querySelector("[data-restart]")) location.replace("./");
      stale.hidden = true;
      stale.textContent = "";
    } catch {
      stale.textContent = stale.dataset.text;
      stale.hidden = false;
    }
  }

  async function copy(code, button) {
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch { // no clipboard without HTTPS: select it, and try the old way
      const range = document.createRange();
      range.selectNodeContents(code);
      const selection = document.getSelection();
      selection.removeAllRanges();
      selection.addRange(range);
      if (!document.execCommand("copy")) return;
    }
    button.textContent = code.dataset.copied;
    setTimeout(() => { button.textContent = code.dataset.copy; }, 2000);
  }

  function addCopiers(within) {
    for (const code of within.querySelectorAll("code.copy")) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "copier";
      button.textContent = code.dataset.copy;
      button.setAttribute("aria-label", `${code.dataset.copy}: ${code.textContent}`);
      button.addEventListener("click", () => copy(code, button));
      code.after(button);
    }
  }

  addCopiers(document);
  for (const button of document.querySelectorAll("button[data-busy]")) {
    button.form.addEventListener("submit", () => {
      button.textContent = button.dataset.busy;
      button.setAttribute("aria-disabled", "true");
    });
  }
  if (document.getElementById("stale")) {
    setInterval(() => { if (!document.hidden) refresh(); }, EVERY);
    document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
  }
})();
