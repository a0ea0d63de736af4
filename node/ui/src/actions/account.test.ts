import { beforeEach, expect, test, vi } from "vitest";
import * as api from "../api/client";
import type { Account, Guest } from "../api/types";
import { account, contact, device } from "../model/sample";
import { INITIAL } from "../model/state";
import { current, update } from "../model/store";
import { cutOff, dropCode, guestChanged, loadAccount, loadGuest, makeCode, renameDevice } from "./account";

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

test.each([true, false])("an account that this device is out of is the end, for good: %s", async (isFinal) => {
  const out = device("phone", { is_this: true, standing: "former", reason: "stolen", is_final: isFinal });
  update((state) => ({ ...state, contacts: [contact("Bob")] }));
  vi.mocked(api.account).mockResolvedValue(account([out, device("laptop")]));
  await loadAccount();
  expect(current()).toEqual({ ...INITIAL, phase: { kind: "cut_off", isFinal } });
});

const guest: Guest = { check: "012345", name: "tablet", brings: null };
const heard = () => current().code?.heard;

test("a code that is closed elsewhere is known to have ended", async () => {
  vi.mocked(api.linkDevice).mockResolvedValue({ code: "kith-device:x" });
  vi.mocked(api.pendingDevices).mockResolvedValue([]);
  await makeCode();
  await loadGuest();
  expect(heard()).toBe("nothing");
  guestChanged(null);
  expect(heard()).toBe("closed");
});

test("a code is closed before the next one is made, however long that takes", async () => {
  const done: string[] = [];
  let closed: () => void = () => {};
  vi.mocked(api.closeLink).mockReturnValue(new Promise((resolve) => (closed = () => resolve({}))));
  vi.mocked(api.linkDevice).mockImplementation(async () => {
    done.push("made");
    return { code: "kith-device:x" };
  });
  dropCode();
  const next = makeCode();
  await new Promise((resolve) => setTimeout(resolve));
  guestChanged(null);
  expect(done).toEqual([]);
  closed();
  await next;
  expect(done).toEqual(["made"]);
  expect(heard()).toBe("nothing");
});

test("a code that was used elsewhere is left to its device; any other one is closed", async () => {
  vi.mocked(api.linkDevice).mockResolvedValue({ code: "kith-device:x" });
  vi.mocked(api.closeLink).mockResolvedValue({});
  vi.mocked(api.account).mockResolvedValue(account([...own.devices, device("tablet")]));
  update((state) => ({ ...state, own }));
  const settled = () => new Promise((resolve) => setTimeout(resolve));
  await makeCode();
  guestChanged(guest);
  guestChanged(null);
  dropCode();
  await settled();
  expect(api.closeLink).toHaveBeenCalledOnce();
  await makeCode();
  guestChanged(guest);
  guestChanged(null);
  await loadAccount();
  dropCode();
  await settled();
  expect(api.closeLink).toHaveBeenCalledOnce();
  expect(current().code).toBeNull();
});
