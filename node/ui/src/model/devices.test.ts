import { expect, test } from "vitest";
import {
  absorbedWords,
  agreement,
  alarm,
  cut,
  deviceName,
  divided,
  mayStay,
  mergingWords,
  silence,
  standingWords,
  typedMoment,
} from "./devices";
import { account, device } from "./sample";

const phone = device("phone", { is_this: true });
const laptop = device("laptop");
const tablet = device("tablet", { standing: "added" });
const ids = (...devices: { device: string }[]) => devices.map((one) => one.device);

test("every standing has its words", () => {
  expect(standingWords(phone)).toBe("Trusted, may decide");
  expect(standingWords(tablet)).toBe("Waits for your other devices to agree");
  expect(standingWords(device("x", { standing: "invited" }))).toMatch(/not come over yet/);
  expect(standingWords(device("x", { standing: "disputed" }))).toMatch(/frozen/);
  const former = (change: object) => standingWords(device("x", { standing: "former", ...change }));
  expect(former({ reason: "removed", is_final: true })).toBe("Removed");
  expect(former({ reason: "stolen", is_final: false })).toBe("Removed as stolen; it can still answer");
  expect(former({ reason: null, is_final: true })).toBe("Out");
});

test("a device without a name is called by its id", () => {
  expect(deviceName(phone)).toBe("phone");
  expect(deviceName(device("x", { name: null, device: "0123456789abcdef" }))).toBe("Device 01234567");
});

test("those that are out stand apart", () => {
  const out = device("old", { standing: "former", reason: "removed" });
  expect(divided(account([tablet, laptop, out, phone]))).toEqual({ standing: [phone, tablet, laptop], former: [out] });
});

test("the recovery words may keep who stands, and whom one voice has put out", () => {
  const former = (change: object) => mayStay(device("x", { standing: "former", ...change }));
  expect(mayStay(device("x", { standing: "disputed" }))).toBe(true);
  expect(former({ reason: "stolen", is_final: false })).toBe(true);
  expect(former({ reason: "stolen", is_final: true })).toBe(false);
  expect(former({ reason: "left_out", is_final: false })).toBe(false);
});

test("nothing to agree to while all decide, or where this device has no voice", () => {
  expect(agreement(account([phone, laptop]))).toEqual({ kind: "none" });
  expect(agreement(account([{ ...phone, standing: "added" }, laptop]))).toEqual({ kind: "none" });
  expect(agreement(account([{ ...phone, standing: "disputed" }, laptop, tablet]))).toEqual({ kind: "none" });
});

const list = (devices: { device: string }[], signed: { device: string }[], possible = true) => ({
  devices: ids(...devices),
  signed: ids(...signed),
  missing: [],
  needed: 2,
  possible,
});

test("what the node would agree to is offered, with whom it leaves out", () => {
  const watch = device("watch", { standing: "added" });
  const out = device("old", { standing: "former" });
  const to_settle = ids(phone, laptop, tablet);
  const proposals = [list([phone, laptop, out], [laptop], false), list([phone, laptop, tablet], [laptop])];
  expect(agreement(account([phone, laptop, tablet, watch, out], { proposals, to_settle }))).toEqual({
    kind: "open",
    devices: [phone, laptop, tablet],
    leftOut: ["watch"],
  });
});

test("who has agreed waits, and signs no second list", () => {
  const signed = list([phone, laptop], [phone]);
  const proposals = [list([phone, tablet], [laptop]), signed];
  expect(agreement(account([phone, laptop, tablet], { proposals }))).toEqual({
    kind: "waiting",
    devices: ["phone", "laptop"],
    leftOut: ["tablet"],
    more: 1,
  });
  expect(agreement(account([phone, laptop, tablet], { proposals: [{ ...signed, possible: false }] }))).toEqual({
    kind: "stuck",
    devices: ["phone", "laptop"],
  });
});

test("where the others are bound to what cannot come about, only the words are left", () => {
  const proposals = [list([phone, laptop], [laptop], false)];
  expect(agreement(account([phone, laptop, tablet], { proposals }))).toEqual({ kind: "stuck", devices: [] });
  const merging = { into: "00", signed: [phone.device], missing: [laptop.device], needed: 2 };
  expect(agreement(account([phone, laptop, tablet], { merging }))).toEqual({ kind: "none" });
});

test("a device that does not speak for the account says so", () => {
  expect(silence(null)).toBeNull();
  expect(silence(account([phone]))).toBeNull();
  expect(silence(account([{ ...phone, standing: "added" }]))).toBeNull();
  const disputed = { ...phone, standing: "disputed" } as const;
  expect(silence(account([phone, { ...laptop, standing: "disputed" }]))).toBeNull();
  expect(silence(account([disputed, laptop], { disputed: true }))).toMatch(/does not speak for your account now/);
  expect(silence(account([disputed], { disputed: true, frozen: true }))).toMatch(/recovery words/);
});

test("alarms", () => {
  expect(alarm(null)).toBeNull();
  expect(alarm(account([phone]))).toBeNull();
  expect(alarm(account([phone], { disputed: true }))).toBe("disputed");
  expect(alarm(account([phone], { disputed: true, frozen: true }))).toBe("frozen");
});

test("a device knows that it was cut off, and no other one's cut is taken for its own", () => {
  const former = { standing: "former", reason: "stolen" } as const;
  expect(cut(account([phone, device("laptop", former)]))).toBeNull();
  expect(cut(account([{ ...phone, standing: "disputed" }]))).toBeNull();
  expect(cut(account([{ ...phone, ...former }, laptop]))).toEqual({ isFinal: false });
  expect(cut(account([{ ...phone, ...former, is_final: true }]))).toEqual({ isFinal: true });
});

test("an account that is one with others", () => {
  expect(absorbedWords(account([phone]))).toBeNull();
  expect(absorbedWords(account([phone], { absorbed: ["a"] }))).toBe("This account is one with 1 other of yours.");
  expect(absorbedWords(account([phone], { absorbed: ["a", "b"] }))).toBe("This account is one with 2 others of yours.");
});

test("a merge that waits says who can agree", () => {
  const merging = { into: "00", signed: [phone.device], missing: [laptop.device], needed: 2 };
  expect(mergingWords(account([phone, laptop]))).toBeNull();
  expect(mergingWords(account([phone, laptop], { merging }))).toBe(
    "This account is to become part of another one: 1 of 2 devices have agreed; on another device run " +
      "`kith account merge --agree`.",
  );
  const open = { ...merging, signed: [laptop.device], missing: [phone.device] };
  expect(mergingWords(account([phone, laptop], { merging: open }))).toMatch(/; on this device run `kith account merge --agree`\.$/);
  const both = { ...open, missing: [phone.device, tablet.device], needed: 3 };
  expect(mergingWords(account([phone, laptop, tablet], { merging: both }))).toMatch(/; on this or another device run/);
});

test("what is typed", () => {
  expect(typedMoment("")).toBeUndefined();
  expect(typedMoment("2026-07-31T14:30")).toBe(new Date(2026, 6, 31, 14, 30).getTime());
});
