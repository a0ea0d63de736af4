import { expect, test } from "vitest";
import { contact } from "./sample";
import {
  brokenRules,
  counted,
  lockOf,
  pageTitle,
  presenceMeaning,
  presenceWords,
  refusalWord,
  sentenceParts,
} from "./words";

test("who can be written to", () => {
  expect(lockOf(contact("Bob"), false)).toBeNull();
  expect(lockOf(contact("Bob", { status: "requested" }), false)).toBeNull();
  expect(lockOf(contact("Bob", { validity: "validated" }), false)).toBeNull();
});

test("who cannot, and what opens it", () => {
  expect(lockOf(contact("Bob", { status: "blocked" }), true)?.unlock).toBe("unblock");
  expect(lockOf(contact("Bob", { status: "pending" }), true)?.unlock).toBe("accept");
  expect(lockOf(contact("Bob", { validity: "compromised" }), false)?.unlock).toBe("send_anyway");
  expect(lockOf(contact("Bob", { validity: "compromised" }), true)).toBeNull();
});

test("how somebody is there, and what is unusual about it", () => {
  const words = (change: Parameters<typeof contact>[1]) => presenceWords(contact("Bob", change));
  expect(words({})).toBe("Not reachable now");
  expect(words({ online: true, connection: "direct" })).toBe("Online");
  expect(words({ online: true, connection: "relayed" })).toBe("Online, through a relay");
  expect(presenceMeaning(contact("Bob", { online: true, connection: "relayed" }))).toMatch(/cannot read it/);
  expect(presenceMeaning(contact("Bob", { online: true, connection: "direct" }))).toBeNull();
});

test("the title counts what is unread, without the blocked", () => {
  expect(pageTitle([contact("Bob")])).toBe("Kith");
  expect(pageTitle([contact("Bob", { unread: 2 }), contact("Eve", { unread: 9, status: "blocked" })])).toBe("(2) Kith");
});

test("numbers and kinds in words", () => {
  expect(counted(1, "device", "devices")).toBe("1 device");
  expect(counted(0, "device", "devices")).toBe("0 devices");
  expect(refusalWord("bad_signature")).toBe("Bad signature");
  expect(refusalWord("")).toBe("");
});

test("a sentence of the node begins with a capital and shows commands as code", () => {
  const text = (text: string) => ({ text, code: false });
  expect(sentenceParts("no such contact: see `kith contact list`.")).toEqual([
    text("No such contact: see "),
    { text: "kith contact list", code: true },
    text("."),
  ]);
  expect(sentenceParts("`kith web` prints one")).toEqual([{ text: "kith web", code: true }, text(" prints one")]);
  expect(sentenceParts("one ` alone")).toEqual([text("One "), text("` alone")]);
  expect(sentenceParts("")).toEqual([]);
});

test("what breaks no rule is not held against anybody", () => {
  expect(brokenRules({ duplicate_link: 3, limit_reached: 1, punched: 1, punch_failed: 2, bad_signature: 2, malformed: 0, new_kind: 1 })).toEqual([
    ["bad_signature", 2],
    ["new_kind", 1],
  ]);
});
