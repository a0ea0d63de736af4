// Acts on how the person is found, and on who is looked for.

import * as api from "../api/client";
import type { ChangeFinding, Finding, Sought } from "../api/types";
import { shortAccount } from "../model/contacts";
import { current, update } from "../model/store";
import { putContact, select } from "./contacts";
import { announce } from "./notices";
import { attempt } from "./problems";

const isOpen = () => current().phase.kind === "open";

/** Numbers the questions: an answer that a later one has overtaken is old. */
let asked = 0;
let answered = 0;

async function take(question: Promise<Finding>): Promise<void> {
  const turn = ++asked;
  try {
    const finding = await question;
    if (turn === asked && isOpen()) update((state) => ({ ...state, finding }));
  } finally {
    answered++;
  }
}

export const loadFinding = () => take(api.finding());

export const changeFinding = (change: ChangeFinding) => take(api.changeFinding(change));

/** Looks again, as somebody is watching; not while the answer to something else is awaited. */
export async function lookAgain(): Promise<void> {
  if (asked === answered && document.visibilityState !== "hidden") await loadFinding().catch(() => {});
}

/** Other devices of the person may have chosen something else. */
export const findingChanged = () => void attempt(loadFinding);

/** Numbers the questions for whom is looked. */
let soughtAsked = 0;

/** Ids that this page has given up: they were not found. */
const givenUp = new Set<string>();

/** Ids that this page wants looked for: some are found before the first answer that names them. */
const wanted = new Set<string>();

async function takeSought(question: Promise<Sought[]>): Promise<Sought[]> {
  const turn = ++soughtAsked;
  const sought = await question;
  if (turn !== soughtAsked || !isOpen()) return sought;
  const before = new Set([...current().sought.map(({ id }) => id), ...wanted]);
  wanted.clear();
  update((state) => ({ ...state, sought }));
  for (const id of before) {
    if (!sought.some((one) => one.id === id) && !givenUp.has(id)) await found(id);
  }
  return sought;
}

/** Somebody is not looked for any more: they were found, unless another page has given them up. */
async function found(id: string): Promise<void> {
  try {
    const contact = await api.contact(id);
    putContact(contact);
    if (contact.status === "requested") announce(`${contact.name} was found. Your request waits for their answer.`);
  } catch (error) {
    if (!(error instanceof api.ApiError) || error.status !== 404) throw error;
  }
}

export const loadSought = async (): Promise<void> => void (await takeSought(api.sought()));

/** Looks for somebody. Who has asked us meanwhile is a contact at once. */
export async function lookFor(person: api.LookFor): Promise<void> {
  const { id } = person;
  givenUp.delete(id);
  wanted.add(id);
  const sought = await takeSought(api.lookFor(person)).catch((error: unknown) => {
    wanted.delete(id);
    if (!(error instanceof api.ApiError) || error.code !== api.NO_BOOTSTRAP) throw error;
    throw new api.ApiError(
      error.status,
      error.code,
      "Looking for somebody by an id alone needs a bootstrap. Choose one, or ask them for their whole link.",
    );
  });
  if (!sought.some((one) => one.id === id)) {
    putContact(await api.contact(id));
    select(id);
  } else if (!current().contacts?.some(({ account }) => account === id)) {
    announce(`Looking for ${person.name ?? shortAccount(id)}.`);
  }
}

export async function stopLooking(id: string): Promise<void> {
  givenUp.add(id);
  try {
    await api.stopLooking(id);
  } catch (error) {
    givenUp.delete(id);
    throw error;
  }
  update((state) => ({ ...state, sought: state.sought.filter((one) => one.id !== id) }));
  announce("Not looking any more.");
}
