// A piece of work of a dialog: whether it runs, and how it failed.

import { useRef, useState } from "preact/hooks";
import { reason } from "../../actions/problems";

export type Task = { busy: boolean; problem: string | null; run: (work: () => Promise<void>) => void };

export function useTask(): Task {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const running = useRef(false);
  const run = (work: () => Promise<void>) => {
    if (running.current) return;
    running.current = true;
    setBusy(true);
    setProblem(null);
    work()
      .catch((error: unknown) => setProblem(reason(error)))
      .finally(() => {
        running.current = false;
        setBusy(false);
      });
  };
  return { busy, problem, run };
}
