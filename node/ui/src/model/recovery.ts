// Which recovery words are asked back, and how typed words are compared.

export const WORDS_ASKED = 3;

/** `count` different positions from 1 to `total`, ascending. */
export function positions(total: number, count: number, random: (below: number) => number): number[] {
  const left = Array.from({ length: total }, (_, at) => at + 1);
  const picked: number[] = [];
  while (picked.length < count && left.length > 0) {
    const [one] = left.splice(random(left.length), 1);
    if (one !== undefined) picked.push(one);
  }
  return picked.sort((one, other) => one - other);
}

/** A random whole number below `below`, from the browser's own generator. */
export function randomBelow(below: number): number {
  const fair = Math.floor(0x1_0000_0000 / below) * below;
  const drawn = new Uint32Array(1);
  for (;;) {
    crypto.getRandomValues(drawn);
    const value = drawn[0] ?? 0;
    if (value < fair) return value % below;
  }
}

export const typedWord = (text: string) => text.trim().toLowerCase().normalize("NFKD");
