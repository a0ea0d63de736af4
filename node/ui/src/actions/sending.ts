// Hands written texts to the node, one after the other.

import * as api from "../api/client";
import { NO_DRAFT, without } from "../model/state";
import { current, update } from "../model/store";
import { keepSoon } from "./drafts";
import { report, told } from "./problems";
import { ensureShown } from "./threads";

const queues = new Map<string, Promise<void>>();

const countSending = (account: string, by: number) =>
  update((state) => {
    const count = (state.sending[account] ?? 0) + by;
    const sending = count > 0 ? { ...state.sending, [account]: count } : without(state.sending, account);
    return { ...state, sending };
  });

/** Gives a text that was not taken back to its writer, before whatever was typed since. */
function giveBack(account: string, text: string, replyTo: string | null): void {
  update((state) => {
    const draft = state.drafts[account] ?? NO_DRAFT;
    const whole = draft.text === "" ? text : `${text}\n${draft.text}`;
    return { ...state, drafts: { ...state.drafts, [account]: { text: whole, replyTo: draft.replyTo ?? replyTo } } };
  });
  keepSoon(account);
}

async function hand(account: string, text: string, replyTo: string | null): Promise<void> {
  try {
    const { id } = await api.sendMessage(account, text, replyTo);
    void ensureShown(account, id);
  } catch (error) {
    giveBack(account, text, replyTo);
    const problem = told(error);
    if (problem === null) return;
    update((state) => ({ ...state, unsent: { ...state.unsent, [account]: problem } }));
    // Whoever has left the conversation reads it above the list.
    if (current().selected !== account) report(error);
  }
}

/** Sends the draft. Texts keep the order in which they were written. */
export function sendDraft(account: string): void {
  const { text, replyTo } = current().drafts[account] ?? NO_DRAFT;
  if (text.trim() === "") return;
  update((state) => ({
    ...state,
    drafts: without(state.drafts, account),
    unsent: without(state.unsent, account),
  }));
  keepSoon(account, 0);
  countSending(account, 1);
  const turn = (queues.get(account) ?? Promise.resolve())
    .then(() => hand(account, text, replyTo))
    .finally(() => countSending(account, -1));
  queues.set(account, turn);
}
