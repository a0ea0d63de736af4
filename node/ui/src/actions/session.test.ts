import { afterEach, beforeEach, expect, test, vi } from "vitest";
import * as api from "../api/client";
import * as events from "../api/events";
import type { Session } from "../api/types";
import { account, contact, device, finding, sought, status } from "../model/sample";
import { INITIAL } from "../model/state";
import { current, update } from "../model/store";
import { start } from "./session";

vi.mock("../api/client");
vi.mock("../api/events");

type On = Parameters<typeof events.openStream>[0];

const phone = device("phone", { is_this: true });
const own = account([phone]);
const out = account([{ ...phone, standing: "former", reason: "stolen" }]);
const streams: On[] = [];
const stream = () => streams.at(-1) as On;
const pass = (ms = 0) => vi.advanceTimersByTimeAsync(ms);

beforeEach(async () => {
  vi.useFakeTimers();
  vi.resetAllMocks();
  const page = { visibilityState: "visible", addEventListener: () => {} };
  vi.stubGlobal("document", page);
  vi.stubGlobal("window", { addEventListener: () => {} });
  vi.stubGlobal("location", { hash: "", pathname: "/" });
  vi.stubGlobal("history", { state: null, replaceState: () => {} });
  streams.length = 0;
  vi.mocked(events.openStream).mockImplementation((on) => {
    streams.push(on);
    return { close: () => {} };
  });
  vi.mocked(api.currentSession).mockResolvedValue({ csrf: "", name: "Alice", account: own.account });
  vi.mocked(api.contacts).mockResolvedValue([contact("Bob")]);
  vi.mocked(api.account).mockResolvedValue(own);
  vi.mocked(api.pendingDevices).mockResolvedValue([]);
  vi.mocked(api.shownCode).mockResolvedValue({ id: null, seconds_left: 0 });
  vi.mocked(api.status).mockResolvedValue(status());
  vi.mocked(api.sought).mockResolvedValue([]);
  vi.mocked(api.finding).mockResolvedValue(finding());
  update(() => INITIAL);
  await start();
  stream().opened();
  await pass();
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("a page that comes back after its device was cut off says so and asks for nothing more", async () => {
  vi.mocked(api.account).mockResolvedValue(out);
  vi.mocked(api.contacts).mockClear();
  stream().lost();
  await pass();
  stream().opened();
  await pass();
  expect(current()).toEqual({ ...INITIAL, phase: { kind: "cut_off", isFinal: false } });
  expect(api.contacts).not.toHaveBeenCalled();
  stream().lost();
  await pass(60_000);
  expect(streams.length).toBe(2);
  expect(current().phase.kind).toBe("cut_off");
});

test.each(["resync", "account"] as const)("so does one that hears only of %s", async (type) => {
  vi.mocked(api.account).mockResolvedValue(out);
  stream().event({ type });
  await pass();
  expect(current().phase).toEqual({ kind: "cut_off", isFinal: false });
});

test("what is still on its way then changes nothing", async () => {
  let late: (session: Session) => void = () => {};
  vi.mocked(api.currentSession).mockReturnValue(new Promise((resolve) => (late = resolve)));
  stream().lost();
  stream().event({ type: "cut_off", is_final: true });
  stream().event({ type: "contact", contact: contact("Cid") });
  late({ csrf: "", name: "Alice", account: own.account });
  await pass(60_000);
  expect(current()).toEqual({ ...INITIAL, phase: { kind: "cut_off", isFinal: true } });
  expect(streams.length).toBe(1);
});

test("a break without a cut changes nothing but the connection", async () => {
  stream().lost();
  await pass();
  stream().opened();
  await pass();
  expect(current()).toMatchObject({ phase: { kind: "open" }, connected: true, contacts: [{ name: "Bob" }] });
});

test("who is looked for and how the person is found follow what the node tells", async () => {
  expect(current()).toMatchObject({ sought: [], finding: { relays: 1 } });
  vi.mocked(api.sought).mockResolvedValue([sought("kith1eve")]);
  stream().event({ type: "sought" });
  vi.mocked(api.finding).mockResolvedValue(finding({ findable: false }));
  stream().event({ type: "account" });
  await pass();
  expect(current()).toMatchObject({ sought: [{ id: "kith1eve" }], finding: { findable: false } });
});
