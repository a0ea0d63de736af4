// Follows how the node is: often while it is catching up, else seldom, and never unseen.

import * as api from "../api/client";
import type { Message } from "../api/types";
import { progress, progressWords } from "../model/progress";
import { current, update } from "../model/store";
import { announce } from "./notices";

const CATCHING_UP_MS = 1_000;
const USUAL_MS = 30_000;
/** Between two looks that something suggests. */
const SUGGESTED_MS = 5_000;
/** A message that was written so long ago is one of those that were lacking. */
const OLD_MS = 60_000;

let timer: ReturnType<typeof setTimeout> | undefined;
let dueAt = Number.POSITIVE_INFINITY;
let lookedAt = Number.NEGATIVE_INFINITY;

const watched = () => document.visibilityState !== "hidden" && current().phase.kind === "open" && current().connected;

function plan(wait: number): void {
  clearTimeout(timer);
  dueAt = Date.now() + wait;
  timer = setTimeout(look, wait);
}

function look(): void {
  dueAt = Number.POSITIVE_INFINITY;
  // Who comes back, and a node that does, asks for a look.
  if (watched()) void loadStatus().catch(() => {});
}

export async function loadStatus(): Promise<void> {
  try {
    const status = await api.status();
    const before = current().progress;
    update((state) =>
      state.phase.kind === "open" ? { ...state, status, progress: progress(state.status, status) } : state,
    );
    const now = current().progress;
    if (before === null && now !== null) announce(`Getting your messages: ${progressWords(now)}.`);
  } finally {
    lookedAt = Date.now();
    plan((current().status?.catching_up ?? null) === null ? USUAL_MS : CATCHING_UP_MS);
  }
}

/** Something suggests that the node is catching up: looks soon, but not again and again. */
export function suggestLook(): void {
  const wait = Math.max(0, lookedAt + SUGGESTED_MS - Date.now());
  if (Date.now() + wait < dueAt) plan(wait);
}

/** One message of long ago suggests that more of them come in. */
export function noteAge({ sent_at }: Message): void {
  if (Date.now() - Date.parse(sent_at) > OLD_MS) suggestLook();
}

/** Somebody looks at the page again. */
export const seenAgain = () => look();
