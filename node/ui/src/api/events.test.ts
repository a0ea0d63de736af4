import { expect, test } from "vitest";
import { readEvent } from "./events";

test("a known event is read", () => {
  expect(readEvent('{"type":"resync"}')).toEqual({ type: "resync" });
});

test.each(["account", "sought", "linking", "rewritten", "cut_off"])("%s is known", (type) => {
  expect(readEvent(JSON.stringify({ type }))).toEqual({ type });
});

test.each(["", "null", "7", "[]", "{", '{"type":"later"}', '{"type":3}'])("%j is passed over", (data) => {
  expect(readEvent(data)).toBeNull();
});
