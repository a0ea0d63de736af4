// Where messages wait while the person is away: what is chosen, and how it is.

import type { ChosenMailbox, Days, Mailbox } from "../api/types";

/** More than one, so that one may fail; the node takes no more. */
export const MAILBOXES_MAX = 4;

export type MailboxState = "open" | "opening" | "trouble";

export function mailboxState({ trouble, queues, queues_open }: Mailbox): MailboxState {
  if (trouble !== undefined) return "trouble";
  return queues > 0 && queues_open === queues ? "open" : "opening";
}

export const STATE_WORDS: Record<MailboxState, string> = {
  open: "Open",
  opening: "Being opened",
  trouble: "Does not work",
};

/** What the node says of a mailbox, as a sentence of its own. */
export function troubleWords({ trouble }: Mailbox): string | null {
  if (trouble === undefined || trouble === "") return null;
  const sentence = trouble.charAt(0).toUpperCase() + trouble.slice(1);
  return /[.!?]$/.test(sentence) ? sentence : `${sentence}.`;
}

export const daysWords = (days: Days): string => (days === 1 ? "1 day" : "7 days");

/** In a sentence: how the mailboxes are. */
export function summary(mailboxes: readonly Mailbox[]): string {
  if (mailboxes.length === 0) return "None. Messages to you wait until you are online together.";
  const failing = mailboxes.filter((one) => mailboxState(one) === "trouble").length;
  const all = mailboxes.length;
  if (failing === 0) return all === 1 ? "One mailbox is chosen." : `${all} mailboxes are chosen.`;
  if (all === 1) return "Your mailbox does not work now.";
  return `${failing} of your ${all} mailboxes ${failing === 1 ? "does" : "do"} not work now.`;
}

/** Those that are chosen, said again: what is not said of them stays as it is. */
const kept = (mailboxes: readonly Mailbox[]): ChosenMailbox[] => mailboxes.map(({ url }) => ({ url }));

export type Typed = { url: string; days: Days; access: string };

/** Those that are chosen and one more; an empty access word is none. */
export function withOneMore(mailboxes: readonly Mailbox[], typed: Typed): ChosenMailbox[] {
  const access = typed.access.trim();
  const added = { url: typed.url.trim(), days: typed.days };
  return [...kept(mailboxes), access === "" ? added : { ...added, access }];
}

/** Those that are chosen but this one. */
export const withoutOne = (mailboxes: readonly Mailbox[], url: string): ChosenMailbox[] =>
  kept(mailboxes.filter((one) => one.url !== url));
