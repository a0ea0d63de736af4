// Shows the recovery words, and makes sure that they were written down.

import { useState } from "preact/hooks";
import * as api from "../../api/client";
import { loadStatus } from "../../actions/status";
import { positions, randomBelow, typedWord, WORDS_ASKED } from "../../model/recovery";
import { Action, Problem } from "../controls";
import { useApp } from "../use-app";
import { Dialog } from "./dialog";
import { useTask } from "./use-task";

type Step =
  | { kind: "locked" }
  | { kind: "words"; words: string[] }
  | { kind: "asking"; words: string[]; asked: number[] }
  | { kind: "done" };

/** The words live only as long as this dialog. */
export function Recovery({ onClose }: { onClose: () => void }) {
  const [step, setStep] = useState<Step>({ kind: "locked" });
  const [passphrase, setPassphrase] = useState("");
  const ask = (words: string[]) =>
    setStep({ kind: "asking", words, asked: positions(words.length, WORDS_ASKED, randomBelow) });
  return (
    <Dialog title="Recovery words" onClose={onClose}>
      {step.kind === "locked" && (
        <Unlock
          passphrase={passphrase}
          onType={setPassphrase}
          onWords={(words) => setStep({ kind: "words", words })}
        />
      )}
      {step.kind === "words" && <Words words={step.words} onNext={() => ask(step.words)} />}
      {step.kind === "asking" && (
        <Asking
          asked={step.asked}
          passphrase={passphrase}
          onBack={() => setStep({ kind: "words", words: step.words })}
          onDone={() => setStep({ kind: "done" })}
        />
      )}
      {step.kind === "done" && <Done onClose={onClose} />}
    </Dialog>
  );
}

type UnlockProps = { passphrase: string; onType: (text: string) => void; onWords: (words: string[]) => void };

function Unlock({ passphrase, onType, onWords }: UnlockProps) {
  const locked = useApp((state) => state.status?.takes_passphrase !== false);
  const { busy, problem, run } = useTask();
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    run(async () => onWords((await api.recoveryWords(passphrase)).words));
  };
  return (
    <form onSubmit={submit}>
      <p>
        Twenty-four words stand for the recovery key of your account. Nobody else has them, and nobody can give them to
        you later. Whoever finds them can act as you: keep them on paper, not in a photo or a file.
      </p>
      {locked && (
        <label class="field">
          <span>Passphrase of this node</span>
          <input
            data-first
            type="password"
            autocomplete="current-password"
            value={passphrase}
            onInput={(event) => onType(event.currentTarget.value)}
          />
        </label>
      )}
      <p class="soft">Make sure that nobody looks over your shoulder.</p>
      <Problem text={problem} />
      <div class="actions">
        <Action kind="primary" submit busy={busy}>
          {busy ? "Unlocking…" : "Show the words"}
        </Action>
      </div>
    </form>
  );
}

function Words({ words, onNext }: { words: string[]; onNext: () => void }) {
  return (
    <>
      <p>Write them down in this order, with their numbers. Then three of them are asked back.</p>
      <ol class="words" translate={false}>
        {words.map((word, at) => (
          <li key={at}>
            <span class="word-number">{at + 1}</span> {word}
          </li>
        ))}
      </ol>
      <div class="actions">
        <Action kind="primary" onClick={onNext}>
          I have written them down
        </Action>
      </div>
    </>
  );
}

type AskingProps = { asked: number[]; passphrase: string; onBack: () => void; onDone: () => void };

function Asking({ asked, passphrase, onBack, onDone }: AskingProps) {
  const [typed, setTyped] = useState<Record<string, string>>({});
  const { busy, problem, run } = useTask();
  const complete = asked.every((position) => typedWord(typed[position] ?? "") !== "");
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (!complete) return;
    const words = Object.fromEntries(asked.map((position) => [String(position), typedWord(typed[position] ?? "")]));
    run(async () => {
      await api.confirmRecovery(passphrase, words);
      onDone();
      await loadStatus();
    });
  };
  return (
    <form onSubmit={submit}>
      <p>Read these three from your paper.</p>
      {asked.map((position, at) => (
        <label key={position} class="field">
          <span>Word {position}</span>
          <input
            ref={at === 0 ? focusOnce : null}
            autocomplete="off"
            autocapitalize="none"
            spellcheck={false}
            value={typed[position] ?? ""}
            onInput={(event) => {
              const { value } = event.currentTarget;
              setTyped((before) => ({ ...before, [position]: value }));
            }}
          />
        </label>
      ))}
      <Problem text={problem} />
      <div class="actions">
        <Action kind="primary" submit busy={busy} disabled={!complete}>
          Confirm
        </Action>
        <Action onClick={onBack}>Show the words again</Action>
      </div>
    </form>
  );
}

/** A steady function, so that it runs when the field appears and not on every stroke. */
function focusOnce(field: HTMLInputElement | null): void {
  field?.focus();
}

function Done({ onClose }: { onClose: () => void }) {
  return (
    <>
      <p role="status">That is right. Keep the paper in a safe place.</p>
      <div class="actions">
        <Action kind="primary" onClick={onClose}>
          Done
        </Action>
      </div>
    </>
  );
}
