// Which stretch of a long conversation is in the document.

/** Most rows in the document at once. */
export const ROWS_MAX = 300;
/** Rows kept while the reader stays at the newest message. */
export const ROWS_AT_END = 150;
/** Rows by which the stretch moves when the reader nears its edge. */
export const ROWS_STEP = 100;

/** Either the newest rows, or a stretch that begins at a certain message. */
export type Anchor = { kind: "end" } | { kind: "from"; id: string };
export type Stretch = { start: number; end: number };

export const AT_END: Anchor = { kind: "end" };

export function stretch(ids: readonly string[], anchor: Anchor): Stretch {
  const total = ids.length;
  const at = anchor.kind === "from" ? ids.indexOf(anchor.id) : -1;
  if (at < 0) return { start: Math.max(0, total - ROWS_AT_END), end: total };
  return { start: at, end: Math.min(total, at + ROWS_MAX) };
}

function from(ids: readonly string[], start: number): Anchor {
  const id = ids[Math.max(0, start)];
  return id === undefined ? AT_END : { kind: "from", id };
}

/** The same rows, now independent of what arrives at the end. */
export const held = (ids: readonly string[], shown: Stretch) => from(ids, shown.start);

export const earlier = (ids: readonly string[], shown: Stretch) => from(ids, shown.start - ROWS_STEP);

export const later = (ids: readonly string[], shown: Stretch) =>
  from(ids, Math.min(shown.start + ROWS_STEP, ids.length - ROWS_AT_END));

/** A stretch with the given message well inside. */
export const around = (ids: readonly string[], at: number) => from(ids, at - ROWS_AT_END);
