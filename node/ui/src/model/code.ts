// Whether the code for a new device still serves, as far as the node says so.

import type { Account, Guest } from "../api/types";

/** How long a code serves. */
export const CODE_MS = 10 * 60 * 1000;

/** A device that lost its connection before it showed a number asks again within this time. */
export const AGAIN_MS = 4_000;

/** The code that was made here last. */
export type Code = {
  text: string;
  /** When its time is over. */
  ends: number;
  /** The devices when it was made; null if they were not known. */
  known: string[] | null;
  /** What was heard of it: nothing, a device that shows its number, that this one is gone, or the end. */
  heard: "nothing" | "guest" | "gone" | "closed";
  /** When that was. */
  heardAt: number;
};

export const newCode = (text: string, own: Account | null, now: number): Code => ({
  text,
  ends: now + CODE_MS,
  known: own?.devices.map((one) => one.device) ?? null,
  heard: "nothing",
  heardAt: now,
});

const hears = (code: Code, heard: Code["heard"], heardAt: number): Code =>
  code.heard === heard ? code : { ...code, heard, heardAt };

/** The code after the node was asked which device wants to join. */
export function afterLook(code: Code, guest: Guest | null, now: number): Code {
  if (guest !== null) return hears(code, "guest", now);
  return code.heard === "guest" ? hears(code, "gone", now) : code;
}

/** The code after the node told, by itself, which device wants to join. */
export function afterEvent(code: Code, guest: Guest | null, now: number): Code {
  // That nobody wants to join is news only if somebody did, or if nobody can any more.
  return guest === null && code.heard === "nothing" ? hears(code, "closed", now) : afterLook(code, guest, now);
}

export type End =
  | { kind: "time" }
  | { kind: "closed" }
  /** Used for this device, confirmed elsewhere. */
  | { kind: "used"; device: string };

/** Why a code serves no more; null while it does, as far as is known. */
export function ending({ ends, known, heard, heardAt }: Code, own: Account | null, now: number): End | null {
  if (heard === "closed" && heardAt + AGAIN_MS <= now) return { kind: "closed" };
  const there = own?.devices.filter((one) => one.standing !== "former" && one.standing !== "invited");
  const fresh = there?.find((one) => known?.includes(one.device) === false);
  if (heard === "gone" && fresh !== undefined) return { kind: "used", device: fresh.device };
  return ends <= now ? { kind: "time" } : null;
}

/** "9:41" until then. */
export function timeLeft(ends: number, now: number): string {
  const seconds = Math.max(0, Math.ceil((ends - now) / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** A check number as two people read it to each other. */
export const groupedCheck = (check: string) => `${check.slice(0, 3)} ${check.slice(3)}`;
