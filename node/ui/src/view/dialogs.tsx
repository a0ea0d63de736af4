// Which dialog is open.

import type { ComponentChildren } from "preact";
import type { Contact, Device } from "../api/types";
import { contactOf } from "../model/state";
import { AddContact, type TypedContact } from "./dialogs/add-contact";
import { AddDevice } from "./dialogs/add-device";
import { Agree } from "./dialogs/agree";
import { ClearConversation } from "./dialogs/clear-conversation";
import { ContactDetails } from "./dialogs/contact-details";
import { DeleteMessage } from "./dialogs/delete-message";
import { FindingEachOther } from "./dialogs/finding";
import { Mailboxes } from "./dialogs/mailboxes";
import { MyLink } from "./dialogs/my-link";
import { RecoverAccount } from "./dialogs/recover-account";
import { Recovery } from "./dialogs/recovery";
import { RemoveDevice } from "./dialogs/remove-device";
import { RenameDevice } from "./dialogs/rename-device";
import { Settings } from "./dialogs/settings";
import { useApp } from "./use-app";

export type Opened =
  | { kind: "link" | "settings" | "recovery" | "recover-account" | "add-device" | "agree" | "mailboxes" }
  | { kind: "add"; typed?: TypedContact }
  | { kind: "finding"; back: Opened }
  | { kind: "rename-device" | "remove-device"; device: string }
  | { kind: "details" | "clear"; account: string }
  | { kind: "delete"; account: string; id: string }
  | null;

type Props = { opened: Opened; onOpen: (dialog: Opened) => void };

export function Dialogs({ opened, onOpen }: Props) {
  const close = () => onOpen(null);
  const toSettings = () => onOpen({ kind: "settings" });
  switch (opened?.kind) {
    case undefined:
      return null;
    case "add":
      return <AddContact typed={opened.typed} onOpen={onOpen} onClose={close} />;
    case "link":
      return <MyLink onClose={close} />;
    case "settings":
      return <Settings onOpen={onOpen} onClose={close} />;
    case "recovery":
      return <Recovery onClose={close} />;
    case "recover-account":
      return <RecoverAccount onClose={close} />;
    case "add-device":
      return <AddDevice onClose={toSettings} />;
    case "agree":
      return <Agree onClose={toSettings} />;
    case "mailboxes":
      return <Mailboxes onClose={toSettings} />;
    case "finding":
      return <FindingEachOther onClose={() => onOpen(opened.back)} />;
    case "rename-device":
      return <Of device={opened.device}>{(device) => <RenameDevice device={device} onClose={toSettings} />}</Of>;
    case "remove-device":
      return <Of device={opened.device}>{(device) => <RemoveDevice device={device} onClose={toSettings} />}</Of>;
    case "details":
      return <With account={opened.account}>{(contact) => <ContactDetails contact={contact} onClose={close} />}</With>;
    case "clear":
      return <With account={opened.account}>{(contact) => <ClearConversation contact={contact} onClose={close} />}</With>;
    case "delete":
      return (
        <With account={opened.account}>
          {(contact) => <DeleteMessage contact={contact} id={opened.id} onClose={close} />}
        </With>
      );
  }
}

type WithProps = { account: string; children: (contact: Contact) => ComponentChildren };

function With({ account, children }: WithProps) {
  const contact = useApp((state) => contactOf(state, account));
  return contact === null ? null : <>{children(contact)}</>;
}

type OfProps = { device: string; children: (device: Device) => ComponentChildren };

function Of({ device, children }: OfProps) {
  const found = useApp((state) => state.own?.devices.find((one) => one.device === device));
  return found === undefined ? null : <>{children(found)}</>;
}
