// Makes the requests of the gateway's page in its frame, which may make none itself, and only those to the gateway.
(() => {
  const frame = document.getElementById("gateway-frame");
  if (!frame) return;
  const root = new URL(frame.dataset.root, location.href).href;
  const busy = document.getElementById("gateway-busy");
  const back = document.getElementById("gateway-back");
  const METHODS = ["GET", "HEAD", "POST"];
  const HEADERS = [
    ...["accept", "accept-language", "content-type", "x-requested-with"],
    ...["request-id", "device-id", "transport-version"],
  ];
  // Dot segments behind escapes: the browser leaves them, but Home Assistant decodes the path on its way.
  const DOTS = /(?:[/\\]|%(?:25)*(?:2f|5c))(?:\.|%(?:25)*2e){1,2}(?:[/\\]|%(?:25)*(?:2f|5c)|$)/i;

  function below(text) {
    try {
      const url = new URL(text);
      url.hash = "";
      return url.href.startsWith(root) && !DOTS.test(url.pathname) ? url.href : null;
    } catch {
      return null;
    }
  }

  function waits(yes) { busy.textContent = yes ? busy.dataset.text : ""; }

  function send(url, post, charset) {
    // A frame that gave itself another name: the browser would show the answer in a window of its own.
    if (window[frame.name] !== frame.contentWindow) return;
    const form = document.createElement("form"); // a new one: a field hides the form's property of its name
    const settings = { method: "post", target: frame.name, action: url, enctype: post.enctype, "accept-charset": charset };
    for (const [name, value] of Object.entries(settings)) form.setAttribute(name, String(value));
    form.hidden = true;
    form.append(...[...post.fields].map(([name, value]) => {
      const field = document.createElement("textarea"); // keeps line breaks
      [field.name, field.value] = [String(name), String(value)];
      return field;
    }));
    document.body.append(form);
    HTMLFormElement.prototype.submit.call(form);
    Element.prototype.remove.call(form);
  }

  async function ask(url, { method, headers, body }, port) {
    try {
      if (!METHODS.includes(method)) throw new TypeError("method");
      const kept = headers.filter(([name]) => HEADERS.includes(String(name).toLowerCase()));
      let answer = await fetch(url, { method, headers: kept, body });
      const number = answer.headers.get("X-Smgw-Confirm");
      if (number && !window.confirm(frame.dataset.confirm)) {
        port.postMessage({ status: 403, headers: [], body: "" });
        return;
      }
      if (number) answer = await fetch(`${root}~confirm/${number}`, { method: "POST" });
      const content = await answer.arrayBuffer();
      port.postMessage({ status: answer.status, headers: [...answer.headers], body: content }, [content]);
    } catch {
      port.postMessage({ error: true });
    }
  }

  addEventListener("message", ({ source, data, ports }) => {
    if (source !== frame.contentWindow || typeof data?.url !== "string") return;
    const url = below(data.url);
    if (data.kind === "ask" && ports[0]) {
      if (url) ask(url, data, ports[0]); else ports[0].postMessage({ error: true });
    } else if (data.kind === "go" && url) {
      waits(true);
      setTimeout(() => waits(false), 20000); // a download loads no page
      if (data.post) send(url, data.post, data.charset); else frame.src = url;
    }
  });
  frame.addEventListener("load", () => waits(false));
  const first = document.getElementById("gateway-first");
  first.addEventListener("click", (event) => { event.preventDefault(); frame.src = first.href; });
  back.hidden = false;
  back.addEventListener("click", () => history.back());
})();
