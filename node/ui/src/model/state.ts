// Everything the page knows, as one value.

import type { Account, CatchingUp, Contact, Finding, Guest, Mailbox, Message, Sought, Status } from "../api/types";
import type { Code } from "./code";

export type Phase =
  | { kind: "opening" }
  | { kind: "absent"; message: string | null }
  | { kind: "cut_off"; isFinal: boolean }
  | { kind: "open"; name: string; account: string };

export type Thread = {
  messages: Message[];
  hasOlder: boolean;
  busy: "first" | "older" | null;
  /** Where "New" is drawn: fixed when the conversation is opened. */
  firstUnread: string | null;
};

export type Draft = { text: string; replyTo: string | null };

export type State = {
  phase: Phase;
  connected: boolean;
  status: Status | null;
  /** How far catching up has got, while that takes long enough to be shown. */
  progress: CatchingUp | null;
  /** One's own account and devices. */
  own: Account | null;
  /** The device that wants to join, once it shows its number. */
  guest: Guest | null;
  /** The code that was made for a new device. */
  code: Code | null;
  /** Where messages wait while the person is away, once somebody has looked. */
  mailboxes: Mailbox[] | null;
  /** How the person is found, once it is known. */
  finding: Finding | null;
  /** Who is looked for by an id alone. */
  sought: Sought[];
  contacts: Contact[] | null;
  selected: string | null;
  threads: Record<string, Thread>;
  drafts: Record<string, Draft>;
  sending: Record<string, number>;
  sendAnyway: Record<string, true>;
  /** Why the last message to somebody was not taken. */
  unsent: Record<string, string>;
  /** The last thing that went wrong, to be read and dismissed. */
  problem: string | null;
  /** Read out by screen readers. */
  announcement: string;
};

export const INITIAL: State = {
  phase: { kind: "opening" },
  connected: true,
  status: null,
  progress: null,
  own: null,
  guest: null,
  code: null,
  mailboxes: null,
  finding: null,
  sought: [],
  contacts: null,
  selected: null,
  threads: {},
  drafts: {},
  sending: {},
  sendAnyway: {},
  unsent: {},
  problem: null,
  announcement: "",
};

export const NO_DRAFT: Draft = { text: "", replyTo: null };
export const NO_THREAD: Thread = { messages: [], hasOlder: false, busy: "first", firstUnread: null };

export const withThread = (state: State, account: string, change: (thread: Thread) => Thread): State => ({
  ...state,
  threads: { ...state.threads, [account]: change(state.threads[account] ?? NO_THREAD) },
});

export function without<T>(record: Record<string, T>, key: string): Record<string, T> {
  const { [key]: _, ...rest } = record;
  return rest;
}

export const contactOf = (state: State, account: string | null): Contact | null =>
  state.contacts?.find((one) => one.account === account) ?? null;
