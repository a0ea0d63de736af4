// Deletes on the person's own devices. Others keep what they have.

import * as api from "../api/client";
import { current } from "../model/store";
import { setReply } from "./drafts";
import { rewritten } from "./threads";

export async function deleteMessage(account: string, id: string): Promise<void> {
  await api.deleteMessages(account, [id]);
  if (current().drafts[account]?.replyTo === id) setReply(account, null);
  await rewritten(account);
}

export async function clearConversation(account: string, passphrase: string): Promise<void> {
  await api.clearConversation(account, { passphrase });
  setReply(account, null);
  await rewritten(account);
}
