import { expect, test } from "vitest";
import type { Guest } from "../api/types";
import { AGAIN_MS, afterEvent, afterLook, CODE_MS, type Code, ending, groupedCheck, newCode, timeLeft } from "./code";
import { account, device } from "./sample";

const phone = device("phone", { is_this: true });
const tablet = device("tablet", { standing: "added" });
const before = account([phone]);
const after = account([phone, tablet]);
const guest: Guest = { check: "012345", name: "tablet", brings: null };
const told = (code: Code, guest: Guest | null) => afterEvent(code, guest, 0);
const asked = (code: Code, guest: Guest | null) => afterLook(code, guest, 0);
const made = newCode("kith-device:x", before, 0);

test("a code serves for ten minutes", () => {
  expect(ending(made, before, CODE_MS - 1)).toBeNull();
  expect(ending(made, before, CODE_MS)).toEqual({ kind: "time" });
  expect(timeLeft(CODE_MS, 0)).toBe("10:00");
  expect(timeLeft(CODE_MS, 535_500)).toBe("1:05");
  expect(timeLeft(CODE_MS, CODE_MS - 1)).toBe("0:01");
});

test("that nobody wants to join, out of the blue, tells that the code was closed", () => {
  const closed = told(made, null);
  expect(ending(closed, before, AGAIN_MS - 1)).toBeNull();
  expect(ending(closed, before, AGAIN_MS)).toEqual({ kind: "closed" });
  expect(afterEvent(closed, null, AGAIN_MS)).toEqual(closed);
});

test("an answer to the page's own question tells nothing of the kind", () => {
  expect(asked(made, null)).toBe(made);
});

test("a device that goes away leaves the code to the next one", () => {
  for (const hears of [told, asked]) {
    const gone = hears(hears(made, guest), null);
    expect(gone.heard).toBe("gone");
    expect(ending(gone, before, 1)).toBeNull();
    expect(hears(gone, null)).toEqual(gone);
    expect(hears(gone, guest).heard).toBe("guest");
  }
});

test("a device that goes away and is in the account was confirmed elsewhere", () => {
  const shown = told(made, guest);
  expect(ending(shown, after, 1)).toBeNull();
  expect(ending(told(shown, null), after, 1)).toEqual({ kind: "used", device: tablet.device });
});

test("a device that came in by another way does not end the code", () => {
  expect(ending(made, after, 1)).toBeNull();
  const unsure = told(told(newCode("x", null, 0), guest), null);
  expect(ending(unsure, after, 1)).toBeNull();
  const out = account([phone, { ...tablet, standing: "former" }]);
  const invited = account([phone, { ...tablet, standing: "invited" }]);
  for (const own of [out, invited]) {
    expect(ending(told(told(made, guest), null), own, 1)).toBeNull();
  }
});

test("a device that shows a number after all proves that the code serves", () => {
  expect(ending(told(told(made, null), guest), before, AGAIN_MS)).toBeNull();
});

test("a number as two people read it to each other", () => {
  expect(groupedCheck("012345")).toBe("012 345");
});
