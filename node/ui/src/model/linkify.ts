// Finds web links in a text. Only http and https; everything else stays text.

export type Piece = { kind: "text"; text: string } | { kind: "link"; text: string; href: string };

const CANDIDATE = /\bhttps?:\/\/[^\s<>"“”«»]+/giu;
const TRAILING = /[.,;:!?'’…*_~]+$/u;
const PAIRS: Record<string, string> = { ")": "(", "]": "[", "}": "{" };

const count = (text: string, character: string) => text.split(character).length - 1;

/** Drops what belongs to the sentence around the link, not to the link. */
function trimmed(candidate: string): string {
  let link = candidate;
  for (;;) {
    const shorter = link.replace(TRAILING, "");
    const last = shorter.at(-1) ?? "";
    const opening = PAIRS[last];
    const unbalanced = opening !== undefined && count(shorter, last) > count(shorter, opening);
    const next = unbalanced ? shorter.slice(0, -1) : shorter;
    if (next === link) return link;
    link = next;
  }
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
  for (const match of text.matchAll(CANDIDATE)) {
    const link = trimmed(match[0]);
    const href = address(link);
    if (href === null) continue;
    if (match.index > done) pieces.push({ kind: "text", text: text.slice(done, match.index) });
    pieces.push({ kind: "link", text: link, href });
    done = match.index + link.length;
  }
  if (done < text.length) pieces.push({ kind: "text", text: text.slice(done) });
  return pieces;
}
