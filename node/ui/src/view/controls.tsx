// Small parts used by several views.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { announce } from "../actions/notices";
import { sentenceParts } from "../model/words";
import { Icon, type IconName } from "./icons";

type IconButtonProps = { icon: IconName; label: string; onClick: () => void; class?: string };

export function IconButton({ icon, label, onClick, class: extra = "" }: IconButtonProps) {
  return (
    <button type="button" class={`icon-button ${extra}`} aria-label={label} title={label} onClick={onClick}>
      <Icon name={icon} />
    </button>
  );
}

export function Spinner({ label }: { label: string }) {
  return (
    <span class="waiting" role="status">
      <span class="spinner" aria-hidden="true" />
      {label}
    </span>
  );
}

type ActionProps = {
  children: ComponentChildren;
  kind?: "primary" | "plain" | "danger";
  submit?: boolean;
  busy?: boolean;
  disabled?: boolean;
  onClick?: () => void;
};

/** A button that shows that its work is still going on. It keeps the focus meanwhile. */
export function Action({ children, kind = "plain", submit, busy, disabled, onClick }: ActionProps) {
  const idle = !busy && !disabled;
  return (
    <button
      type={submit ? "submit" : "button"}
      class={`action action-${kind}`}
      aria-disabled={!idle}
      aria-busy={busy === true}
      onClick={(event) => {
        if (!idle) event.preventDefault();
        else onClick?.();
      }}
    >
      {busy && <span class="spinner" aria-hidden="true" />}
      {children}
    </button>
  );
}

const COPIED_MS = 2_500;

/** Copies a text and says so. Whether it worked. */
export async function copy(text: string): Promise<boolean> {
  const done = await navigator.clipboard.writeText(text).then(
    () => true,
    () => false,
  );
  announce(done ? "Copied." : "The browser did not allow copying.");
  return done;
}

export function CopyButton({ text, label }: { text: string; label: string }) {
  const [copied, setCopied] = useState<"no" | "yes" | "failed">("no");
  const timer = useRef<number | undefined>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const start = async () => {
    setCopied((await copy(text)) ? "yes" : "failed");
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setCopied("no"), COPIED_MS);
  };
  const words = { no: label, yes: "Copied", failed: "Select it and copy by hand" };
  return (
    <button type="button" class="action action-plain" onClick={() => void start()}>
      <Icon name={copied === "yes" ? "validated" : "copy"} />
      {words[copied]}
    </button>
  );
}

type SwitchProps = { label: string; on: boolean; onChange: (on: boolean) => void; children: ComponentChildren };

export function Switch({ label, on, onChange, children }: SwitchProps) {
  return (
    <label class="switch">
      <input type="checkbox" role="switch" checked={on} onChange={(event) => onChange(event.currentTarget.checked)} />
      <span class="switch-label">{label}</span>
      <small>{children}</small>
    </label>
  );
}

export function Sentence({ text }: { text: string }) {
  return <>{sentenceParts(text).map((part, at) => (part.code ? <code key={at}>{part.text}</code> : part.text))}</>;
}

export function Problem({ text }: { text: string | null }) {
  return (
    <div role="alert" class="problem-place">
      {text !== null && (
        <p class="problem">
          <Icon name="warning" />
          <span>
            <Sentence text={text} />
          </span>
        </p>
      )}
    </div>
  );
}
