// The right pane: one conversation.

import { useEffect, useRef } from "preact/hooks";
import type { Contact } from "../api/types";
import { close } from "../actions/contacts";
import { setReply } from "../actions/drafts";
import { NO_THREAD } from "../model/state";
import { presenceMeaning, presenceWords } from "../model/words";
import { AlarmStrip } from "./alarm";
import { Composer } from "./composer";
import { IconButton, Spinner } from "./controls";
import type { Opened } from "./dialogs";
import { Icon } from "./icons";
import { Menu } from "./menu";
import { MessageLog } from "./message-log";
import { Notice } from "./notice";
import { Sign, ValidityBadge } from "./person";
import { useApp } from "./use-app";

type Props = { contact: Contact; onOpen: (dialog: Opened) => void };

export function Conversation({ contact, onOpen }: Props) {
  const { account } = contact;
  const thread = useApp((state) => state.threads[contact.account] ?? NO_THREAD);
  const composer = useRef<HTMLTextAreaElement>(null);
  useEffect(enter, []);

  const reply = (id: string) => {
    setReply(contact.account, id);
    composer.current?.focus();
  };

  return (
    <div class="conversation">
      <header class="conversation-head">
        <IconButton icon="back" label="Back to contacts" class="back" onClick={() => leave(contact.account)} />
        <Sign name={contact.name} account={contact.account} online={contact.online} />
        <div class="conversation-who">
          <h2 tabIndex={-1}>
            <bdi>{contact.name}</bdi>
          </h2>
          <p>
            <ValidityBadge validity={contact.validity} />
            <Presence contact={contact} />
          </p>
        </div>
        <IconButton icon="details" label="Contact details" onClick={() => onOpen({ kind: "details", account })} />
        <Menu
          label="More about this conversation"
          items={[{ label: "Clear conversation…", icon: "trash", danger: true, onPick: () => onOpen({ kind: "clear", account }) }]}
        />
      </header>
      <AlarmStrip onOpen={onOpen} />
      {contact.status === "requested" && <Waiting />}
      {contact.disputed.length > 0 && <Disputed name={contact.name} />}
      {thread.busy === "first" && thread.messages.length === 0 ? (
        <div class="loading delayed">
          <Spinner label="Loading messages…" />
        </div>
      ) : (
        <MessageLog
          contact={contact}
          thread={thread}
          onReply={reply}
          onDelete={(id) => onOpen({ kind: "delete", account, id })}
        />
      )}
      {/* On a narrow screen the list with its notice is out of sight. */}
      <Notice class="notice-narrow" />
      <Composer contact={contact} field={composer} />
    </div>
  );
}

/** Whether somebody is there now; what is unusual about it is said to screen readers, and in the details. */
function Presence({ contact }: { contact: Contact }) {
  const meaning = presenceMeaning(contact);
  return (
    <span class="soft" title={meaning ?? undefined}>
      {presenceWords(contact)}
      {meaning !== null && <span class="unseen">. {meaning}</span>}
    </span>
  );
}

/** Opening a conversation moves the focus into it; a touch screen gets no keyboard unasked. */
export function enter(): void {
  const find = (part: string) => document.querySelector<HTMLElement>(`.conversation ${part}`);
  const field = matchMedia("(pointer: coarse)").matches ? null : find(".composer textarea");
  (field ?? find("h2"))?.focus();
}

/** Back to the list, with the focus on the person one comes from. */
function leave(account: string): void {
  close();
  requestAnimationFrame(() => document.querySelector<HTMLElement>(`[data-account="${CSS.escape(account)}"]`)?.focus());
}

function Waiting() {
  return (
    <p class="strip">
      Waiting for them to accept. You can write already: messages stay queued on this device until they do.
    </p>
  );
}

function Disputed({ name }: { name: string }) {
  return (
    <p class="strip strip-danger" role="status">
      <Icon name="warning" />
      <span>
        <strong>
          The devices of <bdi>{name}</bdi> accuse each other.
        </strong>{" "}
        One of them may be in somebody else’s hands; nothing goes to those devices until it is decided. Ask them face to
        face or in a call what happened. They decide it with their other devices or their recovery words.
      </span>
    </p>
  );
}
