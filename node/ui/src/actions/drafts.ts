// Keeps what is being written with the node, so that the person's other devices have it too.

import * as api from "../api/client";
import type { Contact } from "../api/types";
import { merged } from "../model/drafts";
import { NO_DRAFT } from "../model/state";
import { current, update } from "../model/store";

/** Rest of the hands after which a text is kept. */
const KEEP_MS = 2_000;

type Keeping = {
  /** What page and node had in common last. */
  base: string;
  timer: ReturnType<typeof setTimeout> | null;
  busy: boolean;
};

const keepings = new Map<string, Keeping>();

function keepingOf(account: string): Keeping {
  const known = keepings.get(account) ?? { base: "", timer: null, busy: false };
  keepings.set(account, known);
  return known;
}

const textOf = (account: string) => (current().drafts[account] ?? NO_DRAFT).text;

const put = (account: string, change: { text?: string; replyTo?: string | null }) =>
  update((state) => ({
    ...state,
    drafts: { ...state.drafts, [account]: { ...(state.drafts[account] ?? NO_DRAFT), ...change } },
  }));

export function setDraft(account: string, text: string): void {
  put(account, { text });
  keepSoon(account);
}

export const setReply = (account: string, replyTo: string | null) => put(account, { replyTo });

/** Keeps the text once nothing was typed for a while, or at once. */
export function keepSoon(account: string, wait = KEEP_MS): void {
  const keeping = keepingOf(account);
  if (keeping.timer !== null) clearTimeout(keeping.timer);
  keeping.timer = setTimeout(() => void keep(account), wait);
}

async function keep(account: string): Promise<void> {
  const keeping = keepingOf(account);
  if (keeping.timer !== null) clearTimeout(keeping.timer);
  keeping.timer = null;
  const text = textOf(account);
  if (keeping.busy || text === keeping.base) return;
  keeping.busy = true;
  try {
    await api.keepDraft(account, text);
    keeping.base = text;
  } catch {
    // The text is still in the field. It is kept with the next stroke, or when the node is back.
    return;
  } finally {
    keeping.busy = false;
  }
  if (textOf(account) !== text && keeping.timer === null) keepSoon(account, 0);
}

/** Hands over everything that still waits: the node has come back, or the page may be closed. */
export function keepAll(): void {
  for (const account of keepings.keys()) void keep(account);
}

/** Shows what another device has written, unless something else was typed here. */
export function adopt({ account, draft }: Contact): void {
  const keeping = keepingOf(account);
  // Until it has what was typed here, the node's text is an old one.
  if (keeping.timer !== null || keeping.busy) return;
  const text = textOf(account);
  const next = merged({ text, base: keeping.base }, draft ?? "");
  keeping.base = next.base;
  if (next.text !== text) put(account, { text: next.text });
}

export function forgetDraft(account: string): void {
  const timer = keepings.get(account)?.timer ?? null;
  if (timer !== null) clearTimeout(timer);
  keepings.delete(account);
}
