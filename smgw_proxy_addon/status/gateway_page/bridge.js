// In each page of the gateway. The browser lets the page ask for nothing: the page around its frame does that.
(() => {
  "use strict";
  const prefix = document.currentScript.dataset.prefix;
  document.currentScript.remove();
  const { origin } = location;
  const around = parent;
  const textOf = (form, name) => HTMLElement.prototype.getAttribute.call(form, name) ?? "";

  function resolve(url) {
    const whole = new URL(url, document.baseURI);
    if (whole.origin === origin && !`${whole.pathname}/`.startsWith(`${prefix}/`)) {
      whole.pathname = prefix + whole.pathname;
    }
    return whole.href;
  }

  function go(url, post = null) {
    around.postMessage({ kind: "go", url: resolve(url), post, charset: document.characterSet }, origin);
  }

  function submit(form, submitter = null) {
    const given = (name) => (submitter && textOf(submitter, `form${name}`)) || textOf(form, name);
    const data = new FormData(form);
    if (submitter?.name) data.append(submitter.name, submitter.value);
    const fields = [...data].filter(([, value]) => typeof value === "string");
    const url = new URL(resolve(given("action") || location.href));
    if (given("method").toLowerCase() === "post") {
      go(url, { fields, enctype: given("enctype") });
    } else {
      url.search = new URLSearchParams(fields);
      go(url);
    }
  }

  addEventListener("click", (event) => {
    const link = event.defaultPrevented ? null : event.target.closest?.("a[href], area[href]");
    if (!link || /^(#|javascript:)/i.test(textOf(link, "href").trim())) return;
    event.preventDefault();
    go(textOf(link, "href"));
  });
  addEventListener("submit", (event) => {
    if (event.defaultPrevented) return;
    event.preventDefault();
    submit(event.target, event.submitter);
  });
  HTMLFormElement.prototype.submit = function send() { submit(this); };
  window.open = (url) => { if (url) go(url); return null; };
  window.smgwProxy = {
    get location() { return location.href; },
    set location(url) { go(url); },
    assign: (url) => go(url),
    replace: (url) => go(url),
    reload: () => go(location.href),
  };
  addEventListener("DOMContentLoaded", () => {
    const refresh = document.querySelector("meta[data-smgw-refresh]")?.content ?? "";
    const parts = /^\s*(\d+)[^;,]*(?:[;,]\s*(?:url\s*=\s*)?['"]?([^'"]*))?/i.exec(refresh);
    if (parts) setTimeout(() => go(parts[2] || location.href), Math.max(1, parts[1]) * 1000);
  });

  // The frame has no storage and no cookies of its own: scripts find empty ones that forget.
  Object.defineProperty(document, "cookie", { get: () => "", set: () => {} });
  for (const name of ["localStorage", "sessionStorage"]) {
    const kept = new Map();
    const storage = {
      getItem: (key) => kept.get(String(key)) ?? null,
      setItem: (key, value) => { kept.set(String(key), String(value)); },
      removeItem: (key) => { kept.delete(String(key)); },
      clear: () => kept.clear(),
    };
    Object.defineProperty(window, name, { value: storage });
  }

  function ask(request) {
    const { port1, port2 } = new MessageChannel();
    return new Promise((done, failed) => {
      port1.onmessage = ({ data }) => { if (data.error) failed(new TypeError("Failed to fetch")); else done(data); };
      around.postMessage({ kind: "ask", ...request }, origin, [port2]);
    });
  }

  window.fetch = async (input, init) => {
    const request = new Request(input instanceof Request ? input : resolve(input), init);
    const body = ["GET", "HEAD"].includes(request.method) ? null : await request.arrayBuffer();
    const answer = await ask({ url: request.url, method: request.method, headers: [...request.headers], body });
    const empty = [204, 205, 304].includes(answer.status);
    return new Response(empty ? null : answer.body, { status: answer.status, headers: answer.headers });
  };

  window.XMLHttpRequest = class extends EventTarget {
    readyState = 0;
    status = 0;
    statusText = "";
    response = "";
    responseText = "";
    responseType = "";
    responseURL = "";
    upload = new EventTarget();
    #headers = [];
    #answer = null;
    #method = "GET";
    #url = "";

    open(method, url) { [this.#method, this.#url, this.#headers] = [method, url, []]; this.#enter(1); }
    setRequestHeader(name, value) { this.#headers.push([name, value]); }
    getResponseHeader(name) { return this.#answer?.headers.get(name) ?? null; }
    getAllResponseHeaders() { return [...this.#answer?.headers ?? []].map((pair) => `${pair.join(": ")}\r\n`).join(""); }
    overrideMimeType() {}
    abort() { this.#url = ""; }

    async send(body = null) {
      const asked = this.#url;
      const plain = ["GET", "HEAD"].includes(this.#method.toUpperCase());
      try {
        const init = { method: this.#method, headers: this.#headers, body: plain ? undefined : body };
        const answer = await window.fetch(asked, init);
        const kind = this.responseType;
        const content = await (kind === "arraybuffer" ? answer.arrayBuffer() : kind === "blob" ? answer.blob() : answer.text());
        if (this.#url !== asked) return;
        this.#answer = answer;
        [this.status, this.statusText, this.responseURL] = [answer.status, answer.statusText, resolve(asked)];
        this.response = kind === "json" ? JSON.parse(content) : content;
        if (kind === "" || kind === "text") this.responseText = content;
        for (const state of [2, 3, 4]) this.#enter(state);
        this.#tell("load");
      } catch {
        this.#enter(4);
        this.#tell("error");
      }
      this.#tell("loadend");
    }

    #enter(state) { this.readyState = state; this.#tell("readystatechange"); }
    #tell(name) {
      const event = new Event(name);
      this[`on${name}`]?.call(this, event);
      this.dispatchEvent(event);
    }
  };
  Object.assign(window.XMLHttpRequest, { UNSENT: 0, OPENED: 1, HEADERS_RECEIVED: 2, LOADING: 3, DONE: 4 });
})();
