// Where messages wait while the person is away: chosen, shown with their state, given up.

import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, MAILBOX_UNSURE } from "../../api/client";
import type { ChosenMailbox, Days, Mailbox } from "../../api/types";
import { chooseMailboxes, loadMailboxes } from "../../actions/mailboxes";
import { announce } from "../../actions/notices";
import {
  daysWords,
  MAILBOXES_MAX,
  mailboxState,
  STATE_WORDS,
  summary,
  troubleWords,
  withOneMore,
  withoutOne,
} from "../../model/mailboxes";
import { Action, IconButton, Problem, Sentence, Spinner } from "../controls";
import type { Opened } from "../dialogs";
import { Icon } from "../icons";
import { useApp } from "../use-app";
import { Dialog } from "./dialog";
import { useTask } from "./use-task";

/** The part of the settings that leads here. */
export function MailboxSummary({ onOpen }: { onOpen: (dialog: Opened) => void }) {
  const mailboxes = useApp((state) => state.mailboxes);
  return (
    <section aria-labelledby="mailbox">
      <h3 id="mailbox">Mailbox</h3>
      {mailboxes === null ? <Spinner label="Asking the node…" /> : <p>{summary(mailboxes)}</p>}
      <div class="actions">
        <Action onClick={() => onOpen({ kind: "mailboxes" })}>
          {mailboxes?.length === 0 ? "Choose a mailbox…" : "Mailbox…"}
        </Action>
      </div>
    </section>
  );
}

export function Mailboxes({ onClose }: { onClose: () => void }) {
  const mailboxes = useApp((state) => state.mailboxes);
  const { problem, run } = useTask();
  useEffect(() => run(loadMailboxes), []);
  return (
    <Dialog title="Mailbox" onClose={onClose}>
      <p>
        A mailbox is a server that keeps messages for you while all your devices are away, for a day or a week. It
        cannot read them, and does not know who you are or who writes to you.
      </p>
      <p class="soft">
        It sees network addresses, when something is left or fetched, and roughly how large it is. Your choice counts
        for all your devices; contacts learn it by themselves.
      </p>
      <Problem text={problem} />
      {mailboxes === null ? problem === null && <Spinner label="Asking the node…" /> : <Chosen mailboxes={mailboxes} />}
    </Dialog>
  );
}

function Chosen({ mailboxes }: { mailboxes: Mailbox[] }) {
  const { busy, problem, run } = useTask();
  const heading = useRef<HTMLHeadingElement>(null);
  const remove = (url: string) =>
    run(async () => {
      await chooseMailboxes(withoutOne(mailboxes, url), false);
      announce("The mailbox was removed.");
      heading.current?.focus();
    });
  return (
    <>
      <section aria-labelledby="chosen-mailboxes">
        <h3 id="chosen-mailboxes" ref={heading} tabIndex={-1}>
          Your mailboxes
        </h3>
        {mailboxes.length === 0 && <p class="soft">None: messages to you wait until you are online together.</p>}
        {mailboxes.length > 0 && (
          <ul class="devices" aria-busy={busy}>
            {mailboxes.map((one) => (
              <Row key={one.url} mailbox={one} onRemove={() => remove(one.url)} />
            ))}
          </ul>
        )}
        <Problem text={problem} />
      </section>
      {mailboxes.length < MAILBOXES_MAX ? (
        <Add mailboxes={mailboxes} />
      ) : (
        <p class="soft">More than {MAILBOXES_MAX} cannot be chosen. Remove one to add another.</p>
      )}
    </>
  );
}

function Row({ mailbox, onRemove }: { mailbox: Mailbox; onRemove: () => void }) {
  const state = mailboxState(mailbox);
  const trouble = troubleWords(mailbox);
  return (
    <li class={`device mailbox-${state}`}>
      <Icon name={state === "trouble" ? "warning" : "mailbox"} />
      <div>
        <p class="device-name">
          <bdi>{mailbox.url}</bdi>
          <span class={state === "open" ? "tag tag-online" : "tag"}>{daysWords(mailbox.days)}</span>
        </p>
        <p class="device-standing" role="status">
          {STATE_WORDS[state]}
          {trouble !== null && (
            <>
              : <Sentence text={trouble} />
            </>
          )}
        </p>
      </div>
      <IconButton icon="trash" label={`Remove ${mailbox.url}`} onClick={onRemove} />
    </li>
  );
}

function Add({ mailboxes }: { mailboxes: Mailbox[] }) {
  const [url, setUrl] = useState("");
  const [access, setAccess] = useState("");
  const [days, setDays] = useState<Days>(7);
  const [unsure, setUnsure] = useState(false);
  const { busy, problem, run } = useTask();
  const field = useRef<HTMLInputElement>(null);

  const choose = (list: ChosenMailbox[], force: boolean) =>
    run(async () => {
      setUnsure(false);
      try {
        await chooseMailboxes(list, force);
      } catch (error) {
        setUnsure(error instanceof ApiError && error.code === MAILBOX_UNSURE);
        throw error;
      }
      announce("The mailbox was added.");
      setUrl("");
      setAccess("");
      field.current?.focus();
    });
  const add = (force: boolean) => choose(withOneMore(mailboxes, { url, days, access }), force);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (url.trim() !== "") add(false);
  };
  const typed = (set: (text: string) => void) => (event: Event & { currentTarget: HTMLInputElement }) => {
    setUnsure(false);
    set(event.currentTarget.value);
  };

  return (
    <form onSubmit={submit} aria-labelledby="add-mailbox">
      <h3 id="add-mailbox">Add a mailbox</h3>
      <label class="field">
        <span>Address</span>
        <input
          ref={field}
          value={url}
          inputMode="url"
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          aria-required="true"
          onInput={typed(setUrl)}
        />
        <small>Such as https://mail.example.org. Who runs it tells you.</small>
      </label>
      <label class="field">
        <span>
          Access word <em>optional</em>
        </span>
        <input value={access} autocomplete="off" autocapitalize="off" spellcheck={false} onInput={typed(setAccess)} />
        <small>Only where a mailbox is not open to everybody.</small>
      </label>
      <fieldset class="choices">
        <legend>How long messages are kept</legend>
        <Keep days={7} chosen={days} onChoose={setDays}>
          For most people.
        </Keep>
        <Keep days={1} chosen={days} onChoose={setDays}>
          Less is there to be taken, and less time to fetch it.
        </Keep>
      </fieldset>
      <Problem text={problem} />
      <div class="actions">
        <Action kind="primary" submit busy={busy} disabled={url.trim() === ""}>
          Add mailbox
        </Action>
        {unsure && (
          <Action busy={busy} onClick={() => add(true)}>
            Add it all the same
          </Action>
        )}
      </div>
    </form>
  );
}

type KeepProps = { days: Days; chosen: Days; onChoose: (days: Days) => void; children: string };

function Keep({ days, chosen, onChoose, children }: KeepProps) {
  return (
    <label class="choice">
      <input type="radio" name="days" value={days} checked={days === chosen} onChange={() => onChoose(days)} />
      <span>{daysWords(days)}</span>
      <small>{children}</small>
    </label>
  );
}
