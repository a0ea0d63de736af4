// The left pane: who you are, who you know, who asks.

import { useState } from "preact/hooks";
import { sections } from "../model/contacts";
import { AlarmBanner } from "./alarm";
import { ContactList } from "./contact-list";
import { Action, IconButton, Spinner } from "./controls";
import type { Opened } from "./dialogs";
import { Icon, Mark } from "./icons";
import { Notice } from "./notice";
import { Blocked, Requests } from "./requests";
import { SoughtPeople } from "./sought";
import { useApp } from "./use-app";

type Props = { onOpen: (dialog: Opened) => void };

export function Sidebar({ onOpen }: Props) {
  const contacts = useApp((state) => state.contacts);
  const sought = useApp((state) => state.sought);
  const { requests, people, blocked } = sections(contacts ?? []);
  return (
    <nav class="sidebar" aria-label="Contacts">
      <Head onOpen={onOpen} />
      <div class="sidebar-body">
        <Notice />
        <AlarmBanner onOpen={onOpen} />
        <RecoveryBanner onOpen={onOpen} />
        {requests.length > 0 && <Requests contacts={requests} />}
        {sought.length > 0 && <SoughtPeople sought={sought} />}
        {contacts === null && <Spinner label="Loading contacts…" />}
        {contacts?.length === 0 && sought.length === 0 && <Welcome onOpen={onOpen} />}
        {people.length > 0 && <ContactList contacts={people} />}
        {blocked.length > 0 && <Blocked contacts={blocked} />}
      </div>
    </nav>
  );
}

function Head({ onOpen }: Props) {
  const name = useApp((state) => (state.phase.kind === "open" ? state.phase.name : ""));
  return (
    <header class="sidebar-head">
      <Mark />
      <div class="own">
        <p class="own-mark">Kith</p>
        <p class="own-name">
          <span class="unseen">You are </span>
          <bdi>{name}</bdi>
        </p>
      </div>
      <IconButton icon="link" label="My link" onClick={() => onOpen({ kind: "link" })} />
      <IconButton icon="add" label="Add contact" onClick={() => onOpen({ kind: "add" })} />
      <IconButton icon="settings" label="Settings" onClick={() => onOpen({ kind: "settings" })} />
    </header>
  );
}

function RecoveryBanner({ onOpen }: Props) {
  const needed = useApp((state) => state.status?.recovery === "here");
  const [later, setLater] = useState(false);
  if (!needed || later) return null;
  return (
    <section class="recovery-banner" aria-label="Recovery words">
      <Icon name="key" />
      <p>
        <strong>Write down your recovery words.</strong> If this device is lost, they are the only way back to your
        account.
      </p>
      <div class="actions">
        <Action kind="primary" onClick={() => onOpen({ kind: "recovery" })}>
          Show the words
        </Action>
        <Action onClick={() => setLater(true)}>Not now</Action>
      </div>
    </section>
  );
}

function Welcome({ onOpen }: Props) {
  return (
    <section class="welcome">
      <h2>Nobody here yet</h2>
      <p>
        Give your link to somebody you know, or add them by theirs. There is no directory and no address book is ever
        uploaded.
      </p>
      <div class="actions">
        <Action kind="primary" onClick={() => onOpen({ kind: "link" })}>
          Show my link
        </Action>
        <Action onClick={() => onOpen({ kind: "add" })}>Add by link</Action>
      </div>
    </section>
  );
}
