// Finds web links in a text. Only http and https; everything else stays text.

export type Piece = { kind: "text"; text: string } | { kind: "link"; text: string; href: string };

/** Ends at blanks, quotes, and at marks that would turn the direction of what is read. */
const CANDIDATE = /\bhttps?:\/\/[^\s<>"“”«»\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]+/giu;
/** Links made clickable in one text. The rest stays text: a text comes from anyone. */
export const LINKS_MAX = 100;

const TRAILING = new Set(".,;:!?'’…*_~");
const OPENING: Record<string, string> = { ")": "(", "]": "[", "}": "{" };

function tally(text: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1);
  return counts;
}

/** Drops what belongs to the sentence around the link, not to the link. One pass, from the end. */
function trimmed(candidate: string): string {
  const counts = tally(candidate);
  let end = candidate.length;
  for (; end > 0; end--) {
    const last = candidate.charAt(end - 1);
    if (TRAILING.has(last)) continue;
    const opening = OPENING[last];
    const closed = counts.get(last) ?? 0;
    if (opening === undefined || closed <= (counts.get(opening) ?? 0)) break;
    counts.set(last, closed - 1);
  }
  return candidate.slice(0, end);
}

/** The address to follow, or null when it is not a plain web address. */
function address(link: string): string | null {
  if (!URL.canParse(link)) return null;
  const url = new URL(link);
  const web = url.protocol === "http:" || url.protocol === "https:";
  // A name before "@" makes an address look like another site's.
  return web && url.username === "" && url.password === "" ? url.href : null;
}

export function linkify(text: string): Piece[] {
  const pieces: Piece[] = [];
  let done = 0;
  let links = 0;
  for (const match of text.matchAll(CANDIDATE)) {
    if (links === LINKS_MAX) break;
    const link = trimmed(match[0]);
    const href = address(link);
    if (href === null) continue;
    if (match.index > done) pieces.push({ kind: "text", text: text.slice(done, match.index) });
    pieces.push({ kind: "link", text: link, href });
    done = match.index + link.length;
    links++;
  }
  if (done < text.length) pieces.push({ kind: "text", text: text.slice(done) });
  return pieces;
}
