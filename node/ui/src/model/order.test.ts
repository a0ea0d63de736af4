import { describe, expect, test } from "vitest";
import { belongsLast, joined, replaced, withOlder, withStates } from "./order";
import { message, OWN } from "./sample";

const ids = (messages: readonly { id: string }[] | null) => messages?.map((one) => one.id).join(" ") ?? null;
const row = (text: string) => text.split(" ").map((id, at) => message(id, at));

describe("a message that was announced", () => {
  const known = row("a b c");

  test("goes last when it is the youngest", () => {
    expect(belongsLast(known, message("d", 9))).toBe(true);
    expect(belongsLast([], message("d", 9))).toBe(true);
  });

  test("goes last when it is exactly as old as the last", () => {
    expect(belongsLast(known, message("d", 2))).toBe(true);
  });

  test("is left to the node when it is older, or late", () => {
    expect(belongsLast(known, message("d", 1))).toBe(false);
    expect(belongsLast(known, message("d", 9, { late: true }))).toBe(false);
  });

  test("is compared as a point in time, not as a text", () => {
    const last = message("a", 0, { sent_at: "2026-03-03T12:00:00.5Z" });
    expect(belongsLast([last], message("b", 0, { sent_at: "2026-03-03T13:00:00.25+01:00" }))).toBe(false);
    expect(belongsLast([last], message("b", 0, { sent_at: "2026-03-03T13:00:01+01:00" }))).toBe(true);
  });

  test("takes the place of its earlier version", () => {
    const next = replaced(known, message("b", 1, { text: "new" }));
    expect(ids(next)).toBe("a b c");
    expect(next?.[1]?.text).toBe("new");
    expect(replaced(known, message("x", 1))).toBeNull();
  });
});

describe("pages", () => {
  test("older ones come in front, each message once", () => {
    expect(ids(withOlder(row("c d"), row("a b c")))).toBe("a b c d");
  });

  test("a fresh stretch replaces what it covers, in its own order", () => {
    expect(ids(joined(row("a b c d"), row("c x d e")))).toBe("a b c x d e");
  });

  test("a message that moved into the stretch is not kept before it", () => {
    expect(ids(joined(row("a b c d"), row("c b d")))).toBe("a c b d");
  });

  test("a stretch that does not touch leaves open what is between", () => {
    expect(joined(row("a b c"), row("x y"))).toBeNull();
    expect(joined([], row("x y"))).toBeNull();
  });

  test("an empty answer empties the conversation", () => {
    expect(joined(row("a"), [])).toEqual([]);
  });
});

describe("delivery states", () => {
  test("change only the messages they name", () => {
    const known = [message("a", 0, { ...OWN, state: "queued" }), message("b", 1)];
    const next = withStates(known, [{ id: "a", state: "delivered" }]);
    expect(next[0]?.state).toBe("delivered");
    expect(next[1]).toBe(known[1]);
  });

  test("leave everything as it is when nothing changes", () => {
    const known = [message("a", 0, { ...OWN, state: "read" })];
    expect(withStates(known, [{ id: "a", state: "read" }])).toBe(known);
    expect(withStates(known, [{ id: "z", state: "read" }])).toBe(known);
  });
});
