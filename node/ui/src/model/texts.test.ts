import { expect, test } from "vitest";
import { TEXT_BYTES_MAX } from "../api/client";
import { byteLength, preview, tightness } from "./texts";

test("length is counted in bytes of UTF-8", () => {
  expect(byteLength("aé🌤")).toBe(7);
});

test("room is mentioned only when it gets tight", () => {
  expect(tightness("a".repeat(30_000))).toBeNull();
  expect(tightness("a".repeat(TEXT_BYTES_MAX - 10))).toBe(10);
  expect(tightness("a".repeat(TEXT_BYTES_MAX))).toBe(0);
  expect(tightness("€".repeat(TEXT_BYTES_MAX / 3 + 1))).toBe(-3);
});

test("a preview is one line and cuts no character in two", () => {
  expect(preview("  a\n\n b\tc ")).toBe("a b c");
  expect(preview("🌤".repeat(10), 3)).toBe("🌤🌤🌤…");
  expect(preview("abc", 3)).toBe("abc");
});
