import { expect, test } from "vitest";
import { around, AT_END, earlier, held, later, ROWS_AT_END, ROWS_MAX, ROWS_STEP, stretch } from "./paging";

const ids = Array.from({ length: 5_000 }, (_, at) => `m${at}`);
const from = (id: string) => ({ kind: "from", id }) as const;

test("a short conversation is shown whole", () => {
  expect(stretch(ids.slice(0, 20), AT_END)).toEqual({ start: 0, end: 20 });
  expect(stretch([], AT_END)).toEqual({ start: 0, end: 0 });
});

test("at the end only the newest rows are shown", () => {
  expect(stretch(ids, AT_END)).toEqual({ start: 5_000 - ROWS_AT_END, end: 5_000 });
});

test("no stretch is longer than the limit", () => {
  for (const at of [0, 1, 2_500, 4_800, 4_999]) {
    const { start, end } = stretch(ids, from(`m${at}`));
    expect(end - start).toBeLessThanOrEqual(ROWS_MAX);
    expect(start).toBe(at);
  }
});

test("the stretch moves in steps and stops at both edges", () => {
  const shown = stretch(ids, from("m250"));
  expect(earlier(ids, shown)).toEqual(from(`m${250 - ROWS_STEP}`));
  expect(earlier(ids, stretch(ids, from("m30")))).toEqual(from("m0"));
  expect(later(ids, shown)).toEqual(from(`m${250 + ROWS_STEP}`));
  expect(later(ids, stretch(ids, from("m4700")))).toEqual(from("m4800"));
  expect(later(ids, stretch(ids, from("m4800")))).toEqual(from(`m${5_000 - ROWS_AT_END}`));
});

test("older rows in front do not move what is held", () => {
  const shown = stretch(ids, from("m100"));
  const anchor = held(ids, shown);
  const grown = ["older1", "older2", ...ids];
  expect(stretch(grown, anchor).start).toBe(shown.start + 2);
});

test("a quoted message comes to lie well inside", () => {
  const { start, end } = stretch(ids, around(ids, 2_000));
  expect(start).toBeLessThan(2_000 - 100);
  expect(end).toBeGreaterThan(2_000 + 100);
  expect(stretch(ids, around(ids, 3)).start).toBe(0);
});

test("a stretch whose first message vanished falls back to the end", () => {
  expect(stretch(ids, from("gone")).end).toBe(5_000);
});
