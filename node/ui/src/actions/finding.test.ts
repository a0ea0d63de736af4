import { afterEach, beforeEach, expect, test, vi } from "vitest";
import * as api from "../api/client";
import type { Finding, Sought } from "../api/types";
import { contact, finding, sought } from "../model/sample";
import { INITIAL } from "../model/state";
import { current, update } from "../model/store";
import { changeFinding, loadFinding, loadSought, lookAgain, lookFor, stopLooking } from "./finding";

vi.mock("../api/client", async (original) => ({
  ...(await original<typeof api>()),
  finding: vi.fn(),
  changeFinding: vi.fn(),
  sought: vi.fn(),
  lookFor: vi.fn(),
  stopLooking: vi.fn(),
  contact: vi.fn(),
}));
vi.mock("./threads");

const bob = sought("kith1bob", { name: "Bob" });
const eve = sought("kith1eve");
const unknown = () => new api.ApiError(404, "unknown_contact", "there is no such contact");

beforeEach(() => {
  vi.resetAllMocks();
  vi.stubGlobal("document", { visibilityState: "visible" });
  vi.stubGlobal("history", { state: null, pushState: () => {}, replaceState: () => {} });
  update(() => ({ ...INITIAL, phase: { kind: "open", name: "Alice", account: "kith1alice" }, contacts: [] }));
});

afterEach(() => vi.unstubAllGlobals());

test("an overtaken answer changes nothing, and nobody looks again before the other one is there", async () => {
  let late: (answer: Finding) => void = () => {};
  let chosen: (answer: Finding) => void = () => {};
  vi.mocked(api.finding).mockReturnValueOnce(new Promise((resolve) => (late = resolve)));
  vi.mocked(api.changeFinding).mockReturnValue(new Promise((resolve) => (chosen = resolve)));
  const [first, second] = [loadFinding(), changeFinding({ relay_only: true })];
  late(finding());
  await first;
  expect(current().finding).toBeNull();
  await lookAgain();
  expect(api.finding).toHaveBeenCalledOnce();
  chosen(finding({ relay_only: true }));
  await second;
  expect(current().finding?.relay_only).toBe(true);
  vi.mocked(api.finding).mockResolvedValue(finding({ relays: 2 }));
  await lookAgain();
  expect(current().finding?.relays).toBe(2);
});

test("a refusal is told, a look that fails is not", async () => {
  vi.mocked(api.changeFinding).mockRejectedValue(new api.ApiError(400, "bad_bootstrap", "no address"));
  await expect(changeFinding({ bootstraps: ["x"] })).rejects.toThrow("no address");
  vi.mocked(api.finding).mockRejectedValue(new api.ApiError(500, "broken", "broken"));
  await lookAgain();
  expect(current()).toMatchObject({ finding: null, problem: null });
});

test("who is looked for is shown, and said", async () => {
  vi.mocked(api.lookFor).mockResolvedValue([bob]);
  await lookFor({ id: bob.id, name: "Bob", greeting: "hello" });
  expect(api.lookFor).toHaveBeenCalledExactlyOnceWith({ id: bob.id, name: "Bob", greeting: "hello" });
  expect(current()).toMatchObject({ sought: [bob], announcement: "Looking for Bob.", selected: null });
});

test("who has asked us meanwhile is a contact at once", async () => {
  vi.mocked(api.lookFor).mockResolvedValue([]);
  vi.mocked(api.contact).mockResolvedValue(contact("Bob"));
  await lookFor({ id: bob.id });
  expect(current()).toMatchObject({ selected: bob.id, contacts: [{ name: "Bob" }] });
});

test("without a bootstrap the page says what can be done there", async () => {
  vi.mocked(api.lookFor).mockRejectedValue(new api.ApiError(409, api.NO_BOOTSTRAP, "see `kith bootstrap set`"));
  await expect(lookFor({ id: bob.id })).rejects.toThrow(/needs a bootstrap. Choose one, or ask them/);
  vi.mocked(api.lookFor).mockRejectedValue(new api.ApiError(400, "bad_id", "a letter is wrong"));
  await expect(lookFor({ id: bob.id })).rejects.toThrow("a letter is wrong");
});

test("who is found turns into a request, and it is said", async () => {
  update((state) => ({ ...state, sought: [bob, eve] }));
  vi.mocked(api.sought).mockResolvedValue([eve]);
  vi.mocked(api.contact).mockResolvedValue(contact("Bob", { status: "requested" }));
  await loadSought();
  expect(api.contact).toHaveBeenCalledExactlyOnceWith(bob.id);
  expect(current()).toMatchObject({ sought: [eve], contacts: [{ name: "Bob", status: "requested" }] });
  expect(current().announcement).toMatch(/^Bob was found/);
});

test("who is found before the node has answered was found all the same", async () => {
  const answered = new Map<string, () => void>();
  const later = (name: string, sought: Sought[]) =>
    new Promise<Sought[]>((resolve) => answered.set(name, () => resolve(sought)));
  vi.mocked(api.contact).mockResolvedValue(contact("Bob", { status: "requested" }));
  for (const order of [["first", "second"], ["second", "first"]]) {
    update((state) => ({ ...state, sought: [], contacts: [], announcement: "" }));
    vi.mocked(api.lookFor).mockReturnValue(later("first", [bob]));
    vi.mocked(api.sought).mockReturnValue(later("second", []));
    const both = [lookFor({ id: bob.id, name: "Bob" }), loadSought()];
    for (const name of order) {
      answered.get(name)?.();
      await Promise.resolve();
    }
    await Promise.all(both);
    expect(current()).toMatchObject({ sought: [], contacts: [{ name: "Bob" }] });
    expect(current().announcement).toMatch(/^Bob was found/);
  }
});

test("who was given up was not found", async () => {
  update((state) => ({ ...state, sought: [bob, eve] }));
  vi.mocked(api.stopLooking).mockImplementation(async () => {
    vi.mocked(api.sought).mockResolvedValue([eve]);
    await loadSought();
    return {};
  });
  await stopLooking(bob.id);
  expect(current().sought).toEqual([eve]);
  expect(api.contact).not.toHaveBeenCalled();
  vi.mocked(api.sought).mockResolvedValue([]);
  vi.mocked(api.contact).mockRejectedValue(unknown());
  await loadSought();
  expect(current()).toMatchObject({ sought: [], contacts: [], problem: null });
});
