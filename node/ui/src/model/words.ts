// The words for states, in one place, so that the page says the same thing everywhere.

import type { Contact, Delivery, Validity } from "../api/types";

export const VALIDITY_WORD: Record<Validity, string> = {
  unvalidated: "Not validated",
  validated: "Validated",
  compromised: "Compromised",
};

export const VALIDITY_MEANING: Record<Validity, string> = {
  unvalidated:
    "Kith encrypts to this account, but nobody has checked yet that the account belongs to the person you " +
    "mean: it arrived as a link or an id, and the name was typed in or came with it. To be sure, compare the " +
    "account below with the person in another way, face to face or in a call where you know the voice.",
  validated: "You compared this account with the person. Messages go to them and to nobody else.",
  compromised:
    "This account can no longer be trusted: it may be in somebody else's hands. What you write could be read " +
    "by them. Reach the person in another way.",
};

export const DELIVERY_WORD: Record<Delivery, string> = {
  queued: "Queued",
  delivered: "Delivered",
  delivered_all: "Delivered to all devices",
  read: "Read",
};

export const DELIVERY_MEANING: Record<Delivery, string> = {
  queued: "Queued on this device. It is sent as soon as one of their devices can be reached.",
  delivered: "Delivered to one of their devices.",
  delivered_all: "Delivered to all of their devices.",
  read: "Read.",
};

export type Lock = { reason: string; unlock: "send_anyway" | "unblock" | "accept" | null };

/** Why nothing can be written to a contact just now; null when it can. */
export function lockOf(contact: Contact, sendAnyway: boolean): Lock | null {
  if (contact.status === "blocked") {
    return { reason: "You blocked this contact. Nothing is sent either way until you unblock.", unlock: "unblock" };
  }
  if (contact.status === "pending") {
    return { reason: "This person asked to write to you. Accept the request to answer.", unlock: "accept" };
  }
  if (contact.validity === "compromised" && !sendAnyway) {
    return {
      reason: "This contact is marked as compromised. What you write may be read by somebody else.",
      unlock: "send_anyway",
    };
  }
  return null;
}

export const presenceWords = ({ online, connection }: Contact): string => {
  if (!online) return "Not reachable now";
  return connection === "relayed" ? "Online, through a relay" : "Online";
};

/** What is to be explained about how somebody is connected; null if nothing is. */
export const presenceMeaning = ({ online, connection }: Contact): string | null =>
  online && connection === "relayed"
    ? "A relay passes on what your devices send each other. It cannot read it. It sees network addresses, and makes " +
      "things a little slower."
    : null;

export const counted = (count: number, one: string, many: string) => `${count} ${count === 1 ? one : many}`;

export function pageTitle(contacts: readonly Contact[]): string {
  const unread = contacts.reduce((sum, contact) => sum + (contact.status === "blocked" ? 0 : contact.unread), 0);
  return unread === 0 ? "Kith" : `(${unread}) Kith`;
}

/** A sentence of the node's as a page shows it: with a capital letter, and with what stands in `marks` as code. */
export function sentenceParts(text: string): { text: string; code: boolean }[] {
  const parts = text.split("`");
  // An odd mark belongs to no pair.
  const last = parts.length % 2 === 0 ? parts.length - 1 : parts.length;
  const shown = parts
    .map((part, at) => (at === last ? { text: `\`${part}`, code: false } : { text: part, code: at % 2 === 1 }))
    .filter((part) => part.text !== "");
  const [first] = shown;
  if (first !== undefined && !first.code) first.text = first.text.charAt(0).toLocaleUpperCase("en") + first.text.slice(1);
  return shown;
}

/** What honest devices cause too, or this computer by itself: limits, lost connections, clocks, dials in vain. */
const HARMLESS = new Set([
  "address_refused",
  "ahead_of_clock",
  "beyond_cut",
  "clocks_apart",
  "devices_full",
  "dial_denied",
  "dial_failed",
  "dial_queue_full",
  "disputed",
  "duplicate_link",
  "handshake_failed",
  "limit_reached",
  "links_full",
  "listen_failed",
  "memory_limit_reached",
  "neighbour_refused",
  "no_session",
  "opening_timed_out",
  "pending_full",
  "ping_failed",
  "punch_failed",
  "punched",
  "queue_full",
  "renewal_failed",
  "request_not_for_us",
  "requests_full",
  "self_dial",
  "slow_peer",
  "unknown_log",
]);

/** What others sent that broke a rule, with how often. */
export const brokenRules = (refusals: Record<string, number>): [string, number][] =>
  Object.entries(refusals).filter(([kind, count]) => count > 0 && !HARMLESS.has(kind));

/** "bad_signature" as a person would write it. */
export function refusalWord(kind: string): string {
  const words = kind.replace(/[_-]+/g, " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
