// Acts on the person's own account and devices.

import * as api from "../api/client";
import type { Account } from "../api/types";
import { INITIAL } from "../model/state";
import { current, update } from "../model/store";

/** Numbers the questions: an answer that a later one has overtaken is old. */
let asked = 0;

const show = (own: Account) =>
  update((state) => ({
    ...state,
    own,
    phase: state.phase.kind === "open" ? { ...state.phase, name: own.name } : state.phase,
  }));

/** Runs a question whose answer is the account as it is now. */
async function take(question: Promise<Account>): Promise<void> {
  const turn = ++asked;
  const own = await question;
  if (turn === asked) show(own);
}

export const loadAccount = () => take(api.account());

export async function loadGuest(): Promise<void> {
  const [guest] = await api.pendingDevices();
  update((state) => ({ ...state, guest: guest ?? null }));
}

/** Makes a code for one new device. */
export async function makeCode(): Promise<string> {
  const { code } = await api.linkDevice();
  update((state) => ({ ...state, guest: null }));
  return code;
}

/** The code is void from now on, also if the node cannot be told: it then ends by itself. */
export function dropCode(): void {
  update((state) => ({ ...state, guest: null }));
  void api.closeLink().catch(() => {});
}

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
