// Takes a new device into the account: shows the code, then compares the numbers.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Brought, Guest } from "../../api/types";
import { confirmDevice, dropCode, keepCode, makeCode } from "../../actions/account";
import { type Code, type End, ending, groupedCheck, timeLeft } from "../../model/code";
import { groupedAccount } from "../../model/contacts";
import { deviceName } from "../../model/devices";
import { qrShape } from "../../model/qr";
import { counted } from "../../model/words";
import { Action, CopyButton, Problem, Spinner } from "../controls";
import { useApp } from "../use-app";
import { Dialog } from "./dialog";
import { Passphrase } from "./passphrase";
import { type Task, useTask } from "./use-task";

type Step =
  | { kind: "making" }
  | { kind: "code" }
  | { kind: "confirming"; guest: Guest }
  | { kind: "done"; guest: Guest };

/** How much of an account is shown: to know one's own again, not to tell a forged one. */
const GROUPS_SHOWN = 5;

export function AddDevice({ onClose }: { onClose: () => void }) {
  const [step, setStep] = useState<Step>({ kind: "making" });
  const guest = useApp((state) => state.guest);
  const code = useApp((state) => state.code);
  const task = useTask();
  const done = useRef(false);

  const begin = () =>
    task.run(async () => {
      setStep({ kind: "making" });
      await makeCode();
      setStep({ kind: "code" });
    });
  useEffect(() => {
    begin();
    return () => {
      if (!done.current) dropCode();
    };
  }, []);

  const confirm = (guest: Guest, passphrase: string) => {
    const before = step;
    setStep({ kind: "confirming", guest });
    task.run(async () => {
      try {
        await confirmDevice(guest.check, passphrase);
        // The code still serves this one device, should it have missed the answer.
        done.current = true;
        keepCode();
        setStep({ kind: "done", guest });
      } catch (error) {
        setStep(before);
        throw error;
      }
    });
  };

  const compared = step.kind === "confirming" ? step.guest : step.kind === "code" ? guest : null;
  return (
    <Dialog title="Add a device" onClose={() => step.kind !== "confirming" && onClose()}>
      {step.kind === "making" && (task.problem === null ? <Spinner label="Making the code…" /> : <Problem text={task.problem} />)}
      {compared !== null && (
        <Compare key={compared.check} guest={compared} task={task} onConfirm={(words) => confirm(compared, words)} onStop={onClose} />
      )}
      {step.kind === "code" && guest === null && code !== null && (
        <>
          <Problem text={task.problem} />
          <Waiting code={code} onAgain={begin} />
        </>
      )}
      {step.kind === "done" && <Done guest={step.guest} onClose={onClose} />}
    </Dialog>
  );
}

/** The time now, each second. */
function useNow(): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  return now;
}

function Waiting({ code, onAgain }: { code: Code; onAgain: () => void }) {
  const own = useApp((state) => state.own);
  const now = useNow();
  const end = ending(code, own, now);
  if (end !== null) return <Ended key={end.kind} end={end} onAgain={onAgain} />;
  return (
    <div class="my-link">
      <p>
        Give this code to your new device: scan it there, or run <code>kith device join</code> with it. Show it to
        nobody else: whoever has it can ask to become a device of yours.
      </p>
      <div class="problem-place" role="status">
        {code.heard === "gone" && (
          <p class="agree">
            The device that showed a number has gone. If it does not come back by itself in a moment, make a new code.
          </p>
        )}
      </div>
      <Qr text={code.text} />
      <p class="countdown" role="timer">
        Waiting for the new device. The code serves for {timeLeft(code.ends, now)} more.
      </p>
      <label class="field">
        <span>Code</span>
        <textarea class="code" rows={4} readOnly value={code.text} onFocus={(event) => event.currentTarget.select()} />
      </label>
      <div class="actions">
        <CopyButton text={code.text} label="Copy code" />
        {code.heard === "gone" && <Action onClick={onAgain}>Make a new code</Action>}
      </div>
    </div>
  );
}

function Ended({ end, onAgain }: { end: End; onAgain: () => void }) {
  const words = useRef<HTMLParagraphElement>(null);
  useEffect(() => words.current?.focus(), []);
  return (
    <>
      <p ref={words} tabIndex={-1}>
        <strong>This code has ended.</strong> <Why end={end} />
      </p>
      <div class="actions">
        <Action kind="primary" onClick={onAgain}>
          Make a new code
        </Action>
      </div>
    </>
  );
}

function Why({ end }: { end: End }) {
  const used = useApp((state) => state.own?.devices.find((one) => end.kind === "used" && one.device === end.device));
  switch (end.kind) {
    case "time":
      return <>Ten minutes are over.</>;
    case "closed":
      return <>It was closed somewhere else, in another window or with the command line.</>;
    case "used":
      return (
        <>
          It was used: <bdi class="name">{used === undefined ? "a device" : deviceName(used)}</bdi> is one of your devices
          now. That was confirmed somewhere else.
        </>
      );
  }
}

function Qr({ text }: { text: string }) {
  const { size, shape } = useMemo(() => qrShape(text), [text]);
  return (
    <svg class="qr qr-large" viewBox={`0 0 ${size} ${size}`} role="img" aria-label="QR code for the new device">
      <path d={shape} />
    </svg>
  );
}

type CompareProps = { guest: Guest; task: Task; onConfirm: (passphrase: string) => void; onStop: () => void };

function Compare({ guest, task: { busy, problem }, onConfirm, onStop }: CompareProps) {
  const [passphrase, setPassphrase] = useState("");
  const question = useRef<HTMLParagraphElement>(null);
  useEffect(() => question.current?.focus(), []);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    onConfirm(passphrase);
  };
  return (
    <form onSubmit={submit}>
      <p>
        <bdi class="name">{guest.name}</bdi> wants to become a device of yours
        {guest.brings === null ? "" : ", brings an account along,"} and shows a number.
      </p>
      <p class="check-number" translate={false}>
        <span class="unseen">The number here is </span>
        {groupedCheck(guest.check)}
      </p>
      <p class="question" ref={question} tabIndex={-1}>
        Does the new device show the same number?
      </p>
      {guest.brings !== null && <Merge brings={guest.brings} />}
      <p class="soft">
        If the device shows another number, or none, somebody else has read your code: stop. Whoever you confirm can
        read and write everything as you.
      </p>
      <Passphrase typed={passphrase} onType={setPassphrase} />
      <Problem text={problem} />
      <div class="actions">
        <Action kind="primary" submit busy={busy}>
          {guest.brings === null ? "Yes, confirm" : "Yes, make them one account"}
        </Action>
        <Action kind="danger" disabled={busy} onClick={onStop}>
          Stop
        </Action>
      </div>
    </form>
  );
}

/** What confirming does where the new device has an account already. */
function Merge({ brings: { account, devices } }: { brings: Brought }) {
  return (
    <div class="agree">
      <p>
        <strong>If you confirm, another account becomes part of this one:</strong>
      </p>
      <p class="account">
        {groupedAccount(account)
          .slice(0, GROUPS_SHOWN)
          .map((group, at) => (
            <span key={at}>{group}</span>
          ))}
        <span>…</span>
        <span class="account-devices">with {counted(devices, "device", "devices")}</span>
      </p>
      <p>
        Its devices become yours and get everything: your contacts, conversations and settings. What the two accounts
        wrote to each other is deleted.{" "}
        <strong>Nothing undoes it.</strong>
      </p>
    </div>
  );
}

function Done({ guest: { name, brings }, onClose }: { guest: Guest; onClose: () => void }) {
  return (
    <>
      <p role="status">
        <bdi class="name">{name}</bdi> is one of your devices now.{" "}
        {brings === null
          ? "Start Kith there: it gets your contacts and messages while this device runs."
          : "It gets your contacts and messages while this device runs, and its account becomes part of this one."}
      </p>
      {brings !== null && brings.devices > 1 && (
        <p>
          First {brings.devices === 2 ? "the other device" : "other devices"} of that account may have to agree. If so,
          run <code>kith account merge --agree</code> there.
        </p>
      )}
      <div class="actions">
        <Action kind="primary" onClick={onClose}>
          Done
        </Action>
      </div>
    </>
  );
}
