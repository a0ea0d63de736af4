// Says that one's own devices need a decision, above everything else.

import { type Alarm, alarm } from "../model/devices";
import { Action } from "./controls";
import type { Opened } from "./dialogs";
import { Icon } from "./icons";
import { useApp } from "./use-app";

type Props = { onOpen: (dialog: Opened) => void };

const HAPPENED: Record<NonNullable<Alarm>, string> = {
  disputed: "Your devices accuse each other.",
  frozen: "Your account is frozen.",
};

const TO_DO: Record<NonNullable<Alarm>, string> = {
  disputed:
    "Those that do are frozen, and your contacts are warned. If more than half of your trusted devices are left, " +
    "remove the wrong one on each of them; else decide with your recovery words.",
  frozen:
    "Your devices, or two people with your recovery words, have decided two ways at once. Only your recovery words " +
    "can say now which devices are yours.",
};

export function AlarmBanner({ onOpen }: Props) {
  const kind = useApp((state) => alarm(state.own));
  if (kind === null) return null;
  return (
    <section class="recovery-banner alarm" role="alert" aria-label="Your devices">
      <Icon name="warning" />
      <p>
        <strong>{HAPPENED[kind]}</strong> {TO_DO[kind]}
      </p>
      <div class="actions">
        <Action kind="primary" onClick={() => onOpen({ kind: "recover-account" })}>
          Decide with the words
        </Action>
        <Action onClick={() => onOpen({ kind: "settings" })}>Your devices</Action>
      </div>
    </section>
  );
}

/** In a conversation on a narrow screen, where the list with its banner is out of sight. */
export function AlarmStrip({ onOpen }: Props) {
  const kind = useApp((state) => alarm(state.own));
  if (kind === null) return null;
  return (
    <div class="strip strip-danger alarm-strip">
      <Icon name="warning" />
      <strong>{HAPPENED[kind]}</strong>
      <Action onClick={() => onOpen({ kind: "recover-account" })}>Decide</Action>
    </div>
  );
}
