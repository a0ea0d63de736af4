// Asks before a message is deleted.

import type { Contact } from "../../api/types";
import { deleteMessage } from "../../actions/deleting";
import { preview } from "../../model/texts";
import { Action, Problem } from "../controls";
import { useApp } from "../use-app";
import { Dialog } from "./dialog";
import { useTask } from "./use-task";

type Props = { contact: Contact; id: string; onClose: () => void };

export function DeleteMessage({ contact: { account, name }, id, onClose }: Props) {
  const message = useApp((state) => state.threads[account]?.messages.find((one) => one.id === id) ?? null);
  const { busy, problem, run } = useTask();
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    run(async () => {
      await deleteMessage(account, id);
      onClose();
    });
  };
  return (
    <Dialog title="Delete this message?" onClose={onClose}>
      <form onSubmit={submit}>
        {message !== null && (
          <blockquote class="greeting" dir="auto">
            {preview(message.text)}
          </blockquote>
        )}
        <p>
          It is deleted on your devices only. <bdi>{name}</bdi> keeps it.
        </p>
        <Problem text={problem} />
        <div class="actions">
          <Action kind="danger" submit busy={busy}>
            Delete on my devices
          </Action>
          <Action onClick={onClose}>Keep it</Action>
        </div>
      </form>
    </Dialog>
  );
}
