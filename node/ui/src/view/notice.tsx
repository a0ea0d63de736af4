// The last thing that went wrong, to be read and dismissed.

import { dismissProblem } from "../actions/problems";
import { IconButton, Problem } from "./controls";
import { useApp } from "./use-app";

export function Notice({ class: extra = "" }: { class?: string }) {
  const problem = useApp((state) => state.problem);
  if (problem === null) return null;
  return (
    <div class={`notice ${extra}`}>
      <Problem text={problem} />
      <IconButton icon="close" label="Dismiss" onClick={dismissProblem} />
    </div>
  );
}
