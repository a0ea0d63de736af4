import { expect, test } from "vitest";
import { merged } from "./drafts";

test("an empty field shows the other device's draft", () => {
  expect(merged({ text: "", base: "" }, "hello")).toEqual({ text: "hello", base: "hello" });
});

test("what was not touched follows, also when the other device has sent it", () => {
  expect(merged({ text: "hel", base: "hel" }, "hello")).toEqual({ text: "hello", base: "hello" });
  expect(merged({ text: "hello", base: "hello" }, "")).toEqual({ text: "", base: "" });
});

test("what was typed here stays", () => {
  expect(merged({ text: "mine", base: "" }, "theirs")).toEqual({ text: "mine", base: "" });
  expect(merged({ text: "hello, Bob", base: "hello" }, "")).toEqual({ text: "hello, Bob", base: "hello" });
});
