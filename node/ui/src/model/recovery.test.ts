import { expect, test } from "vitest";
import { positions, randomBelow, typedWord } from "./recovery";

test("three different positions within the list, in order", () => {
  for (let round = 0; round < 200; round++) {
    const asked = positions(24, 3, randomBelow);
    expect(new Set(asked).size).toBe(3);
    expect([...asked].sort((one, other) => one - other)).toEqual(asked);
    expect(asked.every((position) => position >= 1 && position <= 24)).toBe(true);
  }
});

test("every position can be asked", () => {
  expect(positions(3, 3, () => 0)).toEqual([1, 2, 3]);
  expect(positions(24, 1, () => 23)).toEqual([24]);
});

test("a typed word is compared without its blanks and capitals", () => {
  expect(typedWord(" Abandon ")).toBe("abandon");
});
