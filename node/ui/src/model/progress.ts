// How far catching up has got, and whether that is worth a bar.

import type { CatchingUp, Status } from "../api/types";

/** So much is shown at once, as on the terminal. */
const LACKING_MIN = 200;

/** What to show. A few messages on their way are here before anybody has read about them. */
export function progress(before: Status | null, now: Status): CatchingUp | null {
  const lacking = now.catching_up ?? null;
  if (lacking === null) return null;
  const long = lacking.all - lacking.here >= LACKING_MIN || (before?.catching_up ?? null) !== null;
  return long ? lacking : null;
}

const number = new Intl.NumberFormat("en");

/** "1,204 of 14,652". */
export const progressWords = ({ here, all }: CatchingUp) => `${number.format(here)} of ${number.format(all)}`;

/** From 0 to 1. */
export const share = ({ here, all }: CatchingUp) => (all <= 0 ? 0 : Math.min(1, Math.max(0, here / all)));
