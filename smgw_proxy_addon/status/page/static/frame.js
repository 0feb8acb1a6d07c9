// Makes the requests of the gateway's page in its frame, which may make none itself, and only those to the gateway.
(() => {
  const frame = document.getElementById("gateway-frame");
  if (!frame) return;
  const root = new URL(frame.dataset.root, location.href).href;
  const form = document.getElementById("gateway-form");
  const busy = document.getElementById("gateway-busy");
  const back = document.getElementById("gateway-back");
  const METHODS = ["GET", "HEAD", "POST"];

  function below(text) {
    try {
      const url = new URL(text);
      url.hash = "";
      return url.href.startsWith(root) ? url.href : null;
    } catch {
      return null;
    }
  }

  function waits(yes) { busy.textContent = yes ? busy.dataset.text : ""; }

  function send(url, post, charset) {
    form.replaceChildren();
    for (const [name, value] of post.fields) {
      const field = document.createElement("textarea"); // keeps line breaks
      [field.name, field.value] = [String(name), String(value)];
      form.append(field);
    }
    form.action = url;
    form.enctype = String(post.enctype);
    form.acceptCharset = String(charset);
    HTMLFormElement.prototype.submit.call(form);
    form.replaceChildren();
  }

  async function ask(url, { method, headers, body }, port) {
    try {
      if (!METHODS.includes(method)) throw new TypeError("method");
      let answer = await fetch(url, { method, headers, body });
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
  back.hidden = false;
  back.addEventListener("click", () => history.back());
})();
