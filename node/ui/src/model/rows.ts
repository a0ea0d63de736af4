// The rows of a conversation: messages with day headings and the mark where new ones begin.

import type { Message } from "../api/types";
import { type Clock, dayHeading, dayKey } from "./times";

export type Row =
  | { kind: "day"; key: string; heading: string }
  | { kind: "new"; key: string }
  | { kind: "message"; key: string; message: Message; follows: boolean };

/** Messages of one person this close together are drawn as one group. */
const GROUP_MS = 5 * 60 * 1000;

function follows(before: Message | undefined, message: Message): boolean {
  if (before === undefined || before.late || message.late) return false;
  if (before.author.account !== message.author.account) return false;
  const gap = Date.parse(message.sent_at) - Date.parse(before.sent_at);
  return Math.abs(gap) < GROUP_MS;
}

export type RowContext = { now: Date; clock: Clock; firstUnread: string | null };

export function rowsOf(messages: readonly Message[], { now, clock, firstUnread }: RowContext): Row[] {
  const rows: Row[] = [];
  let day = "";
  let before: Message | undefined;
  for (const message of messages) {
    // A late message stands where the logical order puts it and names its own times,
    // so it does not turn the page to another day.
    const at = new Date(message.late ? message.received_at : message.sent_at);
    const key = dayKey(at, clock);
    if (day === "" || (!message.late && key !== day)) {
      rows.push({ kind: "day", key: `day:${message.id}`, heading: dayHeading(at, now, clock) });
      day = key;
      before = undefined;
    }
    if (message.id === firstUnread) {
      rows.push({ kind: "new", key: "new" });
      before = undefined;
    }
    rows.push({ kind: "message", key: message.id, message, follows: follows(before, message) });
    before = message;
  }
  return rows;
}

/** The first of the newest `unread` messages that others wrote. */
export function firstUnread(messages: readonly Message[], unread: number): string | null {
  let left = unread;
  let first: string | null = null;
  for (let at = messages.length - 1; at >= 0 && left > 0; at--) {
    const message = messages[at];
    if (message === undefined || message.author.me) continue;
    first = message.id;
    left--;
  }
  return first;
}
