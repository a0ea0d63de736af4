// Messages and contacts for the tests of this folder.

import type { Account, Contact, Device, Finding, Mailbox, Message, Sought, Status } from "../api/types";

const BOB = { account: "kith1bob", name: "Bob", validity: "unvalidated", me: false } as const;

/** A message of Bob's, `minute` minutes after noon of 3 March 2026 (UTC). */
export function message(id: string, minute: number, change: Partial<Message> = {}): Message {
  const at = new Date(Date.UTC(2026, 2, 3, 12, minute)).toISOString();
  return {
    id,
    author: BOB,
    text: id,
    reply_to: null,
    sent_at: at,
    received_at: at,
    state: null,
    late: false,
    parents: [],
    ...change,
  };
}

export const OWN = { author: { account: "kith1alice", name: "Alice", validity: "validated", me: true } } as const;

export const contact = (name: string, change: Partial<Contact> = {}): Contact => ({
  name,
  account: `kith1${name.toLowerCase()}`,
  status: "contact",
  validity: "unvalidated",
  devices: ["d1"],
  online: false,
  connection: null,
  unread: 0,
  disputed: [],
  draft: null,
  last_message: null,
  greeting: null,
  ...change,
});

export const device = (name: string, change: Partial<Device> = {}): Device => ({
  device: `id-${name}`,
  name,
  standing: "settled",
  reason: null,
  is_final: false,
  is_this: false,
  online: false,
  ...change,
});

export const mailbox = (url: string, change: Partial<Mailbox> = {}): Mailbox => ({
  url,
  days: 7,
  queues_open: 3,
  queues: 3,
  ...change,
});

/** Bootstraps that answer, unless something else is said. */
export const finding = (change: Partial<Finding> = {}): Finding => ({
  bootstraps: ["/dnsaddr/one.org"],
  findable: true,
  relay_only: false,
  on: true,
  relays: 1,
  ...change,
});

export const sought = (id: string, change: Partial<Sought> = {}): Sought => ({ id, greeting: "", ...change });

export const account = (devices: Device[], change: Partial<Account> = {}): Account => ({
  id: "00",
  account: "kith1alice",
  name: "Alice",
  devices,
  disputed: false,
  frozen: false,
  proposals: [],
  to_settle: [],
  merging: null,
  absorbed: [],
  recovery_confirmed: true,
  recovery: "confirmed",
  ...change,
});

export const status = (change: Partial<Status> = {}): Status => ({
  name: "Alice",
  account: "kith1alice",
  device: "id-phone",
  version: "0",
  listening: [],
  peers: 0,
  recovery_confirmed: true,
  recovery: "confirmed",
  takes_passphrase: false,
  read_receipts: false,
  refusals: {},
  ...change,
});
