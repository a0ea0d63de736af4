// Acts on contacts, and on which one is shown.

import * as api from "../api/client";
import type { Contact } from "../api/types";
import { withContact } from "../model/contacts";
import { contactOf, NO_DRAFT, without } from "../model/state";
import { current, update } from "../model/store";
import { attempt, report } from "./problems";
import { openThread } from "./threads";

const GATHER_MS = 150;
let gathering: number | undefined;

export async function loadContacts(): Promise<void> {
  const contacts = await api.contacts();
  update((state) => ({ ...state, contacts }));
}

/** Asks for the list again soon; several wishes in a row become one request. */
export function loadContactsSoon(): void {
  clearTimeout(gathering);
  gathering = setTimeout(() => void loadContacts().catch(report), GATHER_MS);
}

export const putContact = (contact: Contact) =>
  update((state) => ({ ...state, contacts: withContact(state.contacts ?? [], contact) }));

export function dropContact(account: string): void {
  update((state) => ({
    ...state,
    contacts: state.contacts?.filter((one) => one.account !== account) ?? null,
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

export const setDraft = (account: string, text: string) =>
  update((state) => ({
    ...state,
    drafts: { ...state.drafts, [account]: { ...(state.drafts[account] ?? NO_DRAFT), text } },
  }));

export const setReply = (account: string, replyTo: string | null) =>
  update((state) => ({
    ...state,
    drafts: { ...state.drafts, [account]: { ...(state.drafts[account] ?? NO_DRAFT), replyTo } },
  }));

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
  putContact({ ...contact, unread: 0 });
  await attempt(async () => void (await api.markRead(account)));
}
