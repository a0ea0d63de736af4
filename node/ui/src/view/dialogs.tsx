// Which dialog is open.

import { useApp } from "./use-app";
import { AddContact } from "./dialogs/add-contact";
import { ContactDetails } from "./dialogs/contact-details";
import { MyLink } from "./dialogs/my-link";
import { Recovery } from "./dialogs/recovery";
import { Settings } from "./dialogs/settings";
import { contactOf } from "../model/state";

export type Opened =
  | { kind: "add" }
  | { kind: "link" }
  | { kind: "settings" }
  | { kind: "recovery" }
  | { kind: "details"; account: string }
  | null;

type Props = { opened: Opened; onClose: () => void };

export function Dialogs({ opened, onClose }: Props) {
  switch (opened?.kind) {
    case undefined:
      return null;
    case "add":
      return <AddContact onClose={onClose} />;
    case "link":
      return <MyLink onClose={onClose} />;
    case "settings":
      return <Settings onClose={onClose} />;
    case "recovery":
      return <Recovery onClose={onClose} />;
    case "details":
      return <Details account={opened.account} onClose={onClose} />;
  }
}

function Details({ account, onClose }: { account: string; onClose: () => void }) {
  const contact = useApp((state) => contactOf(state, account));
  return contact === null ? null : <ContactDetails contact={contact} onClose={onClose} />;
}
