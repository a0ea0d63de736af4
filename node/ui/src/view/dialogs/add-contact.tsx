// Adds a person by their link, or looks for them by their id.

import { useState } from "preact/hooks";
import { ApiError, NO_BOOTSTRAP } from "../../api/client";
import { add } from "../../actions/contacts";
import { lookFor } from "../../actions/finding";
import { idIn } from "../../model/finding";
import { Action, Problem } from "../controls";
import type { Opened } from "../dialogs";
import { Dialog } from "./dialog";
import { useTask } from "./use-task";

export type TypedContact = { link: string; name: string; greeting: string };

const NOTHING: TypedContact = { link: "", name: "", greeting: "" };

type Props = { typed?: TypedContact | undefined; onOpen: (dialog: Opened) => void; onClose: () => void };

export function AddContact({ typed: before = NOTHING, onOpen, onClose }: Props) {
  const [typed, setTyped] = useState(before);
  const [lacking, setLacking] = useState(false);
  const { busy, problem, run } = useTask();
  const { link, name, greeting } = typed;
  const id = idIn(link);
  const type = (change: Partial<TypedContact>) => {
    setLacking(false);
    setTyped((before) => ({ ...before, ...change }));
  };

  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    run(async () => {
      if (link.trim() === "") throw new ApiError(400, "no_link", "Paste their link first. It begins with “kith:”.");
      const [called, greeted] = [name.trim(), greeting.trim()];
      const told = { ...(called !== "" && { name: called }), ...(greeted !== "" && { greeting: greeted }) };
      try {
        await (id === null ? add({ link: link.trim(), ...told }) : lookFor({ id, ...told }));
      } catch (error) {
        setLacking(error instanceof ApiError && error.code === NO_BOOTSTRAP);
        throw error;
      }
      onClose();
    });
  };

  return (
    <Dialog title="Add contact" onClose={onClose}>
      <form onSubmit={submit}>
        <label class="field">
          <span>Their link or id</span>
          <textarea
            data-first
            class="code"
            rows={3}
            value={link}
            spellcheck={false}
            autocomplete="off"
            aria-required="true"
            onInput={(event) => type({ link: event.currentTarget.value })}
            onKeyDown={(event) => {
              if (event.key !== "Enter" || event.isComposing) return;
              // A link is one line.
              event.preventDefault();
              event.currentTarget.form?.requestSubmit();
            }}
          />
          <small>The link begins with “kith:”, the id alone with “kith1”. They find both under “My link”.</small>
        </label>
        <label class="field">
          <span>
            Name <em>optional</em>
          </span>
          <input
            value={name}
            autocomplete="off"
            dir="auto"
            onInput={(event) => type({ name: event.currentTarget.value })}
          />
          <small>What you call them. Only you see it.</small>
        </label>
        <label class="field">
          <span>
            Greeting <em>optional</em>
          </span>
          <input
            value={greeting}
            autocomplete="off"
            dir="auto"
            onInput={(event) => type({ greeting: event.currentTarget.value })}
          />
          <small>They read it with your request, before they accept.</small>
        </label>
        <div role="status" class="what-follows">
          {id !== null && (
            <p>
              <strong>This is an id alone.</strong> Kith looks for them, and asks them once one of their devices is
              found. Their link is faster, and works without bootstraps.
            </p>
          )}
        </div>
        <p class="soft">
          {id === null ? "A link" : "An id"} can be exchanged on its way. The contact stays “Not validated” until you
          have checked with the person that the account is theirs.
        </p>
        <Problem text={problem} />
        <div class="actions">
          <Action kind="primary" submit busy={busy}>
            {id === null ? "Add contact" : "Look for them"}
          </Action>
          {lacking && (
            <Action onClick={() => onOpen({ kind: "finding", back: { kind: "add", typed } })}>
              Choose a bootstrap…
            </Action>
          )}
          <Action onClick={onClose}>Cancel</Action>
        </div>
      </form>
    </Dialog>
  );
}
