// Acts on where messages wait while the person is away.

import * as api from "../api/client";
import type { ChosenMailbox, Mailbox } from "../api/types";
import { current, update } from "../model/store";
import { attempt } from "./problems";

/** Numbers the questions: an answer that a later one has overtaken is old. */
let asked = 0;

/** Runs a question whose answer is the mailboxes as they are now. */
async function take(question: Promise<Mailbox[]>): Promise<void> {
  const turn = ++asked;
  const mailboxes = await question;
  if (turn === asked) update((state) => (state.phase.kind === "open" ? { ...state, mailboxes } : state));
}

export const loadMailboxes = () => take(api.mailboxes());

export const chooseMailboxes = (mailboxes: ChosenMailbox[], force: boolean) =>
  take(api.chooseMailboxes(mailboxes, force));

/** Whoever has looked at the mailboxes is told of what changes. */
export function mailboxesChanged(): void {
  if (current().mailboxes !== null) void attempt(loadMailboxes);
}
