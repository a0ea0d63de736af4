// Loads conversations and keeps them in the node's order.

import * as api from "../api/client";
import type { Message, StateChange } from "../api/types";
import { belongsLast, joined, replaced, withOlder, withStates } from "../model/order";
import { firstUnread } from "../model/rows";
import { contactOf, type Thread, without, withThread } from "../model/state";
import { current, update } from "../model/store";
import { report } from "./problems";

/** Most pages asked for at once when a conversation is loaded again. */
const RELOAD_PAGES_MAX = 12;
/** Most pages gone back to find a quoted message. */
const SEARCH_PAGES_MAX = 100;

const queues = new Map<string, Promise<void>>();

/** Everything that changes one conversation happens one after the other. */
function inTurn(account: string, task: () => Promise<void> | void): Promise<void> {
  const turn = (queues.get(account) ?? Promise.resolve()).then(task).catch(report);
  queues.set(account, turn);
  return turn;
}

const thread = (account: string): Thread | undefined => current().threads[account];
const setThread = (account: string, change: (thread: Thread) => Thread) =>
  update((state) => withThread(state, account, change));
const setMessages = (account: string, messages: Message[]) =>
  setThread(account, (one) => (one.messages === messages ? one : { ...one, messages }));

/** Loads the newest page unless the conversation is already there. */
export function openThread(account: string): Promise<void> {
  return inTurn(account, async () => {
    const present = thread(account);
    if (present !== undefined && present.busy !== "first") return;
    setThread(account, (one) => ({ ...one, busy: "first" }));
    const unread = contactOf(current(), account)?.unread ?? 0;
    const messages = await api.messages(account);
    setThread(account, () => ({
      messages,
      hasOlder: messages.length >= api.PAGE_MESSAGES,
      busy: null,
      firstUnread: firstUnread(messages, unread),
    }));
  });
}

async function olderPage(account: string): Promise<void> {
  const present = thread(account);
  const first = present?.messages[0];
  if (present === undefined || first === undefined || !present.hasOlder) return;
  setThread(account, (one) => ({ ...one, busy: "older" }));
  try {
    const page = await api.messages(account, first.id);
    setThread(account, (one) => ({
      ...one,
      messages: withOlder(one.messages, page),
      hasOlder: page.length >= api.PAGE_MESSAGES,
    }));
  } finally {
    setThread(account, (one) => ({ ...one, busy: null }));
  }
}

export const loadOlder = (account: string) => inTurn(account, () => olderPage(account));

/** Goes back until a message is loaded. */
export function loadUntil(account: string, id: string): Promise<void> {
  return inTurn(account, async () => {
    for (let pages = 0; pages < SEARCH_PAGES_MAX; pages++) {
      const present = thread(account);
      if (present === undefined || !present.hasOlder) return;
      if (present.messages.some((one) => one.id === id)) return;
      await olderPage(account);
    }
  });
}

/**
 * Asks for the newest messages again, as far back as needed: until they touch what is
 * held (and contain `wanted`), or reach as deep as what is held.
 */
async function reload(account: string, wanted: string | null, whole = false): Promise<void> {
  const known = thread(account)?.messages ?? [];
  let fresh = await api.messages(account);
  let hasOlder = fresh.length >= api.PAGE_MESSAGES;
  for (let pages = 1; hasOlder && pages < RELOAD_PAGES_MAX && fresh.length < known.length; pages++) {
    const found = wanted === null || fresh.some((one) => one.id === wanted);
    if (!whole && found && joined(known, fresh) !== null) break;
    const page = await api.messages(account, fresh[0]?.id);
    hasOlder = page.length >= api.PAGE_MESSAGES;
    fresh = withOlder(fresh, page);
  }
  const merged = whole || !hasOlder ? null : joined(known, fresh);
  setThread(account, (one) => ({
    ...one,
    busy: null,
    messages: merged ?? fresh,
    hasOlder: merged === null ? hasOlder : one.hasOlder,
  }));
}

/** Places a message that the node announced. */
export function place(account: string, message: Message): Promise<void> {
  return inTurn(account, async () => {
    const present = thread(account);
    if (present === undefined || present.busy === "first") return;
    const updated = replaced(present.messages, message);
    if (updated !== null) setMessages(account, updated);
    else if (belongsLast(present.messages, message)) setMessages(account, [...present.messages, message]);
    else await reload(account, message.id);
  });
}

/** Makes sure that a message the node took is shown, also when its announcement is lost. */
export function ensureShown(account: string, id: string): Promise<void> {
  return inTurn(account, async () => {
    const present = thread(account);
    if (present === undefined || present.messages.some((one) => one.id === id)) return;
    await reload(account, id);
  });
}

export function applyStates(account: string, changes: readonly StateChange[]): Promise<void> {
  return inTurn(account, () => {
    const present = thread(account);
    if (present !== undefined) setMessages(account, withStates(present.messages, changes));
  });
}

/** Messages have gone or changed their places: what is held of the conversation is asked again. */
export function rewritten(account: string): Promise<void> {
  if (current().selected !== account) forgetThread(account);
  return inTurn(account, async () => {
    if (thread(account) !== undefined) await reload(account, null, true);
  });
}

/** After a gap in the event stream: what is on screen is asked again, the rest forgotten. */
export async function reloadThreads(): Promise<void> {
  const { selected } = current();
  update((state) => {
    const shown = selected === null ? undefined : state.threads[selected];
    return { ...state, threads: selected === null || shown === undefined ? {} : { [selected]: shown } };
  });
  if (selected === null) return;
  if (thread(selected) === undefined || thread(selected)?.busy === "first") await openThread(selected);
  else await inTurn(selected, () => reload(selected, null, true));
}

export function forgetThread(account: string): void {
  update((state) => ({ ...state, threads: without(state.threads, account) }));
}
