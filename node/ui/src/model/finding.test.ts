import { expect, test } from "vitest";
import { addressesIn, bootstrapsOf, idIn, idServes, reachWords, shortAddress } from "./finding";
import { finding } from "./sample";

test("an id is told from a link, however it is written", () => {
  expect(idIn("kith1abc")).toBe("kith1abc");
  expect(idIn(" kith:kith1abc\n")).toBe("kith1abc");
  expect(idIn("KITH1 ABCD EFGH")).toBe("kith1abcdefgh");
  for (const other of ["", "kith:", "kith:kith1abc#xyz", "kith-device:abc", "Alice", "kith1abc?"]) {
    expect(idIn(other)).toBeNull();
  }
});

test("several addresses are pasted at once", () => {
  expect(addressesIn(" /dnsaddr/one.org\n/dnsaddr/two.org, ")).toEqual(["/dnsaddr/one.org", "/dnsaddr/two.org"]);
  expect(addressesIn(" \n")).toEqual([]);
});

test("one server is shown once, with all of its addresses", () => {
  const quic = "/ip4/192.0.2.1/udp/8450/quic-v1/p2p/12one";
  const tcp = "/ip4/192.0.2.1/tcp/8450/p2p/12one";
  const six = "/ip6/2001:db8::2/tcp/8450/p2p/12two";
  expect(bootstrapsOf([quic, six, tcp, "/dnsaddr/three.org"])).toEqual([
    { name: "192.0.2.1", addresses: [quic, tcp] },
    { name: "2001:db8::2", addresses: [six] },
    { name: "three.org", addresses: ["/dnsaddr/three.org"] },
  ]);
});

test("an address is shown without the middle of its long end", () => {
  const peer = "12D3KooWKLYm5EuQ4rusbJd8JLFbq6ySurABtdcXATqdFTTk9JgG";
  expect(shortAddress(`/ip4/192.0.2.1/tcp/8450/p2p/${peer}`)).toBe("/ip4/192.0.2.1/tcp/8450/p2p/12D3KooW…9JgG");
  expect(shortAddress("/dnsaddr/one.org")).toBe("/dnsaddr/one.org");
});

test("sentences say whether others reach one", () => {
  expect(reachWords(finding())).toBe("Others reach you through 1 bootstrap.");
  expect(reachWords(finding({ relays: 3, relay_only: true }))).toBe("Others reach you through 3 bootstraps.");
  expect(reachWords(finding({ relays: 0 }))).toMatch(/^No bootstrap has answered so far\./);
  expect(reachWords(finding({ relays: 0, relay_only: true }))).toMatch(/nobody reaches you/);
  const off = { bootstraps: [], on: false, relays: 0 };
  expect(reachWords(finding(off))).toMatch(/^You have no bootstrap: you and your contacts/);
  expect(reachWords(finding({ ...off, relay_only: true }))).toMatch(/nobody reaches you/);
});

test("an id alone serves those who have a bootstrap and want to be found", () => {
  expect(idServes(finding())).toBe(true);
  expect(idServes(finding({ findable: false }))).toBe(false);
  expect(idServes(finding({ on: false }))).toBe(false);
  expect(idServes(null)).toBe(false);
});
