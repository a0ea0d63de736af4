// How the page hears from the node: one event stream.

import type { NodeEvent } from "./types";

export type Stream = { close(): void };

const KINDS = new Set<string>([
  "message",
  "state",
  "contact",
  "contact_removed",
  "account",
  "sought",
  "linking",
  "rewritten",
  "cut_off",
  "resync",
] satisfies NodeEvent["type"][]);

/** Reads one event; null for one that this version does not know. */
export function readEvent(data: string): NodeEvent | null {
  try {
    const event: unknown = JSON.parse(data);
    const kind = (event as { type?: unknown } | null)?.type;
    return typeof kind === "string" && KINDS.has(kind) ? (event as NodeEvent) : null;
  } catch {
    return null;
  }
}

/** Opens the stream. `lost` is called once; the caller then opens another one. */
export function openStream(on: {
  opened(): void;
  event(event: NodeEvent): void;
  lost(): void;
}): Stream {
  const source = new EventSource("/api/events");
  source.onopen = () => on.opened();
  source.onmessage = (message: MessageEvent<string>) => {
    const event = readEvent(message.data);
    if (event) on.event(event);
  };
  source.onerror = () => {
    source.close();
    on.lost();
  };
  return { close: () => source.close() };
}
