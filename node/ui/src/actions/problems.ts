// What happens when the node refuses or does not answer.

import { ApiError } from "../api/client";
import { current, update } from "../model/store";

export function reason(error: unknown): string {
  if (error instanceof ApiError) return error.message;
  console.error(error);
  return "Something in this page went wrong. Reload it; nothing that was sent is lost.";
}

/** What is to be shown of a failure; the page of a missing session, when that is the cause, says it itself. */
export function told(error: unknown): string | null {
  // The page of a device that was cut off says all there is to say.
  if (current().phase.kind === "cut_off") return null;
  if (error instanceof ApiError && error.status === 401) {
    update((state) => ({ ...state, phase: { kind: "absent", message: null } }));
    return null;
  }
  const problem = reason(error);
  // The banner of the lost connection already says it.
  return error instanceof ApiError && error.unreachable ? null : problem;
}

/** Shows a failure above the list and, where that is out of sight, in the conversation. */
export function report(error: unknown): void {
  const problem = told(error);
  if (problem !== null) update((state) => ({ ...state, problem }));
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
