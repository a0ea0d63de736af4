// What the node's local API sends and takes.

export type Validity = "unvalidated" | "validated" | "compromised";
export type ContactStatus = "requested" | "pending" | "contact" | "blocked";
export type Delivery = "queued" | "delivered" | "delivered_all" | "read";

export type Session = { csrf: string; name: string; account: string };

export type Status = {
  name: string;
  account: string;
  device: string;
  version: string;
  listening: string[];
  peers: number;
  recovery_confirmed: boolean;
  read_receipts: boolean;
  refusals: Record<string, number>;
};

export type Invite = { link: string; account: string; qr_svg_path: string };

export type Contact = {
  name: string;
  account: string;
  status: ContactStatus;
  validity: Validity;
  devices: string[];
  online: boolean;
  unread: number;
  last_message: { text: string; sent_at: string } | null;
  greeting: string | null;
};

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

export type NodeEvent =
  | { type: "message"; contact: string; message: Message; unread: number }
  | { type: "state"; contact: string; messages: StateChange[] }
  | { type: "contact"; contact: Contact }
  | { type: "contact_removed"; account: string }
  | { type: "resync" };
