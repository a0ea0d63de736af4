// Calls a device something.

import { useState } from "preact/hooks";
import type { Device } from "../../api/types";
import { renameDevice } from "../../actions/account";
import { Action, Problem } from "../controls";
import { Dialog } from "./dialog";
import { useTask } from "./use-task";

export function RenameDevice({ device, onClose }: { device: Device; onClose: () => void }) {
  const [typed, setTyped] = useState(device.name ?? "");
  const { busy, problem, run } = useTask();
  const changed = typed.trim() !== "" && typed.trim() !== device.name;
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (!changed) return;
    run(async () => {
      await renameDevice(device.device, typed.trim());
      onClose();
    });
  };
  return (
    <Dialog title="Rename device" onClose={onClose}>
      <form onSubmit={submit}>
        <label class="field">
          <span>Name</span>
          <input
            data-first
            value={typed}
            autocomplete="off"
            dir="auto"
            onInput={(event) => setTyped(event.currentTarget.value)}
          />
          <small>All your devices show it. Contacts never learn it.</small>
        </label>
        <Problem text={problem} />
        <div class="actions">
          <Action kind="primary" submit busy={busy} disabled={!changed}>
            Save name
          </Action>
          <Action onClick={onClose}>Cancel</Action>
        </div>
      </form>
    </Dialog>
  );
}
