// What is known about a contact, and what can be done about it.

import { useState } from "preact/hooks";
import type { Contact } from "../../api/types";
import { change, remove, rename } from "../../actions/contacts";
import { groupedAccount } from "../../model/contacts";
import { counted, presenceMeaning, presenceWords, VALIDITY_MEANING } from "../../model/words";
import { Action, CopyButton, Problem } from "../controls";
import { Person, Sign } from "../person";
import { Dialog } from "./dialog";
import { useTask } from "./use-task";

type Props = { contact: Contact; onClose: () => void };

export function ContactDetails({ contact, onClose }: Props) {
  const { name, account, validity, devices, online } = contact;
  const meaning = presenceMeaning(contact);
  return (
    <Dialog title="Contact" onClose={onClose}>
      <div class="details-who">
        <Sign name={name} account={account} online={online} />
        <div>
          <Person name={name} validity={validity} />
          <p class="soft">
            {presenceWords(contact)} · {counted(devices.length, "device", "devices")}
          </p>
        </div>
      </div>
      {meaning !== null && <p class="soft">{meaning}</p>}
      <p class={`meaning meaning-${validity}`}>{VALIDITY_MEANING[validity]}</p>
      <section aria-labelledby="account">
        <h3 id="account">Account</h3>
        <p class="account">
          {groupedAccount(account).map((group, at) => (
            <span key={at}>{group}</span>
          ))}
        </p>
        <div class="actions">
          <CopyButton text={account} label="Copy account" />
        </div>
      </section>
      <Name contact={contact} />
      <Ending contact={contact} onClose={onClose} />
    </Dialog>
  );
}

function Name({ contact: { account, name } }: { contact: Contact }) {
  const [typed, setTyped] = useState(name);
  const { busy, problem, run } = useTask();
  const changed = typed.trim() !== "" && typed.trim() !== name;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (changed) run(() => rename(account, typed.trim()));
      }}
    >
      <label class="field">
        <span>What you call them</span>
        <input value={typed} autocomplete="off" dir="auto" onInput={(event) => setTyped(event.currentTarget.value)} />
      </label>
      <Problem text={problem} />
      <div class="actions">
        <Action submit busy={busy} disabled={!changed}>
          Save name
        </Action>
      </div>
    </form>
  );
}

function Ending({ contact: { account, status }, onClose }: Props) {
  const [asking, setAsking] = useState(false);
  const { busy, problem, run } = useTask();
  const blocked = status === "blocked";
  const removeNow = () =>
    run(async () => {
      await remove(account);
      onClose();
    });
  return (
    <section aria-labelledby="ending">
      <h3 id="ending">Block or remove</h3>
      <p class="soft">
        Blocking stops messages both ways and can be undone. Removing takes the contact out of your list; to write
        again, one of you needs the other’s link or id.
      </p>
      <Problem text={problem} />
      <div class="actions">
        <Action busy={busy && !asking} onClick={() => run(() => change(account, blocked ? "unblock" : "block"))}>
          {blocked ? "Unblock" : "Block"}
        </Action>
        {asking ? (
          <>
            <Action kind="danger" busy={busy} onClick={removeNow}>
              Yes, remove
            </Action>
            <Action onClick={() => setAsking(false)}>Keep</Action>
          </>
        ) : (
          <Action kind="danger" onClick={() => setAsking(true)}>
            Remove…
          </Action>
        )}
      </div>
    </section>
  );
}
