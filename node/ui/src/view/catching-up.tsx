// Says how far the node has got with what other devices have, as on a device that has just joined.

import { progressWords, share } from "../model/progress";
import { useApp } from "./use-app";

export function CatchingUp() {
  const progress = useApp((state) => state.progress);
  if (progress === null) return null;
  const words = progressWords(progress);
  return (
    <div class="catching-up">
      <p>Getting your messages: {words}</p>
      <div
        class="progress"
        role="progressbar"
        aria-label="Getting your messages"
        aria-valuemin={0}
        aria-valuemax={progress.all}
        aria-valuenow={progress.here}
        aria-valuetext={words}
      >
        <div style={{ transform: `scaleX(${share(progress)})` }} />
      </div>
    </div>
  );
}
