import { expect, test } from "vitest";
import { mailboxState, summary, troubleWords, withOneMore, withoutOne } from "./mailboxes";
import { mailbox } from "./sample";

const one = mailbox("https://one.org");
const two = mailbox("https://two.org", { days: 1 });
const failing = mailbox("https://bad.org", { trouble: "it cannot be reached: check the address" });

test("a mailbox is open once all of its queues are", () => {
  expect(mailboxState(one)).toBe("open");
  expect(mailboxState(mailbox("x", { queues_open: 1 }))).toBe("opening");
  expect(mailboxState(mailbox("x", { queues: 0, queues_open: 0 }))).toBe("opening");
  expect(mailboxState(failing)).toBe("trouble");
});

test("what went wrong is a sentence", () => {
  expect(troubleWords(failing)).toBe("It cannot be reached: check the address.");
  expect(troubleWords(mailbox("x", { trouble: "It is full." }))).toBe("It is full.");
  expect(troubleWords(one)).toBeNull();
});

test("a sentence says how all of them are", () => {
  expect(summary([])).toMatch(/^None/);
  expect(summary([one])).toBe("One mailbox is chosen.");
  expect(summary([one, two])).toBe("2 mailboxes are chosen.");
  expect(summary([failing])).toBe("Your mailbox does not work now.");
  expect(summary([one, failing])).toBe("1 of your 2 mailboxes does not work now.");
});

test("what is chosen stays as it is when another one comes or goes", () => {
  expect(withOneMore([one, two], { url: " three.org ", days: 7, access: " " })).toEqual([
    { url: "https://one.org" },
    { url: "https://two.org" },
    { url: "three.org", days: 7 },
  ]);
  expect(withOneMore([], { url: "three.org", days: 1, access: " word " })).toEqual([
    { url: "three.org", days: 1, access: "word" },
  ]);
  expect(withoutOne([one, two], "https://one.org")).toEqual([{ url: "https://two.org" }]);
});
