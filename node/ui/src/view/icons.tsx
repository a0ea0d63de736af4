// The signs of the page. They carry no words: whoever uses one says the word beside it.

const SHAPES = {
  unvalidated: ["M12 4.5a7.5 7.5 0 1 0 0 15 7.5 7.5 0 1 0 0-15"],
  validated: ["m5 12.5 4.8 4.8L19.5 7"],
  compromised: ["m6 6 12 12M18 6 6 18"],
  back: ["m14.5 5.5-6.5 6.5 6.5 6.5"],
  add: ["M10 5.2a3.4 3.4 0 1 0 0 6.8 3.4 3.4 0 1 0 0-6.8M3.5 19.5c.4-3.5 2.8-5.5 6.5-5.5s6.1 2 6.5 5.5M18.5 7v6M15.5 10h6"],
  link: ["M10 13.8a4 4 0 0 0 5.7.4l3.1-3.1a4 4 0 0 0-5.7-5.7l-1.5 1.5M14 10.2a4 4 0 0 0-5.7-.4l-3.1 3.1a4 4 0 0 0 5.7 5.7l1.5-1.5"],
  settings: ["M4 7.5h9M17.5 7.5H20M4 16.5h2.5M11 16.5h9M15.2 5.2a2.3 2.3 0 1 0 0 4.6 2.3 2.3 0 1 0 0-4.6M8.8 14.2a2.3 2.3 0 1 0 0 4.6 2.3 2.3 0 1 0 0-4.6"],
  details: ["M12 3.8a8.2 8.2 0 1 0 0 16.4 8.2 8.2 0 1 0 0-16.4M12 11.2v5M12 8v.2"],
  reply: ["M9.5 6 4 11.5 9.5 17M4.5 11.5H14a6 6 0 0 1 6 6v.5"],
  send: ["M12 19.5V5M5.8 11 12 4.8 18.2 11"],
  close: ["m6.5 6.5 11 11M17.5 6.5l-11 11"],
  down: ["M12 5v13.5M6 12.8l6 6 6-6"],
  chevron: ["m6.5 9.5 5.5 5.5 5.5-5.5"],
  warning: ["M12 4.2 3 19.5h18zM12 10v4.5M12 16.9v.2"],
  key: ["M8 11.5a4 4 0 1 0 0 8 4 4 0 1 0 0-8M11 12.6 19.5 4.5M15.5 8.3l3 3"],
  more: ["M12 5.6v.2M12 11.9v.2M12 18.2v.2"],
  trash: ["M4.5 7h15M9.5 7V4.5h5V7M6.5 7l1 12.5h9l1-12.5M10.5 10.5v5.5M13.5 10.5v5.5"],
  pen: ["M5 19h3.2L19 8.2 15.8 5 5 15.8zM13.5 7.3l3.2 3.2"],
  device: ["M8 3.5h8a1.5 1.5 0 0 1 1.5 1.5v14a1.5 1.5 0 0 1-1.5 1.5H8A1.5 1.5 0 0 1 6.5 19V5A1.5 1.5 0 0 1 8 3.5M11 17.5h2"],
  mailbox: ["M4 19.5v-8a4 4 0 0 1 8 0v8zM8 7.5h8a4 4 0 0 1 4 4v8h-8M15.5 11.5h1.5M6.8 12h2.4"],
  relay: ["M12 4a2.2 2.2 0 1 0 0 4.4A2.2 2.2 0 1 0 12 4M6 15.6a2.2 2.2 0 1 0 0 4.4 2.2 2.2 0 1 0 0-4.4M18 15.6a2.2 2.2 0 1 0 0 4.4 2.2 2.2 0 1 0 0-4.4M11 8.2l-4 7.5M13 8.2l4 7.5M8.2 17.8h7.6"],
  copy: ["M9 9h10.5v10.5H9zM5.5 15H4.5V4.5H15v1"],
  queued: ["M12 4.5a7.5 7.5 0 1 0 0 15 7.5 7.5 0 1 0 0-15M12 8v4.3l2.8 1.8"],
  delivered: ["m5.5 12.5 4.5 4.5 9-10"],
  delivered_all: ["m2.5 12.5 4.3 4.5 8.5-10M10.8 15l2.2 2 8.5-10"],
  read: ["M2.5 12c2.3-4.2 5.5-6.3 9.5-6.3s7.2 2.1 9.5 6.3c-2.3 4.2-5.5 6.3-9.5 6.3S4.8 16.2 2.5 12M12 9.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 1 0 0-5.6"],
} satisfies Record<string, string[]>;

export type IconName = keyof typeof SHAPES;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      {SHAPES[name].map((shape) => (
        <path key={shape} d={shape} />
      ))}
    </svg>
  );
}

/** The page's own sign: a K in the shape with one tight corner that the page is drawn in. */
export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <path class="mark-ground" d="M0 16A16 16 0 1 1 16 32H3a3 3 0 0 1-3-3z" />
      <path class="mark-letter" d="M11 8v16M21.5 9.5 11.8 17l9.7 7" />
    </svg>
  );
}

/** A heath at dusk, for the place where a conversation will be. */
export function Heath() {
  return (
    <svg class="heath" viewBox="0 0 480 220" aria-hidden="true" focusable="false">
      <circle class="heath-sun" cx="318" cy="92" r="38" />
      <path class="heath-far" d="M0 140c60-34 110-38 170-18s110 4 160-16 100-14 150 10v104H0z" />
      <path class="heath-mid" d="M0 166c70-22 120-6 190 2s120-30 180-28 80 14 110 24v56H0z" />
      <path class="heath-near" d="M0 196c80-20 140-22 220-10s180-8 260 2v32H0z" />
      <path class="heath-birds" d="M150 62c6-8 12-8 15 0 4-8 10-8 16-1M192 80c5-6 9-6 12 0 3-6 8-6 12-1" />
    </svg>
  );
}
