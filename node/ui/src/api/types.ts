// What the node's local API sends and takes.

export type Validity = "unvalidated" | "validated" | "compromised";
export type ContactStatus = "requested" | "pending" | "contact" | "blocked";
export type Delivery = "queued" | "delivered" | "delivered_all" | "read";

/** Where the recovery words are; here until they are confirmed. */
export type RecoveryPlace = "here" | "confirmed" | "elsewhere";

export type Session = { csrf: string; name: string; account: string };

export type Status = {
  name: string;
  account: string;
  device: string;
  version: string;
  listening: string[];
  peers: number;
  recovery_confirmed: boolean;
  recovery: RecoveryPlace;
  takes_passphrase: boolean;
  read_receipts: boolean;
  /** Absent while nothing is lacking. */
  catching_up?: CatchingUp | null;
  refusals: Record<string, number>;
};

/** Of what another device has: how much is here. */
export type CatchingUp = { here: number; all: number };

export type Invite = { link: string; account: string; qr_svg_path: string };

/** How one is connected with a contact; `relayed` while everything goes through relays. */
export type Connection = "direct" | "relayed";

export type Contact = {
  name: string;
  account: string;
  status: ContactStatus;
  validity: Validity;
  devices: string[];
  online: boolean;
  connection: Connection | null;
  unread: number;
  /** Their devices that accuse each other. */
  disputed: string[];
  /** What is being written to them, on whichever device. */
  draft: string | null;
  last_message: { text: string; sent_at: string; me: boolean } | null;
  greeting: string | null;
};

export type Standing = "settled" | "added" | "invited" | "disputed" | "former";
export type FormerReason = "removed" | "stolen" | "retired" | "left_out" | "with_inviter";

export type Device = {
  device: string;
  name: string | null;
  standing: Standing;
  reason: FormerReason | null;
  is_final: boolean;
  is_this: boolean;
  online: boolean;
};

/** Devices that are to decide from now on, once `needed` have agreed, while that is possible. */
export type Proposal = { devices: string[]; signed: string[]; missing: string[]; needed: number; possible: boolean };

/** An account that goes over into another one once `needed` of its devices have agreed. */
export type PendingMerge = { into: string; signed: string[]; missing: string[]; needed: number };

export type Account = {
  id: string;
  account: string;
  name: string;
  devices: Device[];
  disputed: boolean;
  frozen: boolean;
  proposals: Proposal[];
  /** Devices to which this one can agree now, by id; none if there is nothing to agree to here. */
  to_settle: string[];
  /** Into which account this one is to go over, if more devices must agree to it. */
  merging: PendingMerge | null;
  /** Accounts that have become part of this one. */
  absorbed: string[];
  recovery_confirmed: boolean;
  recovery: RecoveryPlace;
};

/** A device that wants to join by a code, the number that it must show too, and the account that it brings along. */
export type Guest = { check: string; name: string; brings: Brought | null; code: string };

/** The code for a new device that serves now; no id if none does. */
export type ShownCode = { id: string | null; seconds_left: number };

export type Brought = { account: string; devices: number };

export type Author = { account: string; name: string; validity: Validity; me: boolean };

export type Message = {
  id: string;
  author: Author;
  text: string;
  reply_to: string | null;
  sent_at: string;
  received_at: string;
  state: Delivery | null;
  late: boolean;
  parents: string[];
};

export type StateChange = { id: string; state: Delivery };
export type Settings = { read_receipts: boolean };

/** How long a mailbox keeps what is put there. */
export type Days = 1 | 7;

/** A mailbox that is chosen. */
export type Mailbox = {
  url: string;
  days: Days;
  queues_open: number;
  queues: number;
  /** What went wrong and what to do; absent if all is well. */
  trouble?: string;
};

/** A mailbox that is wanted; what is not said stays as it is. */
export type ChosenMailbox = { url: string; days?: Days; access?: string };

/** How the person is found. */
export type Finding = {
  /** Addresses of the bootstraps that are chosen. */
  bootstraps: string[];
  /** Whether strangers who know the id can find the person. */
  findable: boolean;
  /** Whether contacts learn relayed addresses alone. */
  relay_only: boolean;
  /** Whether there is any bootstrap, those of the command line and built-in ones included. */
  on: boolean;
  /** Bootstraps through which others reach this device now. */
  relays: number;
};

/** What is to change of it; what is not said stays as it is. */
export type ChangeFinding = Partial<Pick<Finding, "bootstraps" | "findable" | "relay_only">>;

/** Somebody who is looked for by an id alone. */
export type Sought = { id: string; name?: string; greeting: string };

export type NodeEvent =
  | { type: "message"; contact: string; message: Message; unread: number }
  | { type: "state"; contact: string; messages: StateChange[] }
  | { type: "contact"; contact: Contact }
  | { type: "contact_removed"; account: string }
  | { type: "account" }
  | { type: "sought" }
  | { type: "linking"; guest: Guest | null; code: string | null }
  | { type: "rewritten"; contact: string }
  | { type: "cut_off"; is_final: boolean }
  | { type: "resync" };
