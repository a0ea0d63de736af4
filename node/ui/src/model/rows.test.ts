import { expect, test } from "vitest";
import { firstUnread, rowsOf } from "./rows";
import { message, OWN } from "./sample";

const clock = { timeZone: "UTC", hourCycle: "h23" } as const;
const now = new Date("2026-03-05T12:00:00Z");
const DAY = 24 * 60;

const drawn = (messages: Parameters<typeof rowsOf>[0], unread: string | null = null) =>
  rowsOf(messages, { now, clock, firstUnread: unread }).map((row) =>
    row.kind === "message" ? `${row.follows ? "+" : ""}${row.message.id}` : row.kind,
  );

test("a heading before every day", () => {
  expect(drawn([message("a", 0), message("b", 30), message("c", DAY)])).toEqual(["day", "a", "b", "day", "c"]);
});

test("messages of one person close together form a group", () => {
  const messages = [message("a", 0), message("b", 1), message("c", 2, OWN), message("d", 3, OWN), message("e", 20, OWN)];
  expect(drawn(messages)).toEqual(["day", "a", "+b", "c", "+d", "e"]);
});

test("a late message keeps to itself and does not turn back the days", () => {
  const late = message("l", 0, { late: true, received_at: "2026-03-04T12:05:00Z" });
  expect(drawn([message("a", 0), message("b", DAY), late, message("c", DAY + 6)])).toEqual([
    "day", "a", "day", "b", "l", "c",
  ]);
});

test("the mark of the new messages", () => {
  expect(drawn([message("a", 0), message("b", 1)], "b")).toEqual(["day", "a", "new", "b"]);
});

test("only the other side's messages count as unread", () => {
  const messages = [message("a", 0), message("b", 1), message("c", 2, OWN), message("d", 3)];
  expect(firstUnread(messages, 0)).toBeNull();
  expect(firstUnread(messages, 1)).toBe("d");
  expect(firstUnread(messages, 2)).toBe("b");
  expect(firstUnread(messages, 9)).toBe("a");
});
