import { expect, test } from "vitest";
import { groupedAccount, initial, look, sections, shortAccount, withContact } from "./contacts";
import { contact } from "./sample";

const names = (contacts: { name: string }[]) => contacts.map((one) => one.name);
const wrote = (sent_at: string) => ({ last_message: { text: "", sent_at } });

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
