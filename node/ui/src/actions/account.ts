// Acts on the person's own account and devices.

import * as api from "../api/client";
import type { Account, Guest } from "../api/types";
import { afterWord, ending, newCode } from "../model/code";
import { cut } from "../model/devices";
import { INITIAL } from "../model/state";
import { current, update } from "../model/store";

/** Numbers the questions: an answer that a later one has overtaken is old. */
let asked = 0;

/** Numbers what is done with codes: one that comes when nobody waits for it any more is closed. */
let making = 0;

/** Whoever missed the event that told of the cut learns it here. */
function show(own: Account): void {
  const out = cut(own);
  if (out !== null) cutOff(out.isFinal);
  update((state) =>
    state.phase.kind === "open"
      ? { ...state, own, phase: { ...state.phase, name: own.name, account: own.account } }
      : state,
  );
}

/** Runs a question whose answer is the account as it is now. */
async function take(question: Promise<Account>): Promise<void> {
  const turn = ++asked;
  const own = await question;
  if (turn === asked) show(own);
}

export const loadAccount = () => take(api.account());

export async function loadGuest(): Promise<void> {
  const turn = making;
  const [[guest = null], { id }] = await Promise.all([api.pendingDevices(), api.shownCode()]);
  // An answer from before a code was made says nothing of it; the event does.
  if (turn === making) guestChanged(guest, id);
}

/** Which device wants to join now, and which code serves. */
export const guestChanged = (guest: Guest | null, code: string | null) =>
  update((state) => ({ ...state, guest, code: state.code && afterWord(state.code, guest, code) }));

/** Makes a code for one new device. */
export async function makeCode(): Promise<void> {
  const turn = ++making;
  const made = await api.linkDevice();
  if (turn !== making) return close(made.id);
  making++;
  update((state) => ({ ...state, guest: null, code: newCode(made, state.own, Date.now()) }));
}

/**
 * The code is void from now on, also if the node cannot be told: it then ends by itself. One that was
 * used is left alone: it serves the device that it was used for, should that have missed the answer.
 */
export function dropCode(): void {
  making++;
  const { code, own } = current();
  update((state) => ({ ...state, guest: null, code: null }));
  if (code !== null && ending(code, own, Date.now())?.kind !== "used") close(code.id);
}

/** Another code is left alone, however late this comes. */
const close = (id: string) => void api.closeLink(id).catch(() => {});

/** The code has served, for the device that was confirmed here. */
export const keepCode = () => update((state) => ({ ...state, guest: null, code: null }));

export const confirmDevice = (check: string, passphrase: string) => take(api.confirmDevice(check, passphrase));
export const renameDevice = (device: string, name: string) => take(api.renameDevice(device, name));
export const untrustDevice = (device: string, untrust: api.Untrust) => take(api.untrustDevice(device, untrust));
export const settleDevices = (devices: string[], passphrase: string) => take(api.settleDevices(devices, passphrase));
export const recoverAccount = (recover: api.Recover) => take(api.recoverAccount(recover));

/** The node ends, for others hold this device to be lost: nothing stays on the screen. */
export function cutOff(isFinal: boolean): void {
  if (current().phase.kind === "cut_off") return;
  update(() => ({ ...INITIAL, phase: { kind: "cut_off", isFinal } }));
}
