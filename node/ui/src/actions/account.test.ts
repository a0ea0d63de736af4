import { beforeEach, expect, test, vi } from "vitest";
import * as api from "../api/client";
import type { Account } from "../api/types";
import { account, contact, device } from "../model/sample";
import { INITIAL } from "../model/state";
import { current, update } from "../model/store";
import { cutOff, loadAccount, renameDevice } from "./account";

vi.mock("../api/client");

const own = account([device("phone", { is_this: true })]);

beforeEach(() => {
  vi.resetAllMocks();
  update(() => ({ ...INITIAL, phase: { kind: "open", name: "Alice", account: own.account } }));
});

test("the account brings the name that may have changed elsewhere", async () => {
  vi.mocked(api.account).mockResolvedValue({ ...own, name: "Alice B" });
  await loadAccount();
  expect(current().phase).toMatchObject({ name: "Alice B" });
});

test("an overtaken answer changes nothing", async () => {
  let late: (one: Account) => void = () => {};
  vi.mocked(api.account).mockReturnValue(new Promise((resolve) => (late = resolve)));
  vi.mocked(api.renameDevice).mockResolvedValue({ ...own, name: "new" });
  const first = loadAccount();
  await renameDevice("id-phone", "new");
  late({ ...own, name: "old" });
  await first;
  expect(current().own?.name).toBe("new");
});

test("who is cut off keeps nothing on the screen", () => {
  update((state) => ({ ...state, contacts: [contact("Bob")], own, drafts: { kith1bob: { text: "x", replyTo: null } } }));
  cutOff(true);
  expect(current()).toEqual({ ...INITIAL, phase: { kind: "cut_off", isFinal: true } });
  cutOff(false);
  expect(current().phase).toEqual({ kind: "cut_off", isFinal: true });
});
