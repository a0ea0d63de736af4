// What is shown on a device that was cut off from its account.

import { Icon } from "./icons";

export function CutOff({ isFinal }: { isFinal: boolean }) {
  return (
    <main class="alone">
      <div class="card cut-off" role="alert">
        <Icon name="warning" />
        {isFinal ? <Erased /> : <Locked />}
      </div>
    </main>
  );
}

function Locked() {
  return (
    <>
      <h1>This device was cut off</h1>
      <p>
        Another device of yours says that this one is no longer yours. Kith has stopped here and is locked; its keys
        and messages are still on this computer.
      </p>
      <p>
        <strong>If that was you</strong>, leave it so.
      </p>
      <p>
        <strong>If it was not you</strong>, answer with <code>kith account contest</code>: then both devices are frozen
        until your other devices or your recovery words decide. With the words you can decide alone:{" "}
        <code>kith account recover</code>.
      </p>
    </>
  );
}

function Erased() {
  return (
    <>
      <h1>This device was cut off for good</h1>
      <p>
        Your other devices, or your recovery words, have decided that this device is no longer yours. Its keys and
        messages were erased from this computer.
      </p>
      <p>
        <strong>To use Kith here again</strong>, open “Settings”, “Add a device” on another device of yours, and run{" "}
        <code>kith device join</code> here with the code that it shows.
      </p>
      <p>
        <strong>If you have no other device</strong>, bring your account back with <code>kith account recover</code> and
        your recovery words.
      </p>
    </>
  );
}
