import { expect, test } from "vitest";
import { LINKS_MAX, linkify } from "./linkify";

const links = (text: string) => linkify(text).flatMap((piece) => (piece.kind === "link" ? [piece.text] : []));

test.each([
  ["see https://example.org/a?b=c#d now", ["https://example.org/a?b=c#d"]],
  ["http://a.example and https://b.example", ["http://a.example", "https://b.example"]],
  ["(https://example.org/heath)", ["https://example.org/heath"]],
  ["https://example.org/Heath_(habitat)", ["https://example.org/Heath_(habitat)"]],
  ["really? https://example.org/!?", ["https://example.org/"]],
  ["“https://example.org”", ["https://example.org"]],
  ["https://example.org/\u202Egro.knab//:sptth", ["https://example.org/"]],
  ["HTTPS://EXAMPLE.ORG/x", ["HTTPS://EXAMPLE.ORG/x"]],
])("finds the links in %j", (text, found) => {
  expect(links(text)).toEqual(found);
});

test.each([
  "javascript:alert(1)",
  "data:text/html,<script>alert(1)</script>",
  "file:///etc/passwd",
  "kith:kith1abc",
  "ftp://example.org",
  "https://",
  "http://[",
  "https://bank.example@evil.example/",
  "xhttps://example.org",
])("leaves %j as text", (text) => {
  expect(linkify(text)).toEqual([{ kind: "text", text }]);
});

test("loses no character", () => {
  const text = "a <b> https://example.org/1, https://example.org/2.\n\u202Eend 🌤️";
  expect(linkify(text).map((piece) => piece.text).join("")).toBe(text);
});

test("follows only web addresses", () => {
  for (const piece of linkify("https://example.org/%0aSet http://EXAMPLE.org/..;/")) {
    if (piece.kind === "link") expect(piece.href).toMatch(/^https?:\/\//);
  }
});

test("makes no more links than the limit, and loses nothing of the rest", () => {
  const text = "https://example.org/a ".repeat(LINKS_MAX + 50);
  const pieces = linkify(text);
  expect(pieces.filter((piece) => piece.kind === "link")).toHaveLength(LINKS_MAX);
  expect(pieces.map((piece) => piece.text).join("")).toBe(text);
});

test.each([
  `https://example.org/${")".repeat(50_000)}`,
  `https://example.org/${"(".repeat(20_000)}${").".repeat(20_000)}`,
  `https://example.org/${".".repeat(50_000)}a`,
  "https://".repeat(7_000),
  "http://[".repeat(7_000),
])("stays fast on a hostile text", (text) => {
  const begun = performance.now();
  linkify(text);
  expect(performance.now() - begun).toBeLessThan(500);
});
