// Agrees that the added devices decide too.

import { useState } from "preact/hooks";
import { settleDevices } from "../../actions/account";
import { agreement, deviceName } from "../../model/devices";
import { Action, Problem } from "../controls";
import { useApp } from "../use-app";
import { Dialog } from "./dialog";
import { Passphrase } from "./passphrase";
import { useTask } from "./use-task";

/** Whom a list puts out that belongs until then. */
export function LeftOut({ names }: { names: string[] }) {
  if (names.length === 0) return null;
  return (
    <p>
      Not on this list: <bdi>{names.join(", ")}</bdi>. Once it is decided, add anew what is to stay.
    </p>
  );
}

export function Agree({ onClose }: { onClose: () => void }) {
  const own = useApp((state) => state.own);
  const [passphrase, setPassphrase] = useState("");
  const { busy, problem, run } = useTask();
  const next = own === null ? null : agreement(own);
  const named = next?.kind === "open" ? next.devices : [];
  const leftOut = next?.kind === "open" ? next.leftOut : [];
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    run(async () => {
      await settleDevices(
        named.map((one) => one.device),
        passphrase,
      );
      onClose();
    });
  };
  return (
    <Dialog title="Agree" onClose={onClose}>
      <form onSubmit={submit}>
        <p>From now on these decide together, by majority, which devices are yours:</p>
        <ul class="named">
          {named.map((one) => (
            <li key={one.device}>
              <bdi>{deviceName(one)}</bdi>
              {one.is_this && <span class="soft"> (this device)</span>}
            </li>
          ))}
        </ul>
        <LeftOut names={leftOut} />
        <p class="soft">Agree only if you know all of them and have them in your hands.</p>
        <Passphrase first typed={passphrase} onType={setPassphrase} />
        <Problem text={problem} />
        <div class="actions">
          <Action kind="primary" submit busy={busy} disabled={named.length === 0}>
            Agree
          </Action>
          <Action onClick={onClose}>Not now</Action>
        </div>
      </form>
    </Dialog>
  );
}
