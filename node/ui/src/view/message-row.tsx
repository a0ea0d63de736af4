// One message.

import { Component } from "preact";
import type { Message } from "../api/types";
import { linkify } from "../model/linkify";
import { preview } from "../model/texts";
import { fullTime, lateNote, readersClock, timeOfDay } from "../model/times";
import { DELIVERY_MEANING, DELIVERY_WORD, VALIDITY_WORD } from "../model/words";
import { copy } from "./controls";
import { Icon } from "./icons";
import { Menu, type MenuItem } from "./menu";
import { ValidityBadge } from "./person";

type Props = {
  message: Message;
  quoted: Message | "elsewhere" | null;
  /** Directly after another one of the same person. */
  follows: boolean;
  newest: boolean;
  /** Where the Tab key stops. */
  stop: boolean;
  flash: boolean;
  writable: boolean;
  onActive: (id: string) => void;
  onJump: (id: string) => void;
  onReply: (id: string) => void;
  onDelete: (id: string) => void;
};

const clock = readersClock();

export class MessageRow extends Component<Props> {
  override shouldComponentUpdate(next: Props): boolean {
    const keys = Object.keys(next) as (keyof Props)[];
    return keys.some((key) => !key.startsWith("on") && next[key] !== this.props[key]);
  }

  #items(): MenuItem[] {
    const { message: { id, text }, writable, onReply, onDelete } = this.props;
    const items: MenuItem[] = [
      { label: "Copy text", icon: "copy", onPick: () => void copy(text) },
      { label: "Delete on my devices…", icon: "trash", danger: true, onPick: () => onDelete(id) },
    ];
    return writable ? [{ label: "Reply", icon: "reply", onPick: () => onReply(id) }, ...items] : items;
  }

  override render({ message, quoted, follows, newest, stop, flash, writable, onActive, onJump, onReply, onDelete }: Props) {
    const { id, author, late } = message;
    const classes = ["message", author.me ? "mine" : "theirs"];
    if (follows) classes.push("follows");
    if (flash) classes.push("flash");
    if (late) classes.push("late");
    const tabIndex = stop ? 0 : -1;
    return (
      <li class={classes.join(" ")} data-id={id}>
        <article
          class="bubble"
          tabIndex={tabIndex}
          onFocusCapture={() => onActive(id)}
          onKeyDown={(event) => {
            if (event.target !== event.currentTarget) return;
            if (event.key === "Delete") onDelete(id);
            if (event.key !== "Enter" || !writable) return;
            // The same key would begin a line in the field that gets the focus.
            event.preventDefault();
            onReply(id);
          }}
        >
          <Writer message={message} />
          {quoted !== null && <Quote quoted={quoted} tabIndex={tabIndex} onJump={() => onJump(message.reply_to ?? "")} />}
          <Text text={message.text} />
          <Meta message={message} newest={newest} />
        </article>
        {writable && (
          <button
            type="button"
            class="reply"
            tabIndex={tabIndex}
            aria-label="Reply to this message"
            title="Reply"
            onFocus={() => onActive(id)}
            onClick={() => onReply(id)}
          >
            <Icon name="reply" />
          </button>
        )}
        <Menu
          class="message-menu"
          label="More about this message"
          tabIndex={tabIndex}
          items={this.#items()}
          onFocus={() => onActive(id)}
        />
      </li>
    );
  }
}

/** In a conversation of two the side says who wrote; for ears it is said in words. */
function Writer({ message: { author } }: { message: Message }) {
  return (
    <span class="unseen">
      {author.me ? "You" : `${author.name}, ${VALIDITY_WORD[author.validity].toLowerCase()}`}:{" "}
    </span>
  );
}

export function Text({ text }: { text: string }) {
  return (
    <div class="text" dir="auto">
      {linkify(text).map((piece, at) =>
        piece.kind === "text" ? (
          piece.text
        ) : (
          <a key={at} dir="ltr" href={piece.href} target="_blank" rel="noopener noreferrer">
            {piece.text}
          </a>
        ),
      )}
    </div>
  );
}

type QuoteProps = { quoted: Message | "elsewhere"; tabIndex: number; onJump: () => void };

function Quote({ quoted, tabIndex, onJump }: QuoteProps) {
  return (
    <button type="button" class="quote" tabIndex={tabIndex} onClick={onJump}>
      <span class="unseen">In reply to </span>
      {quoted === "elsewhere" ? (
        <span class="quote-text">An earlier message</span>
      ) : (
        <Quoted message={quoted} />
      )}
    </button>
  );
}

/** Writer and first line of a message that is answered. */
export function Quoted({ message: { author, text } }: { message: Message }) {
  return (
    <>
      <span class="quote-who">
        {author.me ? (
          "You"
        ) : (
          <>
            <bdi>{author.name}</bdi> <ValidityBadge validity={author.validity} />
          </>
        )}
      </span>
      <span class="quote-text" dir="auto">
        {preview(text)}
      </span>
    </>
  );
}

function Meta({ message, newest }: { message: Message; newest: boolean }) {
  const sent = new Date(message.sent_at);
  return (
    <div class="meta">
      {message.late ? (
        <span class="late-note">{lateNote(sent, new Date(message.received_at), clock)}</span>
      ) : (
        <time dateTime={message.sent_at} title={fullTime(sent, clock)}>
          {timeOfDay(sent, clock)}
        </time>
      )}
      {message.state !== null && (
        <span class={`delivery delivery-${message.state}`} title={DELIVERY_MEANING[message.state]}>
          <Icon name={message.state} />
          <span class={newest ? "" : "unseen"}>{DELIVERY_WORD[message.state]}</span>
        </span>
      )}
    </div>
  );
}
