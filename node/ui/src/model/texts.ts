// Limits and previews of written text.

import { TEXT_BYTES_MAX } from "../api/client";

const encoder = new TextEncoder();

export const byteLength = (text: string) => encoder.encode(text).length;

/** Remaining bytes once it gets tight; null while there is plenty. Negative when too long. */
export function tightness(text: string): number | null {
  // A UTF-16 unit takes at most three bytes, so short texts need no counting.
  if (text.length * 3 < TEXT_BYTES_MAX * 0.9) return null;
  const left = TEXT_BYTES_MAX - byteLength(text);
  return left > TEXT_BYTES_MAX * 0.1 ? null : left;
}

/** One line of a text, for lists and quotes. */
export function preview(text: string, length = 140): string {
  const line = text.slice(0, length * 4).replace(/\s+/gu, " ").trim();
  const characters = [...line];
  return characters.length <= length ? line : `${characters.slice(0, length).join("")}…`;
}
