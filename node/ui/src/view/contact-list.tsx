// The list of people. One stop for the Tab key; the arrow keys move inside.

import { useRef, useState } from "preact/hooks";
import type { Contact } from "../api/types";
import { select } from "../actions/contacts";
import { preview } from "../model/texts";
import { readersClock, shortTime } from "../model/times";
import { counted } from "../model/words";
import { enter } from "./conversation";
import { Person, Sign } from "./person";
import { useApp } from "./use-app";

const clock = readersClock();

const STEPS: Record<string, (at: number, last: number) => number> = {
  ArrowDown: (at, last) => Math.min(at + 1, last),
  ArrowUp: (at) => Math.max(at - 1, 0),
  Home: () => 0,
  End: (_, last) => last,
};

export function ContactList({ contacts }: { contacts: Contact[] }) {
  const selected = useApp((state) => state.selected);
  const [focused, setFocused] = useState<string | null>(null);
  const list = useRef<HTMLUListElement>(null);

  const present = (account: string | null) => contacts.some((one) => one.account === account);
  const stop = [focused, selected].find(present) ?? contacts[0]?.account;

  const move = (event: KeyboardEvent) => {
    const step = STEPS[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const at = contacts.findIndex((one) => one.account === stop);
    const next = step(at, contacts.length - 1);
    setFocused(contacts[next]?.account ?? null);
    list.current?.querySelectorAll<HTMLElement>("[data-account]")[next]?.focus();
  };

  return (
    <ul class="contacts" ref={list} onKeyDown={move} aria-label="People">
      {contacts.map((contact) => (
        <li key={contact.account}>
          <ContactRow
            contact={contact}
            selected={contact.account === selected}
            stop={contact.account === stop}
            onFocus={() => setFocused(contact.account)}
          />
        </li>
      ))}
    </ul>
  );
}

type RowProps = { contact: Contact; selected: boolean; stop: boolean; onFocus: () => void };

function ContactRow({ contact, selected, stop, onFocus }: RowProps) {
  const { name, account, online, validity, unread } = contact;
  return (
    <button
      type="button"
      class="contact"
      data-account={account}
      tabIndex={stop ? 0 : -1}
      aria-current={selected ? "true" : undefined}
      onFocus={onFocus}
      onClick={() => {
        select(account);
        if (selected) enter();
      }}
    >
      <Sign name={name} account={account} online={online} />
      <span class="contact-name">
        <Person name={name} validity={validity} />
        {online && <span class="unseen"> Online.</span>}
      </span>
      <LastLine contact={contact} />
      <span class="contact-side">
        <LastTime contact={contact} />
        {unread > 0 && (
          <span class="unread">
            <span aria-hidden="true">{unread > 999 ? "999+" : unread}</span>
            <span class="unseen"> {counted(unread, "unread message", "unread messages")}</span>
          </span>
        )}
      </span>
    </button>
  );
}

function LastTime({ contact }: { contact: Contact }) {
  if (contact.last_message === null) return null;
  const at = contact.last_message.sent_at;
  return (
    <time class="contact-time" dateTime={at}>
      {shortTime(new Date(at), new Date(), clock)}
    </time>
  );
}

function LastLine({ contact }: { contact: Contact }) {
  const draft = useApp((state) => state.drafts[contact.account]?.text ?? "");
  if (draft.trim() !== "") {
    return (
      <span class="contact-line">
        <em>Draft:</em> <bdi>{preview(draft, 80)}</bdi>
      </span>
    );
  }
  if (contact.status === "requested") return <span class="contact-line">Waiting for them to accept</span>;
  if (contact.last_message === null) return <span class="contact-line">No messages yet</span>;
  return (
    <span class="contact-line">
      {contact.last_message.me && "You: "}
      <bdi>{preview(contact.last_message.text, 80)}</bdi>
    </span>
  );
}
