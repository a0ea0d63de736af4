// Holds the state and tells those who watch it.

import { INITIAL, type State } from "./state";

type Watcher = () => void;

let state: State = INITIAL;
const watchers = new Set<Watcher>();

export const current = (): State => state;

export function update(change: (state: State) => State): void {
  const next = change(state);
  if (next === state) return;
  state = next;
  for (const watcher of [...watchers]) watcher();
}

export function watch(watcher: Watcher): () => void {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}
