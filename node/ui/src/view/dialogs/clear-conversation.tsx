// Asks before a whole conversation is deleted.

import { useState } from "preact/hooks";
import type { Contact } from "../../api/types";
import { clearConversation } from "../../actions/deleting";
import { Action, Problem } from "../controls";
import { Dialog } from "./dialog";
import { Passphrase } from "./passphrase";
import { useTask } from "./use-task";

type Props = { contact: Contact; onClose: () => void };

export function ClearConversation({ contact: { account, name }, onClose }: Props) {
  const [passphrase, setPassphrase] = useState("");
  const { busy, problem, run } = useTask();
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    run(async () => {
      await clearConversation(account, passphrase);
      onClose();
    });
  };
  return (
    <Dialog title="Clear this conversation?" onClose={onClose}>
      <form onSubmit={submit}>
        <p>
          All messages with <bdi>{name}</bdi> are deleted on your devices only. <bdi>{name}</bdi> keeps them, and stays
          your contact.
        </p>
        <p>
          Here they are erased at once. Your other devices hide them at once and erase them after a day, so that what a
          thief clears is not lost.
        </p>
        <Passphrase typed={passphrase} onType={setPassphrase} />
        <Problem text={problem} />
        <div class="actions">
          <Action kind="danger" submit busy={busy}>
            Clear conversation
          </Action>
          <Action onClick={onClose}>Keep it</Action>
        </div>
      </form>
    </Dialog>
  );
}
