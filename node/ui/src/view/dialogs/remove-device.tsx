// Trusts a device no longer.

import { useState } from "preact/hooks";
import type { Device } from "../../api/types";
import { untrustDevice } from "../../actions/account";
import { deviceName, typedMoment } from "../../model/devices";
import { Action, Problem } from "../controls";
import { Dialog } from "./dialog";
import { Passphrase } from "./passphrase";
import { useTask } from "./use-task";

type Why = "removed" | "stolen";

export function RemoveDevice({ device, onClose }: { device: Device; onClose: () => void }) {
  const [why, setWhy] = useState<Why>("removed");
  const [since, setSince] = useState("");
  const [passphrase, setPassphrase] = useState("");
  const { busy, problem, run } = useTask();
  const name = deviceName(device);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const moment = why === "stolen" ? typedMoment(since) : undefined;
    run(async () => {
      await untrustDevice(device.device, { why, passphrase, ...(moment !== undefined && { since: moment }) });
      onClose();
    });
  };
  return (
    <Dialog title="Remove device" onClose={onClose}>
      <form onSubmit={submit}>
        <fieldset class="choices">
          <legend>
            Why should <bdi>{name}</bdi> no longer be yours?
          </legend>
          <Choice value="removed" chosen={why} onChoose={setWhy} label="I do not use it any more">
            Sold, given away or broken. It is locked at once; what it wrote until now stays.
          </Choice>
          <Choice value="stolen" chosen={why} onChoose={setWhy} label="It was stolen or lost">
            Somebody else may have it. It is locked at once, and you can say from when on it is not believed.
          </Choice>
        </fieldset>
        {why === "stolen" && (
          <label class="field">
            <span>
              Since when? <em>optional</em>
            </span>
            <input type="datetime-local" value={since} onInput={(event) => setSince(event.currentTarget.value)} />
            <small>What it wrote since then is not believed. Without a time: from now on.</small>
          </label>
        )}
        <p class="soft">
          If a majority of your trusted devices says so, it erases its keys and messages and never comes back. Until
          then it can answer; if it does, both are frozen and your recovery words decide.
        </p>
        <Passphrase typed={passphrase} onType={setPassphrase} />
        <Problem text={problem} />
        <div class="actions">
          <Action kind="danger" submit busy={busy}>
            Remove device
          </Action>
          <Action onClick={onClose}>Keep it</Action>
        </div>
      </form>
    </Dialog>
  );
}

type ChoiceProps = { value: Why; chosen: Why; onChoose: (why: Why) => void; label: string; children: string };

function Choice({ value, chosen, onChoose, label, children }: ChoiceProps) {
  return (
    <label class="choice">
      <input type="radio" name="why" value={value} checked={value === chosen} onChange={() => onChoose(value)} />
      <span>{label}</span>
      <small>{children}</small>
    </label>
  );
}
