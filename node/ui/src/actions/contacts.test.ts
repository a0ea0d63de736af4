import { beforeEach, expect, test, vi } from "vitest";
import * as api from "../api/client";
import { INITIAL } from "../model/state";
import { contact, message } from "../model/sample";
import { current, update } from "../model/store";
import { dropContact, loadContacts, noteMessage, putContact } from "./contacts";

vi.mock("../api/client");

const [ann, bob] = [contact("Ann"), contact("Bob")];
const known = (account: string) => current().contacts?.find((one) => one.account === account);

beforeEach(() => {
  vi.resetAllMocks();
  update(() => ({ ...INITIAL, contacts: [ann, bob] }));
});

test("a message changes its contact without a question to the node", async () => {
  await noteMessage(bob.account, message("hello", 1), 4);
  expect(known(bob.account)).toMatchObject({ unread: 4, last_message: { text: "hello" } });
  expect(known(ann.account)).toBe(ann);
  expect(api.contacts).not.toHaveBeenCalled();
  expect(api.contact).not.toHaveBeenCalled();
});

test("only somebody unknown is asked about", async () => {
  const cid = contact("Cid", { unread: 1 });
  vi.mocked(api.contact).mockResolvedValue(cid);
  await noteMessage(cid.account, message("hello", 1), 1);
  expect(api.contact).toHaveBeenCalledExactlyOnceWith(cid.account);
  expect(known(cid.account)).toEqual(cid);
  expect(api.contacts).not.toHaveBeenCalled();
});

test("what happens while the list is on its way is not undone by it", async () => {
  vi.mocked(api.contacts).mockImplementation(async () => {
    await noteMessage(bob.account, message("hello", 1), 1);
    putContact({ ...ann, online: true });
    return [ann, { ...bob, online: true }];
  });
  await loadContacts();
  expect(known(ann.account)).toMatchObject({ online: true });
  expect(known(bob.account)).toMatchObject({ online: true, unread: 1, last_message: { text: "hello" } });
});

test("who was removed while the list is on its way does not come back", async () => {
  vi.mocked(api.contacts).mockImplementation(async () => {
    dropContact(ann.account);
    return [ann, bob];
  });
  await loadContacts();
  expect(current().contacts).toEqual([bob]);
});
