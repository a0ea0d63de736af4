// What another page on the same computer could try, with the victim's cookie in the browser.

import { createServer } from "node:http";
import { once } from "node:events";

/** Serves an empty page at another port of 127.0.0.1: to a browser the same site, another origin. */
export async function startForeign() {
  const server = createServer((_, response) => {
    response.setHeader("content-type", "text/html");
    response.end("<!doctype html><title>foreign</title>");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { address: `http://127.0.0.1:${server.address().port}/`, stop: () => server.close() };
}

/** Runs in the foreign page; "refused" for everything that did not get through. */
export function attacks(origin) {
  const loaded = (element, source) =>
    new Promise((resolve) => {
      element.onload = () => resolve("loaded");
      element.onerror = () => resolve("refused");
      element.src = source;
      document.body.append(element);
    });
  const asked = (path, options) =>
    fetch(origin + path, { credentials: "include", ...options }).then(
      (response) => `answered ${response.status}`,
      () => "refused",
    );
  const stream = new Promise((resolve) => {
    const source = new EventSource(`${origin}/api/events`, { withCredentials: true });
    source.onopen = () => resolve("opened");
    source.onerror = () => {
      source.close();
      resolve("refused");
    };
  });
  const json = { "content-type": "application/json" };
  return Promise.all([
    asked("/api/contacts", {}),
    asked("/api/session", {}),
    asked("/api/settings", { method: "PUT", headers: json, body: '{"read_receipts":true}' }),
    asked("/api/contacts", { method: "POST", headers: json, body: '{"link":"kith:x"}' }),
    loaded(new Image(), `${origin}/api/invite.svg`),
    loaded(document.createElement("script"), `${origin}/api/contacts`),
    stream,
  ]);
}

/** Runs in the foreign page: tries to show the node's page inside it. */
export function embed(source) {
  const frame = document.createElement("iframe");
  frame.src = source;
  document.body.append(frame);
  return new Promise((resolve) => (frame.onload = resolve));
}
