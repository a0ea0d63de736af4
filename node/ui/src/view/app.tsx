// The page as a whole.

import { useEffect, useState } from "preact/hooks";
import { contactOf } from "../model/state";
import { pageTitle } from "../model/words";
import { CatchingUp } from "./catching-up";
import { Conversation } from "./conversation";
import { CutOff } from "./cut-off";
import { Dialogs, type Opened } from "./dialogs";
import { Heath, Icon } from "./icons";
import { NoSession } from "./no-session";
import { Sidebar } from "./sidebar";
import { useApp } from "./use-app";

export function App() {
  const phase = useApp((state) => state.phase);
  if (phase.kind === "absent") return <NoSession message={phase.message} />;
  if (phase.kind === "cut_off") return <CutOff isFinal={phase.isFinal} />;
  if (phase.kind === "opening") return <Opening />;
  return <Open />;
}

function Opening() {
  return (
    <main class="alone">
      <p class="waiting delayed" role="status">
        <span class="spinner" aria-hidden="true" />
        Opening Kith…
      </p>
    </main>
  );
}

function Open() {
  const [dialog, setDialog] = useState<Opened>(null);
  const selected = useApp((state) => contactOf(state, state.selected));
  const contacts = useApp((state) => state.contacts);
  const connected = useApp((state) => state.connected);

  useEffect(() => {
    document.title = pageTitle(contacts ?? []);
  }, [contacts]);

  return (
    <main class="shell" data-shown={selected === null ? "list" : "conversation"}>
      <h1 class="unseen">Kith</h1>
      <a class="skip" href="#conversation" onClick={skip}>
        Skip to the conversation
      </a>
      {connected ? <CatchingUp /> : <Lost />}
      <Sidebar onOpen={setDialog} />
      <section id="conversation" class="pane" tabIndex={-1} aria-label="Conversation">
        {selected === null ? (
          <Nothing empty={contacts?.length === 0} />
        ) : (
          <Conversation key={selected.account} contact={selected} onOpen={setDialog} />
        )}
      </section>
      <Dialogs opened={dialog} onOpen={setDialog} />
      <Announcer />
    </main>
  );
}

function skip(event: MouseEvent): void {
  event.preventDefault();
  document.getElementById("conversation")?.focus();
}

function Lost() {
  return (
    <div class="lost" role="status">
      <Icon name="warning" />
      <p>
        <strong>The node does not answer.</strong> If you stopped it, start it again with <code>kith run</code>. What
        you see stays; this page reconnects by itself. If <code>kith run</code> refuses, it says why: this device may
        have been cut off.
      </p>
    </div>
  );
}

function Nothing({ empty }: { empty: boolean }) {
  return (
    <div class="nothing">
      <Heath />
      <p>{empty ? "Conversations appear here once you know somebody." : "Choose a conversation."}</p>
    </div>
  );
}

function Announcer() {
  const announcement = useApp((state) => state.announcement);
  return (
    <div class="unseen" aria-live="polite">
      {announcement}
    </div>
  );
}
