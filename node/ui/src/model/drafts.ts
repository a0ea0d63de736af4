// When a draft of another device takes the place of what stands in the field.

/** `base` is the text that page and node had in common last. */
export type Common = { text: string; base: string };

/** What was typed here is kept; what was not touched since follows the other device. */
export function merged({ text, base }: Common, remote: string): Common {
  if (text === base || text.trim() === "") return { text: remote, base: remote };
  return { text, base };
}
