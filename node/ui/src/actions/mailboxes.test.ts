import { beforeEach, expect, test, vi } from "vitest";
import * as api from "../api/client";
import type { Mailbox } from "../api/types";
import { mailbox } from "../model/sample";
import { INITIAL } from "../model/state";
import { current, update } from "../model/store";
import { chooseMailboxes, loadMailboxes, mailboxesChanged } from "./mailboxes";

vi.mock("../api/client");

const one = mailbox("https://one.org");

beforeEach(() => {
  vi.resetAllMocks();
  update(() => ({ ...INITIAL, phase: { kind: "open", name: "Alice", account: "kith1alice" } }));
});

test("what was chosen is shown as the node took it", async () => {
  vi.mocked(api.chooseMailboxes).mockResolvedValue([one]);
  await chooseMailboxes([{ url: "one.org" }], true);
  expect(api.chooseMailboxes).toHaveBeenCalledWith([{ url: "one.org" }], true);
  expect(current().mailboxes).toEqual([one]);
});

test("an overtaken answer changes nothing", async () => {
  let late: (answer: Mailbox[]) => void = () => {};
  vi.mocked(api.mailboxes).mockReturnValue(new Promise((resolve) => (late = resolve)));
  vi.mocked(api.chooseMailboxes).mockResolvedValue([one]);
  const first = loadMailboxes();
  await chooseMailboxes([{ url: "one.org" }], false);
  late([]);
  await first;
  expect(current().mailboxes).toEqual([one]);
});

test("changes are asked for by those only who have looked", async () => {
  mailboxesChanged();
  expect(api.mailboxes).not.toHaveBeenCalled();
  update((state) => ({ ...state, mailboxes: [] }));
  vi.mocked(api.mailboxes).mockResolvedValue([one]);
  mailboxesChanged();
  await vi.waitFor(() => expect(current().mailboxes).toEqual([one]));
});

test("nothing is shown any more once the page has ended", async () => {
  update(() => ({ ...INITIAL, phase: { kind: "cut_off", isFinal: true } }));
  vi.mocked(api.mailboxes).mockResolvedValue([one]);
  await loadMailboxes();
  expect(current().mailboxes).toBeNull();
});
