// Reads the meter of a PPC gateway with Node's own HTTP client, in the way of Node-RED's nodes for it: one nonce and
// one cnonce for the whole run, no opaque, the challenge's body left unread, no logout. Prints the reading, or fails.
// Arguments: URL, user, password.
"use strict";

const crypto = require("crypto");
const [url, user, password] = process.argv.slice(2);
const target = new URL(url);
const http = require(target.protocol === "https:" ? "https" : "http");

const md5 = (...parts) => crypto.createHash("md5").update(parts.join(":")).digest("hex");
const cnonce = md5(String(Date.now()));
let challenge;
let count = 0;
let cookie;

function authorization(method) {
  const nc = String(++count).padStart(8, "0");
  const { realm, nonce, qop } = challenge;
  const response = md5(md5(user, realm, password), nonce, nc, cnonce, qop, md5(method, target.pathname));
  const fields = { username: user, realm, nonce, uri: target.pathname, cnonce };
  const quoted = Object.entries(fields).map(([name, value]) => `${name}="${value}"`);
  return `Digest ${quoted.join(",")},nc=${nc},algorithm=MD5,response="${response}",qop="${qop}"`;
}

function send(method, body, take) {
  const headers = {};
  if (challenge) headers.Authorization = authorization(method);
  if (cookie) headers.Cookie = cookie;
  if (body) {
    headers["Content-Type"] = "application/x-www-form-urlencoded";
    headers["Content-Length"] = Buffer.byteLength(body);
  }
  return new Promise((resolve, reject) => {
    const request = http.request(target, { method, headers, rejectUnauthorized: false }, (answer) => {
      take(answer, resolve, reject);
    });
    request.on("error", reject);
    request.end(body);
  });
}

function readPage(answer, resolve) {
  const [session] = answer.headers["set-cookie"] || [];
  if (session) cookie = session.split(";")[0];
  let page = "";
  answer.on("data", (piece) => (page += piece));
  answer.on("end", () => resolve(page));
}

function find(pattern, page) {
  const found = page.match(pattern);
  if (!found) throw new Error(`not in the page: ${pattern}`);
  return found[1];
}

async function main() {
  challenge = await send("GET", null, (answer, resolve, reject) => {
    if (answer.statusCode !== 401) return reject(new Error(`not asked for a login: ${answer.statusCode}`));
    const fields = answer.headers["www-authenticate"].matchAll(/(\w+)="([^"]*)"/g);
    resolve(Object.fromEntries([...fields].map(([, name, value]) => [name, value])));
  });
  const menu = await send("GET", null, readPage);
  const token = find(/name="tkn" value="(\w+)"/, menu);
  const form = await send("POST", `tkn=${token}&action=meterform`, readPage);
  const meter = find(/<option value="(\w+)"/, form);
  const profile = await send("POST", `tkn=${token}&action=showMeterProfile&mid=${meter}`, readPage);
  console.log(find(/id="table_metervalues_col_wert">([\d.]+)</, profile));
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error.message);
    process.exit(1);
  },
);
