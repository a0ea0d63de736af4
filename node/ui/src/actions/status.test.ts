import { afterEach, beforeEach, expect, test, vi } from "vitest";
import * as api from "../api/client";
import { message, status } from "../model/sample";
import { INITIAL } from "../model/state";
import { current, update } from "../model/store";
import { loadStatus, noteAge, seenAgain, suggestLook } from "./status";

vi.mock("../api/client");

const behind = status({ catching_up: { here: 1_204, all: 14_652 } });
const page = { visibilityState: "visible" };
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

/** How often the node is asked meanwhile. */
async function asked(meanwhile: () => Promise<unknown>): Promise<number> {
  vi.mocked(api.status).mockClear();
  await meanwhile();
  return vi.mocked(api.status).mock.calls.length;
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.resetAllMocks();
  vi.stubGlobal("document", page);
  page.visibilityState = "visible";
  vi.mocked(api.status).mockResolvedValue(status());
  update(() => ({ ...INITIAL, phase: { kind: "open", name: "Alice", account: "kith1alice" } }));
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("the node is asked each second while it is catching up, and seldom after that", async () => {
  vi.mocked(api.status).mockResolvedValue(behind);
  await loadStatus();
  expect(current().progress).toEqual({ here: 1_204, all: 14_652 });
  expect(current().announcement).toBe("Getting your messages: 1,204 of 14,652.");
  expect(await asked(() => pass(10_000))).toBe(10);
  vi.mocked(api.status).mockResolvedValue(status());
  await pass(1_000);
  expect(current().progress).toBeNull();
  expect(await asked(() => pass(29_000))).toBe(0);
});

test("its start is announced once", async () => {
  vi.mocked(api.status).mockResolvedValue(behind);
  await loadStatus();
  update((state) => ({ ...state, announcement: "" }));
  await pass(5_000);
  expect(current().announcement).toBe("");
});

test("a page that nobody sees asks nothing, and goes on when it is seen again", async () => {
  vi.mocked(api.status).mockResolvedValue(behind);
  await loadStatus();
  page.visibilityState = "hidden";
  expect(await asked(() => pass(600_000))).toBe(0);
  suggestLook();
  expect(await asked(() => pass(600_000))).toBe(0);
  page.visibilityState = "visible";
  expect(
    await asked(async () => {
      seenAgain();
      await pass(3_000);
    }),
  ).toBe(4);
});

test("a node that is away is not asked", async () => {
  vi.mocked(api.status).mockResolvedValue(behind);
  await loadStatus();
  update((state) => ({ ...state, connected: false }));
  expect(await asked(() => pass(600_000))).toBe(0);
});

test("what suggests a look leads to one, and to no more than one in five seconds", async () => {
  await loadStatus();
  const often = async () => {
    for (let at = 0; at < 100; at++) {
      suggestLook();
      await pass(100);
    }
  };
  expect(await asked(often)).toBe(2);
});

test("a message of long ago suggests that more of them come in; a new one does not", async () => {
  vi.setSystemTime("2026-03-03T12:30:00Z");
  await loadStatus();
  noteAge(message("new", 30));
  expect(await asked(() => pass(6_000))).toBe(0);
  noteAge(message("old", 20));
  expect(await asked(() => pass(6_000))).toBe(1);
});

test("a failure is no end: the node is asked again", async () => {
  vi.mocked(api.status).mockResolvedValueOnce(behind).mockRejectedValueOnce(new Error("gone"));
  await loadStatus();
  expect(await asked(() => pass(2_000))).toBe(2);
});

test("an answer that comes after the end shows nothing", async () => {
  update(() => ({ ...INITIAL, phase: { kind: "cut_off", isFinal: true } }));
  await loadStatus();
  expect(current().status).toBeNull();
});
