// Where a message is written.

import type { RefObject } from "preact";
import { useId, useState } from "preact/hooks";
import type { Contact } from "../api/types";
import { allowSending, change } from "../actions/contacts";
import { setDraft, setReply } from "../actions/drafts";
import { sendDraft } from "../actions/sending";
import { silence } from "../model/devices";
import { NO_DRAFT } from "../model/state";
import { tightness } from "../model/texts";
import { type Lock, lockOf } from "../model/words";
import { Action, IconButton, Problem, Spinner } from "./controls";
import { Icon } from "./icons";
import { Quoted } from "./message-row";
import { useApp } from "./use-app";

type Props = { contact: Contact; field: RefObject<HTMLTextAreaElement | null> };

export function Composer({ contact, field }: Props) {
  const anyway = useApp((state) => state.sendAnyway[contact.account] === true);
  const silent = useApp((state) => silence(state.own));
  const lock = silent === null ? lockOf(contact, anyway) : { reason: silent, unlock: null };
  if (lock !== null) return <Locked contact={contact} lock={lock} />;
  return <Writing contact={contact} field={field} />;
}

const UNLOCK: Record<NonNullable<Lock["unlock"]>, string> = {
  send_anyway: "Send anyway",
  unblock: "Unblock",
  accept: "Accept",
};

function Locked({ contact, lock: { reason, unlock } }: { contact: Contact; lock: Lock }) {
  const [busy, setBusy] = useState(false);
  const open = () => {
    if (unlock === null) return;
    if (unlock === "send_anyway") return allowSending(contact.account);
    setBusy(true);
    void change(contact.account, unlock).finally(() => setBusy(false));
  };
  return (
    <section class="composer locked" aria-label="Writing is locked">
      <Icon name="warning" />
      <p>{reason}</p>
      {unlock !== null && (
        <Action busy={busy} onClick={open}>
          {UNLOCK[unlock]}
        </Action>
      )}
    </section>
  );
}

function Writing({ contact, field }: Props) {
  const { account } = contact;
  const { text, replyTo } = useApp((state) => state.drafts[account] ?? NO_DRAFT);
  const unsent = useApp((state) => state.unsent[account] ?? null);
  const hint = useId();
  const left = tightness(text);
  const tooLong = left !== null && left < 0;
  const ready = text.trim() !== "" && !tooLong;

  const send = () => {
    if (ready) sendDraft(account);
    field.current?.focus();
  };
  const keys = (event: KeyboardEvent) => {
    if (event.key === "Escape" && replyTo !== null) setReply(account, null);
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    // On a touch keyboard Enter begins a new line; the button beside it sends.
    if (matchMedia("(pointer: coarse)").matches) return;
    event.preventDefault();
    send();
  };

  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <Problem text={unsent} />
      <Replying account={account} replyTo={replyTo} />
      <div class="grow" data-text={text}>
        <textarea
          ref={field}
          rows={1}
          dir="auto"
          aria-label="Message"
          aria-describedby={hint}
          aria-invalid={tooLong}
          placeholder="Write a message"
          value={text}
          onInput={(event) => setDraft(account, event.currentTarget.value)}
          onKeyDown={keys}
        />
      </div>
      <button type="submit" class="send" aria-label="Send" title="Send" aria-disabled={!ready}>
        <Icon name="send" />
      </button>
      <Sending account={account} />
      <p id={hint} class={left === null ? "unseen" : "length"}>
        {left === null && "Enter sends, Shift and Enter begin a new line."}
        {left !== null && !tooLong && `Room for ${left.toLocaleString("en")} more bytes.`}
        {tooLong && `Too long by ${(-left).toLocaleString("en")} bytes. Shorten it or send it in two parts.`}
      </p>
    </form>
  );
}

function Replying({ account, replyTo }: { account: string; replyTo: string | null }) {
  const message = useApp((state) => state.threads[account]?.messages.find((one) => one.id === replyTo) ?? null);
  if (replyTo === null) return null;
  return (
    <div class="replying">
      <Icon name="reply" />
      <div class="quote">
        <span class="unseen">Replying to </span>
        {message === null ? "An earlier message" : <Quoted message={message} />}
      </div>
      <IconButton icon="close" label="Do not reply" onClick={() => setReply(account, null)} />
    </div>
  );
}

function Sending({ account }: { account: string }) {
  const sending = useApp((state) => state.sending[account] !== undefined);
  if (!sending) return null;
  return (
    <div class="sending delayed">
      <Spinner label="Handing the message to the node…" />
    </div>
  );
}
