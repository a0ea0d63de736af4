// How the contacts are divided and sorted in the list.

import type { Contact, Message } from "../api/types";

export type Sections = { requests: Contact[]; people: Contact[]; blocked: Contact[] };

const lastActivity = (contact: Contact) =>
  contact.last_message === null ? 0 : Date.parse(contact.last_message.sent_at);

const byActivity = (one: Contact, other: Contact) =>
  lastActivity(other) - lastActivity(one) || one.name.localeCompare(other.name, "en");

const byName = (one: Contact, other: Contact) => one.name.localeCompare(other.name, "en");

export function sections(contacts: readonly Contact[]): Sections {
  const of = (...statuses: Contact["status"][]) => contacts.filter((one) => statuses.includes(one.status));
  return {
    requests: of("pending").sort(byName),
    people: of("contact", "requested").sort(byActivity),
    blocked: of("blocked").sort(byName),
  };
}

export const withContact = (contacts: readonly Contact[], contact: Contact): Contact[] =>
  contacts.some((one) => one.account === contact.account)
    ? contacts.map((one) => (one.account === contact.account ? contact : one))
    : [...contacts, contact];

/** Changes one contact where it stands; the list as it is when it holds no such contact. */
export const changed = (contacts: Contact[], account: string, change: (contact: Contact) => Contact): Contact[] =>
  contacts.map((one) => (one.account === account ? change(one) : one));

/** The contact after a message. One that came in late stands above the newest, which then stays. */
export function withMessage(contact: Contact, { text, sent_at, late, author }: Message, unread: number): Contact {
  const newest = !late && Date.parse(sent_at) >= lastActivity(contact);
  return { ...contact, unread, last_message: newest ? { text, sent_at, me: author.me } : contact.last_message };
}

/** "kith1qqs…x7pd": enough to tell two accounts apart at a glance, not to validate one. */
export const shortAccount = (account: string) =>
  account.length <= 18 ? account : `${account.slice(0, 9)}…${account.slice(-4)}`;

/** In groups of four, so that two people can read it to each other. */
export const groupedAccount = (account: string): string[] => account.match(/.{1,4}/gu) ?? [];

/** First letter of the name, for the sign beside it. */
export function initial(name: string): string {
  const [first] = new Intl.Segmenter("en", { granularity: "grapheme" }).segment(name.trim());
  return first?.segment.toLocaleUpperCase("en") ?? "?";
}

/** One of `count` looks for an account: always the same for the same account. */
export function look(account: string, count: number): number {
  let sum = 7;
  for (const character of account) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 65_521;
  return sum % count;
}
