import { expect, test } from "vitest";
import { groupedAccount, initial, look, sections, shortAccount, withContact, withMessage } from "./contacts";
import { contact, message } from "./sample";

const names = (contacts: { name: string }[]) => contacts.map((one) => one.name);
const wrote = (sent_at: string) => ({ last_message: { text: "", sent_at, me: false } });

test("every contact stands in one section", () => {
  const { requests, people, blocked } = sections([
    contact("Ann", { status: "pending" }),
    contact("Bob"),
    contact("Cid", { status: "requested" }),
    contact("Dee", { status: "blocked" }),
  ]);
  expect([names(requests), names(people), names(blocked)]).toEqual([["Ann"], ["Bob", "Cid"], ["Dee"]]);
});

test("who wrote last comes first, then the names", () => {
  const { people } = sections([
    contact("Zoe"),
    contact("Ann"),
    contact("Old", wrote("2026-01-01T00:00:00Z")),
    contact("New", wrote("2026-01-02T00:00:00+05:00")),
  ]);
  expect(names(people)).toEqual(["New", "Old", "Ann", "Zoe"]);
});

test("a changed contact takes the place of the old one", () => {
  const before = [contact("Ann"), contact("Bob")];
  expect(withContact(before, contact("Ann", { online: true }))[0]?.online).toBe(true);
  expect(names(withContact(before, contact("Cid")))).toEqual(["Ann", "Bob", "Cid"]);
});

test("a message moves its contact up and counts", () => {
  const bob = contact("Bob", { unread: 1, last_message: { text: "m5", sent_at: message("m5", 5).sent_at, me: true } });
  const after = withMessage(bob, message("m6", 6), 2);
  expect(after).toEqual({ ...bob, unread: 2, last_message: { text: "m6", sent_at: message("m6", 6).sent_at, me: false } });
  expect(withMessage(contact("Bob"), message("m1", 1), 1).last_message?.text).toBe("m1");
  const cid = contact("Cid", wrote(message("", 5).sent_at));
  expect(names(sections([contact("Ann"), cid, after]).people)).toEqual(["Bob", "Cid", "Ann"]);
});

test("a message that stands above others counts and leaves the newest", () => {
  const bob = contact("Bob", wrote(message("", 5).sent_at));
  expect(withMessage(bob, message("m9", 9, { late: true }), 3)).toEqual({ ...bob, unread: 3 });
  expect(withMessage(bob, message("m4", 4), 3)).toEqual({ ...bob, unread: 3 });
});

test("accounts", () => {
  expect(shortAccount("kith1qqqqwwwweeeerrrrtttt")).toBe("kith1qqqq…tttt");
  expect(shortAccount("kith1short")).toBe("kith1short");
  expect(groupedAccount("kith1qqqqw")).toEqual(["kith", "1qqq", "qw"]);
  expect(look("kith1abc", 8)).toBe(look("kith1abc", 8));
});

test("the sign shows one whole letter", () => {
  expect(initial(" bob")).toBe("B");
  expect(initial("e\u0301va")).toBe("E\u0301");
  expect(initial("👩‍🌾 farm")).toBe("👩‍🌾");
  expect(initial("")).toBe("?");
});
