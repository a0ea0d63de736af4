import { expect, test } from "vitest";
import type { Guest } from "../api/types";
import { afterWord, type Code, ending, groupedCheck, newCode, timeLeft } from "./code";
import { account, device } from "./sample";

const phone = device("phone", { is_this: true });
const tablet = device("tablet", { standing: "added" });
const before = account([phone]);
const after = account([phone, tablet]);
const CODE_MS = 600_000;
const guest: Guest = { check: "012345", name: "tablet", brings: null, code: "one" };
const told = (code: Code, guest: Guest | null, serves: string | null = "one") => afterWord(code, guest, serves);
const answer = { code: "kith-device:x", id: "one", seconds_left: 600 };
const made = newCode(answer, before, 0);

test("a code serves as long as the node says", () => {
  expect(ending(made, before, CODE_MS - 1)).toBeNull();
  expect(ending(made, before, CODE_MS)).toEqual({ kind: "time" });
  expect(ending(newCode({ ...answer, seconds_left: 5 }, before, 0), before, 5_000)).toEqual({ kind: "time" });
  expect(timeLeft(CODE_MS, 0)).toBe("10:00");
  expect(timeLeft(CODE_MS, 535_500)).toBe("1:05");
  expect(timeLeft(CODE_MS, CODE_MS - 1)).toBe("0:01");
});

test("another code, or none, ends this one", () => {
  for (const serves of [null, "two"]) {
    expect(ending(told(made, null, serves), before, 1)).toEqual({ kind: "closed" });
    expect(ending(told(made, { ...guest, code: "two" }, serves), before, 1)).toEqual({ kind: "closed" });
    expect(ending(told(made, null, serves), before, CODE_MS)).toEqual({ kind: "time" });
  }
});

test("that nobody wants to join ends nothing", () => {
  expect(told(made, null)).toBe(made);
});

test("a word from before the code was made is taken back by the next one", () => {
  expect(told(told(made, null, "before"), null)).toEqual(made);
});

test("a device that goes away leaves the code to the next one", () => {
  const gone = told(told(made, guest), null);
  expect(gone.heard).toBe("gone");
  expect(ending(gone, before, 1)).toBeNull();
  expect(told(gone, null)).toEqual(gone);
  expect(told(gone, guest).heard).toBe("guest");
  expect(ending(told(gone, null, null), before, 1)).toEqual({ kind: "closed" });
});

test("a device that goes away and is in the account was confirmed elsewhere", () => {
  const shown = told(made, guest);
  expect(ending(shown, after, 1)).toBeNull();
  for (const serves of ["one", null]) {
    expect(ending(told(shown, null, serves), after, 1)).toEqual({ kind: "used", device: tablet.device });
  }
});

test("a device that came in by another way does not end the code", () => {
  expect(ending(made, after, 1)).toBeNull();
  const unsure = told(told(newCode(answer, null, 0), guest), null);
  expect(ending(unsure, after, 1)).toBeNull();
  const out = account([phone, { ...tablet, standing: "former" }]);
  const invited = account([phone, { ...tablet, standing: "invited" }]);
  for (const own of [out, invited]) {
    expect(ending(told(told(made, guest), null), own, 1)).toBeNull();
  }
});

test("a number as two people read it to each other", () => {
  expect(groupedCheck("012345")).toBe("012 345");
});
