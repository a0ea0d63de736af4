// Tells about a message that came in: to screen readers, and on the desktop when wished.

import type { Contact, Message } from "../api/types";
import { preview } from "../model/texts";
import { VALIDITY_WORD } from "../model/words";
import { update } from "../model/store";
import { select } from "./contacts";

const KEY = "kith.notices";

export const supported = () => "Notification" in window;
export const wanted = () =>
  supported() && Notification.permission === "granted" && localStorage.getItem(KEY) === "on";

/** Switches notices on or off; answers whether they are on now. */
export async function want(on: boolean): Promise<boolean> {
  if (!on) localStorage.removeItem(KEY);
  else if ((await Notification.requestPermission()) === "granted") localStorage.setItem(KEY, "on");
  return wanted();
}

/** The same words twice are read twice only when the text differs. */
export const announce = (words: string) =>
  update((state) => ({ ...state, announcement: state.announcement === words ? `${words}\u00A0` : words }));

function notify(contact: Contact): void {
  if (!wanted() || document.hasFocus()) return;
  try {
    const notice = new Notification(`New message from ${contact.name}`, {
      body: VALIDITY_WORD[contact.validity],
      tag: contact.account,
    });
    notice.onclick = () => {
      window.focus();
      notice.close();
      select(contact.account);
    };
  } catch {
    // Some phones have the interface but let only service workers use it.
  }
}

export function tell(contact: Contact, message: Message, shown: boolean): void {
  if (contact.status === "blocked" || message.author.me) return;
  const from = `${contact.name}, ${VALIDITY_WORD[contact.validity].toLowerCase()}`;
  announce(shown ? `${from}: ${preview(message.text)}` : `New message from ${from}`);
  if (contact.status !== "pending") notify(contact);
}
