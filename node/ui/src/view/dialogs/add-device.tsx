// Takes a new device into the account: shows the code, then compares the numbers.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Guest } from "../../api/types";
import { confirmDevice, dropCode, makeCode } from "../../actions/account";
import { CODE_MS, groupedCheck, timeLeft } from "../../model/devices";
import { qrShape } from "../../model/qr";
import { Action, CopyButton, Problem, Spinner } from "../controls";
import { useApp } from "../use-app";
import { Dialog } from "./dialog";
import { Passphrase } from "./passphrase";
import { type Task, useTask } from "./use-task";

type Step =
  | { kind: "making" }
  | { kind: "code"; code: string; ends: number }
  | { kind: "confirming"; guest: Guest }
  | { kind: "done"; name: string };

export function AddDevice({ onClose }: { onClose: () => void }) {
  const [step, setStep] = useState<Step>({ kind: "making" });
  const guest = useApp((state) => state.guest);
  const task = useTask();
  const done = useRef(false);

  const begin = () =>
    task.run(async () => {
      setStep({ kind: "making" });
      const code = await makeCode();
      setStep({ kind: "code", code, ends: Date.now() + CODE_MS });
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
        setStep({ kind: "done", name: guest.name });
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
      {step.kind === "code" && guest === null && (
        <>
          <Problem text={task.problem} />
          <Code code={step.code} ends={step.ends} onAgain={begin} />
        </>
      )}
      {step.kind === "done" && <Done name={step.name} onClose={onClose} />}
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

function Code({ code, ends, onAgain }: { code: string; ends: number; onAgain: () => void }) {
  const left = timeLeft(ends, useNow());
  if (left === null) {
    return (
      <>
        <p role="status">Ten minutes are over: the code serves no more.</p>
        <div class="actions">
          <Action kind="primary" onClick={onAgain}>
            Make a new code
          </Action>
        </div>
      </>
    );
  }
  return (
    <div class="my-link">
      <p>
        Give this code to your new device: scan it there, or run <code>kith device join</code> with it. Show it to
        nobody else: whoever has it can ask to become a device of yours.
      </p>
      <Qr text={code} />
      <p class="countdown" role="timer">
        Waiting for the new device. The code serves for {left} more.
      </p>
      <label class="field">
        <span>Code</span>
        <textarea class="code" rows={4} readOnly value={code} onFocus={(event) => event.currentTarget.select()} />
      </label>
      <div class="actions">
        <CopyButton text={code} label="Copy code" />
      </div>
    </div>
  );
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
        <bdi class="name">{guest.name}</bdi> wants to become a device of yours and shows a number.
      </p>
      <p class="check-number" translate={false}>
        <span class="unseen">The number here is </span>
        {groupedCheck(guest.check)}
      </p>
      <p class="question" ref={question} tabIndex={-1}>
        Does the new device show the same number?
      </p>
      <p class="soft">
        If it shows another one, or none, somebody else has read your code: stop. Whoever you confirm can read and
        write everything as you.
      </p>
      <Passphrase typed={passphrase} onType={setPassphrase} />
      <Problem text={problem} />
      <div class="actions">
        <Action kind="primary" submit busy={busy}>
          Yes, confirm
        </Action>
        <Action kind="danger" disabled={busy} onClick={onStop}>
          Stop
        </Action>
      </div>
    </form>
  );
}

function Done({ name, onClose }: { name: string; onClose: () => void }) {
  return (
    <>
      <p role="status">
        <bdi class="name">{name}</bdi> is one of your devices now. Start Kith there: it gets your contacts and messages
        while this device runs.
      </p>
      <div class="actions">
        <Action kind="primary" onClick={onClose}>
          Done
        </Action>
      </div>
    </>
  );
}
