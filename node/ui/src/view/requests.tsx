// People who ask to be a contact, and people who were blocked.

import { useState } from "preact/hooks";
import type { Contact } from "../api/types";
import { change, select } from "../actions/contacts";
import { shortAccount } from "../model/contacts";
import { Action } from "./controls";
import { Icon } from "./icons";
import { Person, Sign } from "./person";

type Change = "accept" | "block" | "unblock";

/** Runs one change at a time and says which. */
function useChange(account: string): [Change | null, (to: Change) => void] {
  const [busy, setBusy] = useState<Change | null>(null);
  const start = (to: Change) => {
    setBusy(to);
    void change(account, to).finally(() => setBusy(null));
  };
  return [busy, start];
}

export function Requests({ contacts }: { contacts: Contact[] }) {
  return (
    <section class="requests" aria-labelledby="requests">
      <h2 id="requests">Requests</h2>
      <ul>
        {contacts.map((contact) => (
          <Request key={contact.account} contact={contact} />
        ))}
      </ul>
    </section>
  );
}

function Request({ contact }: { contact: Contact }) {
  const { name, account, validity, greeting } = contact;
  const [busy, start] = useChange(account);
  return (
    <li class="request">
      <Sign name={name} account={account} />
      <div class="request-who">
        <Person name={name} validity={validity} />
        <span class="soft">
          wants to write to you · <code>{shortAccount(account)}</code>
        </span>
      </div>
      {greeting !== null && greeting !== "" && (
        <blockquote class="greeting" dir="auto">
          {greeting}
        </blockquote>
      )}
      <div class="actions">
        <Action kind="primary" busy={busy === "accept"} disabled={busy !== null} onClick={() => start("accept")}>
          Accept<span class="unseen"> {name}</span>
        </Action>
        <Action busy={busy === "block"} disabled={busy !== null} onClick={() => start("block")}>
          Block<span class="unseen"> {name}</span>
        </Action>
      </div>
    </li>
  );
}

export function Blocked({ contacts }: { contacts: Contact[] }) {
  return (
    <details class="blocked">
      <summary>
        <Icon name="chevron" />
        Blocked ({contacts.length})
      </summary>
      <ul>
        {contacts.map((contact) => (
          <BlockedRow key={contact.account} contact={contact} />
        ))}
      </ul>
    </details>
  );
}

function BlockedRow({ contact }: { contact: Contact }) {
  const { name, account, validity } = contact;
  const [busy, start] = useChange(account);
  return (
    <li>
      <button type="button" class="blocked-name" data-account={account} onClick={() => select(account)}>
        <Person name={name} validity={validity} />
      </button>
      <Action busy={busy === "unblock"} onClick={() => start("unblock")}>
        Unblock<span class="unseen"> {name}</span>
      </Action>
    </li>
  );
}
