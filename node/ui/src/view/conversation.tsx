// The right pane: one conversation.

import { useEffect, useRef } from "preact/hooks";
import type { Contact } from "../api/types";
import { close } from "../actions/contacts";
import { setReply } from "../actions/drafts";
import { NO_THREAD } from "../model/state";
import { Composer } from "./composer";
import { IconButton, Spinner } from "./controls";
import { MessageLog } from "./message-log";
import { Sign, ValidityBadge } from "./person";
import { useApp } from "./use-app";

type Props = { contact: Contact; onDetails: () => void };

export function Conversation({ contact, onDetails }: Props) {
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
            <span class="soft">{contact.online ? "Online" : "Not reachable now"}</span>
          </p>
        </div>
        <IconButton icon="details" label="Contact details" onClick={onDetails} />
      </header>
      {contact.status === "requested" && <Waiting />}
      {thread.busy === "first" && thread.messages.length === 0 ? (
        <div class="loading delayed">
          <Spinner label="Loading messages…" />
        </div>
      ) : (
        <MessageLog contact={contact} thread={thread} onReply={reply} />
      )}
      <Composer contact={contact} field={composer} />
    </div>
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
