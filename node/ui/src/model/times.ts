// How points in time are written. The words are English like the page; whether the day
// has twelve or twenty-four hours is the reader's own habit.

export type Clock = { timeZone?: string; hourCycle?: "h11" | "h12" | "h23" | "h24" };

export function readersClock(): Clock {
  const { hourCycle, timeZone } = new Intl.DateTimeFormat(undefined, { hour: "numeric" }).resolvedOptions();
  return { timeZone, hourCycle: (hourCycle as Clock["hourCycle"]) ?? "h23" };
}

const formats = new Map<string, Intl.DateTimeFormat>();

function format(at: Date, clock: Clock, options: Intl.DateTimeFormatOptions): string {
  const all = { ...options, ...clock };
  const key = JSON.stringify(all);
  let formatter = formats.get(key);
  if (formatter === undefined) {
    formatter = new Intl.DateTimeFormat("en-GB", all);
    formats.set(key, formatter);
  }
  return formatter.format(at);
}

/** The calendar day as a key: equal for two points in time of the same day. */
export const dayKey = (at: Date, clock: Clock) =>
  format(at, clock, { year: "numeric", month: "2-digit", day: "2-digit" });

const hours = ({ hourCycle }: Clock) => (hourCycle === "h11" || hourCycle === "h12" ? "numeric" : "2-digit");

export const timeOfDay = (at: Date, clock: Clock) =>
  format(at, clock, { hour: hours(clock), minute: "2-digit" });

const DAY_MS = 24 * 60 * 60 * 1000;

const isYesterday = (at: Date, now: Date, clock: Clock) =>
  dayKey(at, clock) === dayKey(new Date(now.getTime() - DAY_MS), clock);

const sameYear = (at: Date, now: Date, clock: Clock) =>
  format(at, clock, { year: "numeric" }) === format(now, clock, { year: "numeric" });

/** Heading between two days of a conversation. */
export function dayHeading(at: Date, now: Date, clock: Clock): string {
  if (dayKey(at, clock) === dayKey(now, clock)) return "Today";
  if (isYesterday(at, now, clock)) return "Yesterday";
  return sameYear(at, now, clock)
    ? format(at, clock, { weekday: "long", day: "numeric", month: "long" })
    : format(at, clock, { day: "numeric", month: "long", year: "numeric" });
}

/** Short form for the contact list. */
export function shortTime(at: Date, now: Date, clock: Clock): string {
  if (dayKey(at, clock) === dayKey(now, clock)) return timeOfDay(at, clock);
  if (isYesterday(at, now, clock)) return "Yesterday";
  const age = now.getTime() - at.getTime();
  if (age >= 0 && age < 6 * DAY_MS) return format(at, clock, { weekday: "long" });
  return format(at, clock, { day: "numeric", month: "short", ...(!sameYear(at, now, clock) && { year: "numeric" }) });
}

export const fullTime = (at: Date, clock: Clock) =>
  format(at, clock, {
    weekday: "long",
    day: "numeric",
    month: "long",
    year: "numeric",
    hour: hours(clock),
    minute: "2-digit",
  });

/** "sent 14:02, arrived 18:40"; with the days when they differ. */
export function lateNote(sent: Date, arrived: Date, clock: Clock): string {
  const sameDay = dayKey(sent, clock) === dayKey(arrived, clock);
  const one = (at: Date) =>
    sameDay ? timeOfDay(at, clock) : `${format(at, clock, { day: "numeric", month: "short" })} ${timeOfDay(at, clock)}`;
  return `sent ${one(sent)}, arrived ${one(arrived)}`;
}
