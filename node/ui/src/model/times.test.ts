import { expect, test } from "vitest";
import { type Clock, dayHeading, dayKey, lateNote, shortTime, timeOfDay } from "./times";

const clock: Clock = { timeZone: "Europe/Lisbon", hourCycle: "h23" };
const now = new Date("2026-06-10T15:00:00Z");
const at = (text: string) => new Date(text);

test("days are those of the reader's place", () => {
  expect(dayKey(at("2026-06-09T23:30:00Z"), clock)).toBe(dayKey(now, clock));
  expect(dayKey(at("2026-06-09T22:30:00Z"), clock)).not.toBe(dayKey(now, clock));
});

test("headings", () => {
  expect(dayHeading(at("2026-06-10T06:00:00Z"), now, clock)).toBe("Today");
  expect(dayHeading(at("2026-06-09T06:00:00Z"), now, clock)).toBe("Yesterday");
  expect(dayHeading(at("2026-06-02T06:00:00Z"), now, clock)).toMatch(/^Tuesday,? 2 June$/);
  expect(dayHeading(at("2025-06-02T06:00:00Z"), now, clock)).toBe("2 June 2025");
});

test("short times get coarser with age", () => {
  expect(shortTime(at("2026-06-10T13:02:00Z"), now, clock)).toBe("14:02");
  expect(shortTime(at("2026-06-09T13:02:00Z"), now, clock)).toBe("Yesterday");
  expect(shortTime(at("2026-06-06T13:02:00Z"), now, clock)).toBe("Saturday");
  expect(shortTime(at("2026-05-06T13:02:00Z"), now, clock)).toBe("6 May");
  expect(shortTime(at("2024-05-06T13:02:00Z"), now, clock)).toBe("6 May 2024");
  expect(shortTime(at("2026-06-12T13:02:00Z"), now, clock)).toBe("12 Jun");
});

test("the reader's twelve hours", () => {
  expect(timeOfDay(at("2026-06-10T13:02:00Z"), { ...clock, hourCycle: "h12" })).toBe("2:02 pm");
});

test("late arrivals name both times, and the days when they differ", () => {
  const sent = at("2026-06-10T13:02:00Z");
  expect(lateNote(sent, at("2026-06-10T17:40:00Z"), clock)).toBe("sent 14:02, arrived 18:40");
  expect(lateNote(sent, at("2026-06-11T17:40:00Z"), clock)).toBe("sent 10 Jun 14:02, arrived 11 Jun 18:40");
});
