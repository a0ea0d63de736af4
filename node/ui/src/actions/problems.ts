// What happens when the node refuses or does not answer.

import { ApiError } from "../api/client";
import { current, update } from "../model/store";

export function reason(error: unknown): string {
  if (error instanceof ApiError) return error.message;
  console.error(error);
  return "Something in this page went wrong. Reload it; nothing that was sent is lost.";
}

/** Shows a failure above the list, and the page of a missing session when that is the cause. */
export function report(error: unknown): void {
  // The page of a device that was cut off says all there is to say.
  if (current().phase.kind === "cut_off") return;
  if (error instanceof ApiError && error.status === 401) {
    update((state) => ({ ...state, phase: { kind: "absent", message: null } }));
    return;
  }
  const problem = reason(error);
  // The banner of the lost connection already says it.
  if (error instanceof ApiError && error.unreachable) return;
  update((state) => ({ ...state, problem }));
}

export const dismissProblem = () => update((state) => ({ ...state, problem: null }));

/** Runs an action whose failure is reported above the list. */
export async function attempt(action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    report(error);
  }
}
