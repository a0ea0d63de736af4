// Where a message belongs among those already loaded. The node's order is the truth;
// these functions only decide when what we hold still agrees with it.

import type { Message, StateChange } from "../api/types";

const instant = (message: Message) => Date.parse(message.sent_at);

/** Whether a message that was just announced can be shown last without asking the node. */
export function belongsLast(known: readonly Message[], message: Message): boolean {
  const last = known.at(-1);
  if (message.late) return false;
  return last === undefined || instant(message) >= instant(last);
}

/** Puts a newer version of a message in the place of the one we hold, if we hold it. */
export function replaced(known: Message[], message: Message): Message[] | null {
  const at = known.findIndex((one) => one.id === message.id);
  return at < 0 ? null : known.with(at, message);
}

/** Adds an older page in front, without what is already there. */
export function withOlder(known: readonly Message[], page: readonly Message[]): Message[] {
  const held = new Set(known.map((one) => one.id));
  return [...page.filter((one) => !held.has(one.id)), ...known];
}

/**
 * Lays a fresh newest stretch over what we hold. Null when the two do not touch at the
 * beginning of the stretch: something may then be missing between them.
 */
export function joined(known: readonly Message[], fresh: readonly Message[]): Message[] | null {
  const first = fresh[0];
  if (first === undefined) return [];
  const at = known.findIndex((one) => one.id === first.id);
  if (at < 0) return null;
  const replacedIds = new Set(fresh.map((one) => one.id));
  return [...known.slice(0, at).filter((one) => !replacedIds.has(one.id)), ...fresh];
}

/** Applies delivery states; the same array when nothing changed. */
export function withStates(known: Message[], changes: readonly StateChange[]): Message[] {
  const states = new Map(changes.map((change) => [change.id, change.state]));
  if (!known.some((one) => states.has(one.id) && states.get(one.id) !== one.state)) return known;
  return known.map((one) => {
    const state = states.get(one.id);
    return state === undefined || state === one.state ? one : { ...one, state };
  });
}
