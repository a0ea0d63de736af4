// Adds a person by their link.

import { useState } from "preact/hooks";
import { ApiError } from "../../api/client";
import { add } from "../../actions/contacts";
import { Action, Problem } from "../controls";
import { Dialog } from "./dialog";
import { useTask } from "./use-task";

export function AddContact({ onClose }: { onClose: () => void }) {
  const [link, setLink] = useState("");
  const [name, setName] = useState("");
  const [greeting, setGreeting] = useState("");
  const { busy, problem, run } = useTask();

  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    run(async () => {
      if (link.trim() === "") throw new ApiError(400, "no_link", "Paste their link first. It begins with “kith:”.");
      const optional = (text: string) => (text.trim() === "" ? undefined : text.trim());
      const [called, greeted] = [optional(name), optional(greeting)];
      await add({
        link: link.trim(),
        ...(called !== undefined && { name: called }),
        ...(greeted !== undefined && { greeting: greeted }),
      });
      onClose();
    });
  };

  return (
    <Dialog title="Add contact" onClose={onClose}>
      <form onSubmit={submit}>
        <label class="field">
          <span>Their link</span>
          <textarea
            data-first
            class="code"
            rows={3}
            value={link}
            spellcheck={false}
            autocomplete="off"
            aria-required="true"
            onInput={(event) => setLink(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key !== "Enter" || event.isComposing) return;
              // A link is one line.
              event.preventDefault();
              event.currentTarget.form?.requestSubmit();
            }}
          />
          <small>It begins with “kith:”. They find it under “My link”.</small>
        </label>
        <label class="field">
          <span>
            Name <em>optional</em>
          </span>
          <input value={name} autocomplete="off" dir="auto" onInput={(event) => setName(event.currentTarget.value)} />
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
            onInput={(event) => setGreeting(event.currentTarget.value)}
          />
          <small>They read it with your request, before they accept.</small>
        </label>
        <p class="soft">
          A link can be exchanged on its way. The contact stays “Not validated” until you have checked with the person
          that the account is theirs.
        </p>
        <Problem text={problem} />
        <div class="actions">
          <Action kind="primary" submit busy={busy}>
            Add contact
          </Action>
          <Action onClick={onClose}>Cancel</Action>
        </div>
      </form>
    </Dialog>
  );
}
