// People who are looked for by an id alone.

import { useState } from "preact/hooks";
import type { Sought } from "../api/types";
import { stopLooking } from "../actions/finding";
import { attempt } from "../actions/problems";
import { shortAccount } from "../model/contacts";
import { Action } from "./controls";
import { Person, Sign } from "./person";
import { useApp } from "./use-app";

export function SoughtPeople({ sought }: { sought: Sought[] }) {
  return (
    <section class="sought" aria-labelledby="sought">
      <h2 id="sought" tabIndex={-1}>
        Looking for
      </h2>
      <ul>
        {sought.map((one) => (
          <SoughtRow key={one.id} sought={one} />
        ))}
      </ul>
    </section>
  );
}

function SoughtRow({ sought: { id, name } }: { sought: Sought }) {
  const vain = useApp((state) => state.finding?.on === false);
  const [busy, setBusy] = useState(false);
  const short = shortAccount(id);
  const stop = () => {
    setBusy(true);
    void attempt(async () => {
      await stopLooking(id);
      requestAnimationFrame(focusNext);
    }).finally(() => setBusy(false));
  };
  return (
    <li>
      <Sign name={name ?? "?"} account={id} />
      <div class="sought-who">
        {name === undefined ? <code>{short}</code> : <Person name={name} validity="unvalidated" />}
        <span class="soft">
          {vain ? "Waiting: you have no bootstrap" : "Looking…"}
          {name !== undefined && (
            <>
              {" "}
              · <code>{short}</code>
            </>
          )}
        </span>
      </div>
      <Action busy={busy} onClick={stop}>
        Stop looking<span class="unseen"> for {name ?? short}</span>
      </Action>
    </li>
  );
}

/** What had the focus is gone: it goes to those who are left, else to where others are added. */
function focusNext(): void {
  const left = document.getElementById("sought");
  (left ?? document.querySelector<HTMLElement>('.sidebar-head [aria-label="Add contact"]'))?.focus();
}
