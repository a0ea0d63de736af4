// Acts on contacts, and on which one is shown.

import * as api from "../api/client";
import type { Contact, Message } from "../api/types";
import { changed, withContact, withMessage } from "../model/contacts";
import { contactOf, without } from "../model/state";
import { current, update } from "../model/store";
import { adopt, forgetDraft } from "./drafts";
import { attempt } from "./problems";
import { openThread } from "./threads";

type Change = (contacts: Contact[]) => Contact[];

/** For each answer that is awaited: what has changed since it was asked for. */
const awaited = new Set<Change[]>();

function apply(by: Change): void {
  for (const missed of awaited) missed.push(by);
  update((state) => ({ ...state, contacts: by(state.contacts ?? []) }));
}

/** Asks for the whole list. What happens meanwhile is newer than the answer and is kept. */
export async function loadContacts(): Promise<void> {
  const missed: Change[] = [];
  awaited.add(missed);
  try {
    const answer = await api.contacts();
    update((state) => ({ ...state, contacts: missed.reduce((contacts, by) => by(contacts), answer) }));
    current().contacts?.forEach(adopt);
  } finally {
    awaited.delete(missed);
  }
}

/** Brings a contact up to date with a message that the node announced. */
export async function noteMessage(account: string, message: Message, unread: number): Promise<void> {
  apply((contacts) => changed(contacts, account, (contact) => withMessage(contact, message, unread)));
  if (contactOf(current(), account) === null) await attempt(async () => putContact(await api.contact(account)));
}

export function putContact(contact: Contact): void {
  apply((contacts) => withContact(contacts, contact));
  adopt(contact);
}

export function dropContact(account: string): void {
  forgetDraft(account);
  apply((contacts) => contacts.filter((one) => one.account !== account));
  update((state) => ({
    ...state,
    threads: without(state.threads, account),
    drafts: without(state.drafts, account),
    sendAnyway: without(state.sendAnyway, account),
  }));
  if (current().selected === account) close();
}

type HistoryState = { contact?: string; entered?: boolean } | null;
const historyState = () => history.state as HistoryState;

function show(account: string | null): void {
  update((state) => (state.selected === account ? state : { ...state, selected: account }));
  if (account !== null) void openThread(account);
}

/** Opens a conversation. The browser's Back leads out of it again. */
export function select(account: string): void {
  if (current().selected === null) history.pushState({ contact: account, entered: true }, "");
  else history.replaceState({ ...historyState(), contact: account }, "");
  show(account);
}

/** Leaves the conversation for the list. */
export function close(): void {
  if (historyState()?.entered) history.back();
  else history.replaceState(null, "");
  show(null);
}

/** Shows what the browser's history says, at the start and after Back and Forward. */
export function followHistory(): void {
  const account = historyState()?.contact ?? null;
  show(contactOf(current(), account) === null ? null : account);
}

export const allowSending = (account: string) =>
  update((state) => ({ ...state, sendAnyway: { ...state.sendAnyway, [account]: true } }));

export async function add(contact: api.NewContact): Promise<void> {
  const added = await api.addContact(contact);
  putContact(added);
  select(added.account);
}

export const change = (account: string, to: "accept" | "block" | "unblock") =>
  attempt(async () => {
    putContact(await api.changeContact(account, to));
    if (to === "accept") select(account);
  });

export const rename = async (account: string, name: string) => putContact(await api.renameContact(account, name));

export async function remove(account: string): Promise<void> {
  await api.removeContact(account);
  dropContact(account);
}

/** Per conversation, the newest message of the other side that was seen. */
const seen = new Map<string, string>();

/** Tells the node that a conversation was seen up to the other side's message `newest`. */
export async function markSeen(account: string, newest: string): Promise<void> {
  const contact = contactOf(current(), account);
  if (contact === null || contact.status === "blocked") return;
  const known = seen.get(account);
  seen.set(account, newest);
  const already = contact.unread === 0 && (known === undefined || known === newest);
  if (already) return;
  apply((contacts) => changed(contacts, account, (one) => ({ ...one, unread: 0 })));
  await attempt(async () => void (await api.markRead(account)));
}
