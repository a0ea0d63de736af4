// What is shown to a browser that has no session with the node.

import { Sentence } from "./controls";
import { Mark } from "./icons";

export function NoSession({ message }: { message: string | null }) {
  return (
    <main class="alone">
      <div class="card">
        <Mark />
        <h1>This page is not open yet</h1>
        {message !== null && (
          <p role="alert">
            <Sentence text={message} />
          </p>
        )}
        <p>
          Open the address that <code>kith</code> printed in the terminal, or run <code>kith web</code> to get a new
          one.
        </p>
        <p class="soft">
          Each address works once. That keeps other programs and web pages on this computer away from your messages.
        </p>
      </div>
    </main>
  );
}
