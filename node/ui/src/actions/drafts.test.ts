import { afterEach, beforeEach, expect, test, vi } from "vitest";
import * as api from "../api/client";
import { contact } from "../model/sample";
import { INITIAL } from "../model/state";
import { current, update } from "../model/store";
import { adopt, forgetDraft, keepAll, setDraft } from "./drafts";

vi.mock("../api/client");

const bob = contact("Bob");
const text = () => current().drafts[bob.account]?.text ?? "";
const hears = (draft: string | null) => adopt({ ...bob, draft });

beforeEach(() => {
  vi.useFakeTimers();
  vi.resetAllMocks();
  vi.mocked(api.keepDraft).mockResolvedValue({});
  forgetDraft(bob.account);
  update(() => INITIAL);
});

afterEach(() => vi.useRealTimers());

test("a text is kept once, when the hands rest", async () => {
  setDraft(bob.account, "h");
  await vi.advanceTimersByTimeAsync(1_900);
  setDraft(bob.account, "hello");
  await vi.advanceTimersByTimeAsync(1_900);
  expect(api.keepDraft).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(200);
  expect(api.keepDraft).toHaveBeenCalledExactlyOnceWith(bob.account, "hello");
});

test("an empty field shows what another device writes, and follows it", () => {
  hears("from the tablet");
  expect(text()).toBe("from the tablet");
  hears("from the tablet, longer");
  expect(text()).toBe("from the tablet, longer");
  hears(null);
  expect(text()).toBe("");
});

test("what is typed here is not overwritten, by an old text least of all", async () => {
  setDraft(bob.account, "mine");
  hears("theirs");
  expect(text()).toBe("mine");
  await vi.advanceTimersByTimeAsync(2_000);
  setDraft(bob.account, "");
  hears("mine");
  expect(text()).toBe("");
});

test("what the node did not take is kept when it is back", async () => {
  vi.mocked(api.keepDraft).mockRejectedValueOnce(new Error("away"));
  setDraft(bob.account, "hello");
  await vi.advanceTimersByTimeAsync(2_000);
  hears(null);
  expect(text()).toBe("hello");
  keepAll();
  await vi.advanceTimersByTimeAsync(0);
  expect(api.keepDraft).toHaveBeenCalledTimes(2);
  keepAll();
  expect(api.keepDraft).toHaveBeenCalledTimes(2);
});
