// The frame of every dialog.

import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";
import { IconButton } from "../controls";

type Props = { title: string; children: ComponentChildren; onClose: () => void };

/** Where the focus goes when what had it is gone, as a deleted message is. */
const otherwise = () => document.querySelector<HTMLElement>(".conversation h2");

/** Modal; Escape closes it; the focus returns to where it was. */
export function Dialog({ title, children, onClose }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  const id = useId();

  useLayoutEffect(() => {
    const before = document.activeElement;
    const element = dialog.current;
    element?.showModal();
    (element?.querySelector<HTMLElement>("[data-first]") ?? heading.current)?.focus();
    return () => {
      element?.close();
      const back = before instanceof HTMLElement && before.isConnected ? before : otherwise();
      back?.focus();
    };
  }, []);

  return (
    <dialog
      ref={dialog}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      <header class="dialog-head">
        <h2 id={id} ref={heading} tabIndex={-1}>
          {title}
        </h2>
        <IconButton icon="close" label="Close" onClick={onClose} />
      </header>
      <div class="dialog-body">{children}</div>
    </dialog>
  );
}
