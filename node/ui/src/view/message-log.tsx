// The messages of one conversation: which rows are in the document and where it is scrolled.

import { Component, createRef } from "preact";
import type { Contact, Message } from "../api/types";
import { markSeen } from "../actions/contacts";
import { announce } from "../actions/notices";
import { loadOlder, loadUntil } from "../actions/threads";
import { type Anchor, around, AT_END, earlier, held, later, stretch } from "../model/paging";
import { rowsOf } from "../model/rows";
import type { Thread } from "../model/state";
import { readersClock } from "../model/times";
import { counted } from "../model/words";
import { Spinner } from "./controls";
import { Icon } from "./icons";
import { MessageRow } from "./message-row";

type Props = { contact: Contact; thread: Thread; onReply: (id: string) => void; onDelete: (id: string) => void };
type LogState = {
  anchor: Anchor;
  following: boolean;
  /** Messages that came in below while the reader was further up. */
  unseen: number;
  active: string | null;
  flash: string | null;
};
type Place = { id: string; top: number } | null;

/** Distance to an edge, in CSS pixels, at which more rows are brought in. */
const NEAR_EDGE_PX = 900;
const AT_END_PX = 48;

const clock = readersClock();

const STEPS: Record<string, (at: number, last: number) => number> = {
  ArrowDown: (at, last) => Math.min(at + 1, last),
  ArrowUp: (at) => Math.max(at - 1, 0),
  Home: () => 0,
  End: (_, last) => last,
};

export class MessageLog extends Component<Props, LogState> {
  override state: LogState = { anchor: AT_END, following: true, unseen: 0, active: null, flash: null };
  readonly #scroller = createRef<HTMLDivElement>();
  #resized: ResizeObserver | null = null;
  #ids: { of: Message[]; ids: string[] } = { of: [], ids: [] };

  override componentDidMount(): void {
    this.#resized = new ResizeObserver(() => this.state.following && this.#toEnd());
    if (this.#scroller.current) this.#resized.observe(this.#scroller.current);
    window.addEventListener("focus", this.#seen);
    document.addEventListener("visibilitychange", this.#seen);
    this.#toEnd();
    this.#edges();
    this.#seen();
  }

  override componentWillUnmount(): void {
    this.#resized?.disconnect();
    window.removeEventListener("focus", this.#seen);
    document.removeEventListener("visibilitychange", this.#seen);
  }

  override getSnapshotBeforeUpdate(): Place {
    const scroller = this.#scroller.current;
    if (scroller === null || this.state.following) return null;
    const edge = scroller.getBoundingClientRect().top;
    for (const row of scroller.querySelectorAll<HTMLElement>("[data-id]")) {
      const { top, bottom } = row.getBoundingClientRect();
      if (bottom > edge) return { id: row.dataset["id"] ?? "", top };
    }
    return null;
  }

  override componentDidUpdate(before: Props, _: LogState, place: Place): void {
    if (before.thread.messages !== this.props.thread.messages) this.#arrived(before.thread.messages);
    if (this.state.following) this.#toEnd();
    else if (place !== null) this.#restore(place);
    this.#edges();
    this.#seen();
  }

  get #all(): string[] {
    const { messages } = this.props.thread;
    if (this.#ids.of !== messages) this.#ids = { of: messages, ids: messages.map((one) => one.id) };
    return this.#ids.ids;
  }

  #toEnd(): void {
    const scroller = this.#scroller.current;
    if (scroller) scroller.scrollTop = scroller.scrollHeight;
  }

  #row(id: string): HTMLElement | null {
    return this.#scroller.current?.querySelector(`[data-id="${CSS.escape(id)}"]`) ?? null;
  }

  #restore({ id, top }: { id: string; top: number }): void {
    const moved = (this.#row(id)?.getBoundingClientRect().top ?? top) - top;
    if (this.#scroller.current && Math.abs(moved) >= 1) this.#scroller.current.scrollTop += moved;
  }

  #arrived(before: Message[]): void {
    const { messages } = this.props.thread;
    const last = before.at(-1);
    const at = last === undefined ? -1 : messages.findIndex((one) => one.id === last.id);
    const fresh = at < 0 ? [] : messages.slice(at + 1);
    if (fresh.length === 0 || this.state.following) return;
    if (fresh.some((one) => one.author.me)) this.#follow();
    else this.setState((state) => ({ unseen: state.unseen + fresh.length }));
  }

  readonly #follow = (): void => {
    this.setState({ anchor: AT_END, following: true, unseen: 0 });
  };

  /** Brings in rows near the edges, and notices whether the reader is at the end. */
  readonly #edges = (): void => {
    const scroller = this.#scroller.current;
    if (scroller === null) return;
    const ids = this.#all;
    const { anchor, following } = this.state;
    const shown = stretch(ids, anchor);
    const below = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
    const atEnd = below < AT_END_PX && shown.end === ids.length;
    if (atEnd && !following) return this.#follow();
    if (!atEnd && following) return this.setState({ anchor: held(ids, shown), following: false });
    if (scroller.scrollTop < NEAR_EDGE_PX) return this.#earlier(ids, shown);
    if (!following && below < NEAR_EDGE_PX && shown.end < ids.length) this.setState({ anchor: later(ids, shown) });
  };

  #earlier(ids: string[], shown: { start: number; end: number }): void {
    const { thread, contact } = this.props;
    const full = this.#scroller.current && this.#scroller.current.scrollHeight > this.#scroller.current.clientHeight;
    if (shown.start > 0 && !(this.state.following && full)) this.setState({ anchor: earlier(ids, shown) });
    else if (shown.start === 0 && thread.hasOlder && thread.busy === null) void loadOlder(contact.account);
  }

  readonly #seen = (): void => {
    if (!this.state.following || document.visibilityState !== "visible" || !document.hasFocus()) return;
    const newest = this.props.thread.messages.findLast((one) => !one.author.me);
    if (newest !== undefined) void markSeen(this.props.contact.account, newest.id);
  };

  /** Shows a quoted message, going back through the history when needed. */
  readonly #jump = async (id: string): Promise<void> => {
    if (!this.#all.includes(id)) await loadUntil(this.props.contact.account, id);
    const at = this.#all.indexOf(id);
    if (at < 0) return announce("That message is not on this device.");
    this.setState({ anchor: around(this.#all, at), following: false, active: id, flash: id }, () => {
      const row = this.#row(id);
      row?.scrollIntoView({ block: "center" });
      row?.querySelector<HTMLElement>(".bubble")?.focus({ preventScroll: true });
    });
  };

  readonly #keys = (event: KeyboardEvent): void => {
    const step = STEPS[event.key];
    const bubbles = [...(this.#scroller.current?.querySelectorAll<HTMLElement>(".bubble") ?? [])];
    const at = bubbles.indexOf(event.target as HTMLElement);
    if (step === undefined || at < 0) return;
    event.preventDefault();
    bubbles[step(at, bubbles.length - 1)]?.focus();
  };

  override render({ contact, thread, onReply, onDelete }: Props, { anchor, unseen, active, flash, following }: LogState) {
    const { start, end } = stretch(this.#all, anchor);
    const shown = thread.messages.slice(start, end);
    const rows = rowsOf(shown, { now: new Date(), clock, firstUnread: thread.firstUnread });
    const last = thread.messages.at(-1);
    const stop = shown.some((one) => one.id === active) ? active : shown.at(-1)?.id;
    const quoted = new Map(thread.messages.map((one) => [one.id, one]));
    return (
      <div class="log-place">
        <div class="log" ref={this.#scroller} onScroll={this.#edges}>
          {thread.busy === "older" && start === 0 && <Spinner label="Loading older messages…" />}
          {thread.messages.length === 0 && <p class="no-messages">No messages yet. Write the first one.</p>}
          <ol onKeyDown={this.#keys} aria-label="Messages">
            {rows.map((row) => {
              if (row.kind === "day") return <DayRow key={row.key} heading={row.heading} />;
              if (row.kind === "new") return <NewRow key={row.key} />;
              const { message } = row;
              return (
                <MessageRow
                  key={row.key}
                  message={message}
                  quoted={message.reply_to === null ? null : (quoted.get(message.reply_to) ?? "elsewhere")}
                  follows={row.follows}
                  newest={message === last}
                  stop={message.id === stop}
                  flash={message.id === flash}
                  writable={contact.status !== "blocked"}
                  onActive={this.#activate}
                  onJump={this.#jump}
                  onReply={onReply}
                  onDelete={onDelete}
                />
              );
            })}
          </ol>
        </div>
        {!following && thread.messages.length > 0 && (
          <button type="button" class="pill" title="To the newest" onClick={this.#follow}>
            <Icon name="down" />
            {unseen > 0 ? counted(unseen, "new message", "new messages") : <span class="unseen">To the newest</span>}
          </button>
        )}
      </div>
    );
  }

  readonly #activate = (active: string): void => {
    if (this.state.active !== active) this.setState({ active });
  };
}

function DayRow({ heading }: { heading: string }) {
  return (
    <li class="day">
      <span>{heading}</span>
    </li>
  );
}

function NewRow() {
  return (
    <li class="new">
      <span>New</span>
    </li>
  );
}
