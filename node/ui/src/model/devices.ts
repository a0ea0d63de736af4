// How the person's own devices stand, in words, and what can be done about them.

import type { Account, Device, FormerReason } from "../api/types";
import { counted } from "./words";

const FORMER: Record<FormerReason, string> = {
  removed: "Removed",
  stolen: "Removed as stolen",
  retired: "Has left by itself",
  left_out: "Left out when your devices were decided anew",
  with_inviter: "Out, together with the device that had added it",
};

/** Where a device stands, in a few plain words. */
export function standingWords({ standing, reason, is_final }: Device): string {
  switch (standing) {
    case "settled":
      return "Trusted, may decide";
    case "added":
      return "Waits for your other devices to agree";
    case "invited":
      return "Comes from an account that became part of this one; has not come over yet";
    case "disputed":
      return "Disputed: frozen until it is decided who is right";
    case "former": {
      const why = reason === null ? "Out" : FORMER[reason];
      return is_final ? why : `${why}; it can still answer`;
    }
  }
}

export const deviceName = ({ name, device }: Device) => name ?? `Device ${device.slice(0, 8)}`;

/** Whether a device speaks for the account. */
const belongs = ({ standing }: Device) => standing === "settled" || standing === "added";

/** Those that stand, this one first, and those that are out. */
export const divided = ({ devices }: Account) => ({
  standing: devices
    .filter((one) => one.standing !== "former")
    .sort((one, other) => Number(other.is_this) - Number(one.is_this)),
  former: devices.filter((one) => one.standing === "former"),
});

/** Whether the recovery words may keep a device: it stands, or one voice has put it out and it may still answer. */
export const mayStay = ({ standing, reason, is_final }: Device) =>
  standing !== "former" || (!is_final && reason !== "left_out" && reason !== "retired");

/** What this device can do about devices that were added but do not decide yet. Devices stand by their names. */
export type Agreement =
  | { kind: "none" }
  /** It may agree to exactly these. */
  | { kind: "open"; devices: Device[]; leftOut: string[] }
  /** It has agreed to these; so many more must. */
  | { kind: "waiting"; devices: string[]; leftOut: string[]; more: number }
  /** Nobody can agree any more: to the list that it has agreed to, or to any. */
  | { kind: "stuck"; devices: string[] };

export function agreement({ devices, proposals, to_settle, merging }: Account): Agreement {
  const own = devices.find((one) => one.is_this);
  if (own === undefined || own.standing !== "settled") return { kind: "none" };
  const on = (ids: string[]) => devices.filter((one) => ids.includes(one.device));
  const leftOut = (ids: string[]) =>
    devices.filter((one) => belongs(one) && !ids.includes(one.device)).map(deviceName);
  // Whoever signs two lists on one base is taken for a liar: one is enough.
  const signed = proposals.find((one) => one.signed.includes(own.device));
  if (signed !== undefined) {
    const named = on(signed.devices).map(deviceName);
    if (!signed.possible) return { kind: "stuck", devices: named };
    const more = Math.max(0, signed.needed - signed.signed.length);
    return { kind: "waiting", devices: named, leftOut: leftOut(signed.devices), more };
  }
  if (to_settle.length > 0) return { kind: "open", devices: on(to_settle), leftOut: leftOut(to_settle) };
  // What is said of a merge that waits is enough.
  return merging === null && devices.some((one) => one.standing === "added") ? { kind: "stuck", devices: [] } : { kind: "none" };
}

/** What the person must know about their account, and decide. */
export type Alarm = "disputed" | "frozen" | null;

export function alarm(account: Account | null): Alarm {
  if (account === null) return null;
  if (account.frozen) return "frozen";
  return account.disputed ? "disputed" : null;
}

/** Why nothing can be sent from this device; null while it speaks for the account. */
export function silence(account: Account | null): string | null {
  const own = account?.devices.find((one) => one.is_this);
  if (account === null || own === undefined || belongs(own)) return null;
  return account.frozen
    ? "Your account is frozen: nothing can be sent from this device until your recovery words decide."
    : "This device does not speak for your account now: nothing can be sent from it until that is decided.";
}

/** How this device was cut off from the account; null while it belongs to it. */
export function cut({ devices }: Account): { isFinal: boolean } | null {
  const own = devices.find((one) => one.is_this);
  return own?.standing === "former" ? { isFinal: own.is_final } : null;
}

/** Which accounts this one is made of; null where it is one alone. */
export const absorbedWords = ({ absorbed }: Account): string | null =>
  absorbed.length === 0 ? null : `This account is one with ${counted(absorbed.length, "other", "others")} of yours.`;

/** For what a merge waits, and what to do; commands stand in marks. */
export function mergingWords({ devices, merging }: Account): string | null {
  if (merging === null) return null;
  const agreed = `${merging.signed.length} of ${counted(merging.needed, "device has", "devices have")} agreed`;
  const own = devices.find((one) => one.is_this)?.device;
  const others = merging.missing.some((one) => one !== own);
  const here = own !== undefined && merging.missing.includes(own);
  const where = !here ? "on another device" : others ? "on this or another device" : "on this device";
  return `This account is to become part of another one: ${agreed}; ${where} run \`kith account merge --agree\`.`;
}

/** Milliseconds of what was typed as local date and time; undefined for none. */
export function typedMoment(typed: string): number | undefined {
  const at = new Date(typed).getTime();
  return Number.isNaN(at) ? undefined : at;
}
