import { expect, test } from "vitest";
import type { CatchingUp } from "../api/types";
import { progress, progressWords, share } from "./progress";
import { status } from "./sample";

const at = (here: number, all: number) => status({ catching_up: { here, all } });

test("nothing is shown while nothing is lacking", () => {
  expect(progress(null, status())).toBeNull();
  expect(progress(at(1, 900), status({ catching_up: null }))).toBeNull();
});

test("much is shown at once", () => {
  expect(progress(null, at(700, 900))).toEqual({ here: 700, all: 900 });
});

test("little is shown only if it is still lacking when looked at again", () => {
  expect(progress(null, at(899, 900))).toBeNull();
  expect(progress(status(), at(899, 900))).toBeNull();
  expect(progress(at(898, 900), at(899, 900))).toEqual({ here: 899, all: 900 });
});

test("how far it is, in words and as a part", () => {
  const some: CatchingUp = { here: 1_204, all: 14_652 };
  expect(progressWords(some)).toBe("1,204 of 14,652");
  expect(share(some)).toBeCloseTo(0.082, 3);
  expect(share({ here: 3, all: 2 })).toBe(1);
  expect(share({ here: 0, all: 0 })).toBe(0);
});
