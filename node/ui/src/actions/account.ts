// Acts on the person's own account and devices.

import * as api from "../api/client";
import type { Account, Guest } from "../api/types";
import { afterEvent, afterLook, ending, newCode } from "../model/code";
import { cut } from "../model/devices";
import { INITIAL } from "../model/state";
import { current, update } from "../model/store";

/** Numbers the questions: an answer that a later one has overtaken is old. */
let asked = 0;

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
  const [guest = null] = await api.pendingDevices();
  update((state) => ({ ...state, guest, code: state.code && afterLook(state.code, guest, Date.now()) }));
}

/** The node tells by itself which device wants to join now. */
export const guestChanged = (guest: Guest | null) =>
  update((state) => ({ ...state, guest, code: state.code && afterEvent(state.code, guest, Date.now()) }));

/** What is asked about codes, one after the other: an end that comes late would end the next code. */
let codes: Promise<unknown> = Promise.resolve();

function inTurn<T>(question: () => Promise<T>): Promise<T> {
  const answer = codes.then(question);
  codes = answer.catch(() => {});
  return answer;
}

/** Makes a code for one new device. */
export const makeCode = () =>
  inTurn(async () => {
    const { code } = await api.linkDevice();
    update((state) => ({ ...state, guest: null, code: newCode(code, state.own, Date.now()) }));
  });

/**
 * The code is void from now on, also if the node cannot be told: it then ends by itself. One that was
 * used is left alone: it serves the device that it was used for, should that have missed the answer.
 */
export const dropCode = () =>
  void inTurn(async () => {
    const { code, own } = current();
    update((state) => ({ ...state, guest: null, code: null }));
    if (code === null || ending(code, own, Date.now())?.kind !== "used") await api.closeLink();
  }).catch(() => {});

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
