// A button with a menu. The arrow keys move inside; Escape leads back to the button.

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { Icon, type IconName } from "./icons";

export type MenuItem = { label: string; icon: IconName; danger?: boolean; onPick: () => void };

type Props = {
  label: string;
  items: MenuItem[];
  class?: string;
  tabIndex?: number;
  onFocus?: () => void;
};

const STEPS: Record<string, (at: number, last: number) => number> = {
  ArrowDown: (at, last) => (at === last ? 0 : at + 1),
  ArrowUp: (at, last) => (at === 0 ? last : at - 1),
  Home: () => 0,
  End: (_, last) => last,
};

const GAP_PX = 4;

/** Lays the list at the button, inside the window: it may lie over what scrolls. */
function lay(list: HTMLElement, button: HTMLElement): void {
  const at = button.getBoundingClientRect();
  const { width, height } = list.getBoundingClientRect();
  const below = at.bottom + GAP_PX;
  const top = below + height <= innerHeight - GAP_PX ? below : Math.max(GAP_PX, at.top - GAP_PX - height);
  const left = at.right - width >= GAP_PX ? at.right - width : Math.min(at.left, innerWidth - GAP_PX - width);
  list.style.top = `${top}px`;
  list.style.left = `${Math.max(GAP_PX, left)}px`;
}

export function Menu({ label, items, class: extra = "", tabIndex = 0, onFocus }: Props) {
  const [open, setOpen] = useState<"first" | "last" | null>(null);
  const button = useRef<HTMLButtonElement>(null);
  const close = () => {
    setOpen(null);
    button.current?.focus();
  };
  return (
    <div class={`menu-place ${extra}`} data-open={open !== null}>
      <button
        ref={button}
        type="button"
        class="icon-button"
        tabIndex={tabIndex}
        aria-label={label}
        title={label}
        aria-haspopup="menu"
        aria-expanded={open !== null}
        onFocus={onFocus}
        onClick={() => setOpen(open === null ? "first" : null)}
        onKeyDown={(event) => {
          if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
          event.preventDefault();
          event.stopPropagation();
          setOpen(event.key === "ArrowDown" ? "first" : "last");
        }}
      >
        <Icon name="more" />
      </button>
      {open !== null && (
        <List label={label} items={items} begin={open} button={button.current} onClose={close} onLeave={() => setOpen(null)} />
      )}
    </div>
  );
}

type ListProps = {
  label: string;
  items: MenuItem[];
  begin: "first" | "last";
  button: HTMLElement | null;
  onClose: () => void;
  onLeave: () => void;
};

function List({ label, items, begin, button, onClose, onLeave }: ListProps) {
  const list = useRef<HTMLDivElement>(null);
  const all = () => [...(list.current?.querySelectorAll<HTMLElement>("[role=menuitem]") ?? [])];

  useLayoutEffect(() => {
    if (list.current !== null && button !== null) lay(list.current, button);
    all().at(begin === "first" ? 0 : -1)?.focus({ preventScroll: true });
    const outside = (event: Event) => {
      const at = event.target;
      if (at instanceof Node && (list.current?.contains(at) || button?.contains(at))) return;
      onLeave();
    };
    document.addEventListener("pointerdown", outside, true);
    document.addEventListener("scroll", outside, true);
    window.addEventListener("resize", onLeave);
    return () => {
      document.removeEventListener("pointerdown", outside, true);
      document.removeEventListener("scroll", outside, true);
      window.removeEventListener("resize", onLeave);
    };
  }, []);

  const keys = (event: KeyboardEvent) => {
    // What lies behind, a dialog or a row of messages, must not act on the same key.
    event.stopPropagation();
    if (event.key === "Tab") return onLeave();
    const step = STEPS[event.key];
    if (step === undefined && event.key !== "Escape") return;
    event.preventDefault();
    if (step === undefined) return onClose();
    const places = all();
    places[step(places.indexOf(event.target as HTMLElement), places.length - 1)]?.focus();
  };

  return (
    <div ref={list} class="menu" role="menu" aria-label={label} onKeyDown={keys}>
      {items.map(({ label, icon, danger, onPick }) => (
        <button
          key={label}
          type="button"
          role="menuitem"
          class={danger ? "menu-item danger" : "menu-item"}
          tabIndex={-1}
          onClick={() => {
            onClose();
            onPick();
          }}
        >
          <Icon name={icon} />
          {label}
        </button>
      ))}
    </div>
  );
}
