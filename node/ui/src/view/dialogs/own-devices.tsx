// The person's devices, as a part of the settings.

import type { Account, Device } from "../../api/types";
import { absorbedWords, agreement, deviceName, divided, mergingWords, standingWords } from "../../model/devices";
import { counted } from "../../model/words";
import { Action, Sentence, Spinner } from "../controls";
import type { Opened } from "../dialogs";
import { Icon } from "../icons";
import { Menu, type MenuItem } from "../menu";
import { useApp } from "../use-app";
import { LeftOut } from "./agree";

type Props = { onOpen: (dialog: Opened) => void };

export function OwnDevices({ onOpen }: Props) {
  const own = useApp((state) => state.own);
  return (
    <section aria-labelledby="devices">
      <h3 id="devices">Your devices</h3>
      {own === null ? <Spinner label="Asking the node…" /> : <Listed own={own} onOpen={onOpen} />}
    </section>
  );
}

function Listed({ own, onOpen }: Props & { own: Account }) {
  const { standing, former } = divided(own);
  const absorbed = absorbedWords(own);
  const merging = mergingWords(own);
  return (
    <>
      <p class="soft">All of them are equal, and none shares its keys with another one.</p>
      {absorbed !== null && <p>{absorbed}</p>}
      {merging !== null && (
        <p class="agree">
          <span>
            <Sentence text={merging} />
          </span>
        </p>
      )}
      <ul class="devices">
        {standing.map((one) => (
          <Row key={one.device} device={one} onOpen={onOpen} />
        ))}
      </ul>
      <Agree own={own} onOpen={onOpen} />
      <div class="actions">
        <Action kind="primary" onClick={() => onOpen({ kind: "add-device" })}>
          Add a device
        </Action>
      </div>
      {former.length > 0 && (
        <details class="former">
          <summary>
            <Icon name="chevron" />
            No longer yours ({former.length})
          </summary>
          <ul class="devices">
            {former.map((one) => (
              <Row key={one.device} device={one} onOpen={onOpen} />
            ))}
          </ul>
        </details>
      )}
    </>
  );
}

function Row({ device, onOpen }: Props & { device: Device }) {
  const name = deviceName(device);
  const former = device.standing === "former";
  const items: MenuItem[] = [
    { label: "Rename", icon: "pen", onPick: () => onOpen({ kind: "rename-device", device: device.device }) },
  ];
  if (!device.is_this && !(former && device.is_final)) {
    const onPick = () => onOpen({ kind: "remove-device", device: device.device });
    items.push({ label: "Remove device…", icon: "trash", danger: true, onPick });
  }
  return (
    <li class={`device device-${device.standing}`}>
      <Icon name="device" />
      <div>
        <p class="device-name">
          <bdi>{name}</bdi>
          {device.is_this && <span class="tag">This device</span>}
          {!device.is_this && !former && (
            <span class={device.online ? "tag tag-online" : "tag"}>{device.online ? "Online" : "Not reachable now"}</span>
          )}
        </p>
        <p class="device-standing">{standingWords(device)}</p>
      </div>
      <Menu label={`What to do with ${name}`} items={items} />
    </li>
  );
}

function Agree({ own, onOpen }: Props & { own: Account }) {
  const next = agreement(own);
  if (next.kind === "none") return null;
  if (next.kind === "waiting") {
    return (
      <div class="agree">
        <p>
          You agreed here that these decide: <bdi>{next.devices.join(", ")}</bdi>.{" "}
          {counted(next.more, "more device", "more devices")} of yours must agree to the same: open Kith there, and its
          settings.
        </p>
        <LeftOut names={next.leftOut} />
      </div>
    );
  }
  if (next.kind === "stuck") {
    return (
      <div class="agree">
        <p>
          {next.devices.length > 0 ? (
            <>
              You agreed here that these decide: <bdi>{next.devices.join(", ")}</bdi>. That cannot come about any more.
            </>
          ) : (
            "Too many of your devices are out or have agreed to something else: they cannot agree any more."
          )}{" "}
          Your recovery words begin anew.
        </p>
        <div class="actions">
          <Action onClick={() => onOpen({ kind: "recover-account" })}>Decide with the words</Action>
        </div>
      </div>
    );
  }
  return (
    <div class="agree">
      <p>A device was added. Until your trusted devices agree, it can do everything but decide about devices.</p>
      <div class="actions">
        <Action onClick={() => onOpen({ kind: "agree" })}>Agree…</Action>
      </div>
    </div>
  );
}
