import { expect, test } from "vitest";
import { agreement, alarm, deviceName, divided, groupedCheck, standingWords, timeLeft, typedMoment } from "./devices";
import { account, device } from "./sample";

const phone = device("phone", { is_this: true });
const laptop = device("laptop");
const tablet = device("tablet", { standing: "added" });
const ids = (...devices: { device: string }[]) => devices.map((one) => one.device);

test("every standing has its words", () => {
  expect(standingWords(phone)).toBe("Trusted, may decide");
  expect(standingWords(tablet)).toBe("Waits for your other devices to agree");
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

test("nothing to agree to while all decide, or where this device has no voice", () => {
  expect(agreement(account([phone, laptop]))).toEqual({ kind: "none" });
  expect(agreement(account([{ ...phone, standing: "added" }, laptop]))).toEqual({ kind: "none" });
  expect(agreement(account([{ ...phone, standing: "disputed" }, laptop, tablet]))).toEqual({ kind: "none" });
});

test("who begins agrees to all that belong", () => {
  const out = device("old", { standing: "former" });
  expect(agreement(account([phone, laptop, tablet, out]))).toEqual({ kind: "open", devices: ids(phone, laptop, tablet) });
});

test("who follows agrees to the list that most have signed", () => {
  const list = (devices: { device: string }[], signed: string[]) => ({
    devices: ids(...devices),
    signed,
    missing: [phone.device],
    needed: 2,
  });
  const proposals = [list([laptop, tablet], []), list([phone, laptop, tablet], [laptop.device])];
  expect(agreement(account([phone, laptop, tablet], { proposals }))).toEqual({
    kind: "open",
    devices: ids(phone, laptop, tablet),
  });
});

test("who has agreed waits, and signs no second list", () => {
  const signed = { devices: ids(phone, laptop, tablet), signed: [phone.device], missing: [laptop.device], needed: 2 };
  const other = { devices: ids(phone, tablet), signed: [laptop.device], missing: [phone.device], needed: 2 };
  expect(agreement(account([phone, laptop, tablet], { proposals: [other, signed] }))).toEqual({ kind: "waiting", more: 1 });
});

test("alarms", () => {
  expect(alarm(null)).toBeNull();
  expect(alarm(account([phone]))).toBeNull();
  expect(alarm(account([phone], { disputed: true }))).toBe("disputed");
  expect(alarm(account([phone], { disputed: true, frozen: true }))).toBe("frozen");
});

test("the time that a code still serves", () => {
  expect(timeLeft(600_000, 0)).toBe("10:00");
  expect(timeLeft(600_000, 535_500)).toBe("1:05");
  expect(timeLeft(600_000, 599_999)).toBe("0:01");
  expect(timeLeft(600_000, 600_000)).toBeNull();
});

test("what is read aloud and what is typed", () => {
  expect(groupedCheck("012345")).toBe("012 345");
  expect(typedMoment("")).toBeUndefined();
  expect(typedMoment("2026-07-31T14:30")).toBe(new Date(2026, 6, 31, 14, 30).getTime());
});
