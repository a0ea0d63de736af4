// How people find each other: ids, bootstraps, and how well it works.

import type { Finding } from "../api/types";
import { counted } from "./words";

/** Addresses; the node takes no more. */
export const BOOTSTRAPS_MAX = 16;

const ID = /^(?:kith:)?(kith1[a-z0-9]*)$/i;

/** The id, where a text is one and no link; people read it to each other in groups. */
export const idIn = (text: string): string | null =>
  ID.exec(text.replace(/\s+/gu, ""))?.[1]?.toLowerCase() ?? null;

/** The addresses in what was pasted, as a bootstrap prints them. */
export const addressesIn = (text: string): string[] => text.split(/[\s,]+/u).filter((part) => part !== "");

/** One server, with the addresses by which it was chosen. */
export type Bootstrap = { name: string; addresses: string[] };

/** What stands behind `/p2p/` says who it is; a name may stand for several. */
const whoIs = (address: string) => /\/p2p\/([^/]+)$/.exec(address)?.[1] ?? address;

/** The host in `/ip4/HOST/…` and `/dnsaddr/HOST`. */
const hostIn = (address: string) => address.split("/")[2] ?? address;

export function bootstrapsOf(addresses: readonly string[]): Bootstrap[] {
  const found = new Map<string, string[]>();
  for (const address of addresses) {
    const who = whoIs(address);
    found.set(who, [...(found.get(who) ?? []), address]);
  }
  return [...found.values()].map((of) => ({ name: [...new Set(of.map(hostIn))].join(", "), addresses: of }));
}

/** "…/p2p/12D3KooW…9JgG": who it is can be told apart at a glance, and is not to be typed off. */
export const shortAddress = (address: string): string =>
  address.replace(/(\/p2p\/[^/]{8})[^/]{6,}([^/]{4})$/, "$1…$2");

/** In sentences: whether others reach one through bootstraps. */
export function reachWords({ on, relays, relay_only }: Finding): string {
  if (!on) {
    return relay_only
      ? "You have no bootstrap, and your network addresses are hidden: nobody reaches you."
      : "You have no bootstrap: you and your contacts find each other at addresses that you know, in the local " +
          "network, and by mailboxes.";
  }
  if (relays > 0) return `Others reach you through ${counted(relays, "bootstrap", "bootstraps")}.`;
  return relay_only
    ? "No bootstrap has answered so far, and your network addresses are hidden: nobody reaches you. Kith keeps trying."
    : "No bootstrap has answered so far. Kith keeps trying.";
}

/** Whether an id alone leads to the person. */
export const idServes = (finding: Finding | null): boolean => finding !== null && finding.on && finding.findable;
