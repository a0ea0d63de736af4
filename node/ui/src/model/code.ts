// Whether the code for a new device still serves, as far as the node says so.

import type { Account, Guest } from "../api/types";

/** The code that was made here last. */
export type Code = {
  /** What the node calls it. */
  id: string;
  text: string;
  /** When its time is over. */
  ends: number;
  /** The devices when it was made; null if they were not known. */
  known: string[] | null;
  /** What was heard of it: nothing, a device that shows its number, that this one is gone, or the end. */
  heard: "nothing" | "guest" | "gone" | "closed";
  /** Whether a device has shown its number. */
  met: boolean;
};

type Made = { code: string; id: string; seconds_left: number };

export const newCode = ({ code, id, seconds_left }: Made, own: Account | null, now: number): Code => ({
  id,
  text: code,
  ends: now + seconds_left * 1000,
  known: own?.devices.map((one) => one.device) ?? null,
  heard: "nothing",
  met: false,
});

/** The code after the node told which device wants to join, and which code serves now. */
export function afterWord(code: Code, guest: Guest | null, serves: string | null): Code {
  if (serves !== code.id) return { ...code, heard: "closed" };
  if (guest !== null) return { ...code, heard: "guest", met: true };
  // A word from before this code was made may have come late, and ended it too early.
  const heard = code.met ? "gone" : "nothing";
  return code.heard === heard ? code : { ...code, heard };
}

export type End =
  | { kind: "time" }
  | { kind: "closed" }
  /** Used for this device, confirmed elsewhere. */
  | { kind: "used"; device: string };

/** Why a code serves no more; null while it does, as far as is known. */
export function ending({ ends, known, heard, met }: Code, own: Account | null, now: number): End | null {
  const fresh = own?.devices.find(
    (one) => one.standing !== "former" && one.standing !== "invited" && known?.includes(one.device) === false,
  );
  if (met && heard !== "guest" && fresh !== undefined) return { kind: "used", device: fresh.device };
  if (heard === "closed" && now < ends) return { kind: "closed" };
  return ends <= now ? { kind: "time" } : null;
}

/** "9:41" until then. */
export function timeLeft(ends: number, now: number): string {
  const seconds = Math.max(0, Math.ceil((ends - now) / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** A check number as two people read it to each other. */
export const groupedCheck = (check: string) => `${check.slice(0, 3)} ${check.slice(3)}`;
