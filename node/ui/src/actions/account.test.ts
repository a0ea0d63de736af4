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

const guest: Guest = { check: "012345", name: "tablet", brings: null, code: "one" };
const heard = () => current().code?.heard;
const made = (id: string) => ({ code: `kith-device:${id}`, id, seconds_left: 600 });
const settled = () => new Promise((resolve) => setTimeout(resolve));

test("a code that is closed or replaced elsewhere is known to have ended", async () => {
  vi.mocked(api.pendingDevices).mockResolvedValue([]);
  for (const other of [null, "two"]) {
    vi.mocked(api.linkDevice).mockResolvedValue(made("one"));
    vi.mocked(api.shownCode).mockResolvedValue({ id: "one", seconds_left: 500 });
    await makeCode();
    await loadGuest();
    expect(heard()).toBe("nothing");
    guestChanged(null, other);
    expect(heard()).toBe("closed");
  }
  await makeCode();
  vi.mocked(api.shownCode).mockResolvedValue({ id: null, seconds_left: 0 });
  await loadGuest();
  expect(heard(), "who missed the event learns it by asking").toBe("closed");
});

test("a code is closed by its own name, however late", async () => {
  vi.mocked(api.closeLink).mockReturnValue(new Promise(() => {}));
  vi.mocked(api.linkDevice).mockResolvedValueOnce(made("one")).mockResolvedValueOnce(made("two"));
  await makeCode();
  dropCode();
  await makeCode();
  expect(api.closeLink).toHaveBeenCalledExactlyOnceWith("one");
  expect(current().code?.id).toBe("two");
});

test("a code that comes when nobody waits for it is closed", async () => {
  vi.mocked(api.closeLink).mockResolvedValue({});
  vi.mocked(api.linkDevice).mockResolvedValue(made("one"));
  const late = makeCode();
  dropCode();
  await late;
  expect(api.closeLink).toHaveBeenCalledExactlyOnceWith("one");
  expect(current().code).toBeNull();
});

test("an answer from before the code was made says nothing of it", async () => {
  vi.mocked(api.pendingDevices).mockResolvedValue([]);
  let late: (shown: { id: null; seconds_left: number }) => void = () => {};
  vi.mocked(api.shownCode).mockReturnValue(new Promise((resolve) => (late = resolve)));
  vi.mocked(api.linkDevice).mockResolvedValue(made("one"));
  const before = loadGuest();
  await makeCode();
  late({ id: null, seconds_left: 0 });
  await before;
  expect(heard()).toBe("nothing");
});

test("a code that was used elsewhere is left to its device; any other one is closed", async () => {
  vi.mocked(api.linkDevice).mockResolvedValue(made("one"));
  vi.mocked(api.closeLink).mockResolvedValue({});
  vi.mocked(api.account).mockResolvedValue(account([...own.devices, device("tablet")]));
  update((state) => ({ ...state, own }));
  await makeCode();
  guestChanged(guest, "one");
  guestChanged(null, "one");
  dropCode();
  await settled();
  expect(api.closeLink).toHaveBeenCalledOnce();
  await makeCode();
  guestChanged(guest, "one");
  guestChanged(null, "one");
  await loadAccount();
  dropCode();
  await settled();
  expect(api.closeLink).toHaveBeenCalledOnce();
  expect(current().code).toBeNull();
});
