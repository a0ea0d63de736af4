import { beforeEach, expect, test, vi } from "vitest";
import * as api from "../api/client";
import { INITIAL } from "../model/state";
import { current, update } from "../model/store";
import { sendDraft } from "./sending";

vi.mock("../api/client", async (original) => ({
  ...(await original<typeof api>()),
  sendMessage: vi.fn(),
  keepDraft: vi.fn(() => Promise.resolve({})),
}));
vi.mock("./threads");

const BOB = "kith1bob";

beforeEach(() => {
  vi.mocked(api.sendMessage).mockReset();
  const drafts = { [BOB]: { text: "hello", replyTo: null } };
  update(() => ({ ...INITIAL, phase: { kind: "open", name: "Alice", account: "kith1alice" }, selected: BOB, drafts }));
});

test("what the node refuses is said where it was written, until it is sent again", async () => {
  vi.mocked(api.sendMessage).mockRejectedValueOnce(new api.ApiError(409, "not_standing", "it is frozen"));
  sendDraft(BOB);
  await vi.waitFor(() => expect(current().unsent).toEqual({ [BOB]: "it is frozen" }));
  expect(current().problem).toBeNull();
  expect(current().drafts[BOB]?.text).toBe("hello");
  vi.mocked(api.sendMessage).mockResolvedValueOnce({ id: "1" });
  sendDraft(BOB);
  expect(current().unsent).toEqual({});
  await vi.waitFor(() => expect(current().sending).toEqual({}));
  expect(current().unsent).toEqual({});
});

test("whoever has left the conversation reads it above the list", async () => {
  vi.mocked(api.sendMessage).mockRejectedValueOnce(new api.ApiError(409, "not_standing", "it is frozen"));
  sendDraft(BOB);
  update((state) => ({ ...state, selected: null }));
  await vi.waitFor(() => expect(current().problem).toBe("it is frozen"));
});

test("a lost connection is told by its banner alone", async () => {
  vi.mocked(api.sendMessage).mockRejectedValueOnce(new api.ApiError(0, "unreachable", "nobody there"));
  sendDraft(BOB);
  await vi.waitFor(() => expect(current().drafts[BOB]?.text).toBe("hello"));
  expect(current().unsent).toEqual({});
});
