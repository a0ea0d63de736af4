// How the page asks the node.

import type {
  Account,
  ChangeFinding,
  ChosenMailbox,
  Contact,
  Finding,
  Guest,
  Invite,
  Mailbox,
  Message,
  Session,
  Settings,
  ShownCode,
  Sought,
  Status,
} from "./types";

/** A refusal or failure, with a text meant for the person at the screen. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }

  get unreachable(): boolean {
    return this.status === 0;
  }
}

export const PAGE_MESSAGES = 50;
export const TEXT_BYTES_MAX = 60_000;

/** Code of a refusal of a mailbox that may still be the right one. */
export const MAILBOX_UNSURE = "mailbox_unsure";

/** Code of the refusal to look for somebody while there is no bootstrap. */
export const NO_BOOTSTRAP = "no_bootstrap";

let csrf = "";

async function failure(response: Response): Promise<ApiError> {
  const body: unknown = await response.json().catch(() => null);
  const error = (body as { error?: { code?: unknown; message?: unknown } } | null)?.error;
  const code = typeof error?.code === "string" ? error.code : `http_${response.status}`;
  const message =
    typeof error?.message === "string"
      ? error.message
      : `The node answered with status ${response.status} and no explanation. Try again.`;
  return new ApiError(response.status, code, message);
}

async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (method !== "GET") headers["X-CSRF"] = csrf;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers,
      credentials: "same-origin",
      cache: "no-store",
      body: body === undefined ? null : JSON.stringify(body),
    });
  } catch {
    throw new ApiError(
      0,
      "unreachable",
      "The node does not answer. Start it again with “kith run”; this page reconnects by itself.",
    );
  }
  if (!response.ok) throw await failure(response);
  const text = await response.text();
  return (text === "" ? {} : JSON.parse(text)) as T;
}

async function remember(answer: Promise<Session>): Promise<Session> {
  const session = await answer;
  csrf = session.csrf;
  return session;
}

const contactPath = (account: string) => `/api/contacts/${encodeURIComponent(account)}`;

export const openSession = (token: string) => remember(ask<Session>("POST", "/api/session", { token }));
export const currentSession = () => remember(ask<Session>("GET", "/api/session"));
export const status = () => ask<Status>("GET", "/api/status");
export const invite = () => ask<Invite>("GET", "/api/invite");
export const contacts = () => ask<Contact[]>("GET", "/api/contacts");
export const contact = (account: string) => ask<Contact>("GET", contactPath(account));

export type NewContact = { link: string; name?: string; greeting?: string };
export const addContact = (contact: NewContact) => ask<Contact>("POST", "/api/contacts", contact);
export const renameContact = (account: string, name: string) =>
  ask<Contact>("PATCH", contactPath(account), { name });
export const changeContact = (account: string, change: "accept" | "block" | "unblock") =>
  ask<Contact>("POST", `${contactPath(account)}/${change}`, {});
export const removeContact = (account: string) => ask<object>("POST", `${contactPath(account)}/remove`, {});

export function messages(account: string, before?: string): Promise<Message[]> {
  const query = new URLSearchParams({ limit: String(PAGE_MESSAGES) });
  if (before !== undefined) query.set("before", before);
  return ask("GET", `${contactPath(account)}/messages?${query}`);
}

export const sendMessage = (account: string, text: string, replyTo: string | null) =>
  ask<{ id: string }>(
    "POST",
    `${contactPath(account)}/messages`,
    replyTo === null ? { text } : { text, reply_to: replyTo },
  );
export const markRead = (account: string) => ask<object>("POST", `${contactPath(account)}/read`, {});

export const saveSettings = (settings: Settings) => ask<object>("PUT", "/api/settings", settings);
export const settings = () => ask<Settings>("GET", "/api/settings");

export const mailboxes = () => ask<Mailbox[]>("GET", "/api/mailboxes");
export const chooseMailboxes = (mailboxes: ChosenMailbox[], force: boolean) =>
  ask<Mailbox[]>("PUT", "/api/mailboxes", { mailboxes, force });

export const finding = () => ask<Finding>("GET", "/api/finding");
export const changeFinding = (change: ChangeFinding) => ask<Finding>("PUT", "/api/finding", change);

export type LookFor = { id: string; name?: string; greeting?: string };
export const sought = () => ask<Sought[]>("GET", "/api/sought");
export const lookFor = (wanted: LookFor) => ask<Sought[]>("POST", "/api/sought", wanted);
export const stopLooking = (id: string) =>
  ask<object>("POST", `/api/sought/${encodeURIComponent(id)}/remove`, {});

export const recoveryWords = (passphrase: string) =>
  ask<{ words: string[] }>("POST", "/api/recovery/show", { passphrase });
export const confirmRecovery = (passphrase: string, words: Record<string, string>) =>
  ask<object>("POST", "/api/recovery/confirm", { passphrase, words });

export const deleteMessages = (account: string, ids: string[]) =>
  ask<{ deleted: number }>("POST", `${contactPath(account)}/messages/delete`, { ids });
export const clearConversation = (account: string, clear: { passphrase: string }) =>
  ask<{ deleted: number }>("POST", `${contactPath(account)}/clear`, clear);
export const keepDraft = (account: string, text: string) =>
  ask<object>("PUT", `${contactPath(account)}/draft`, { text });

const devicePath = (device: string) => `/api/account/devices/${encodeURIComponent(device)}`;

export const account = () => ask<Account>("GET", "/api/account");
export const linkDevice = () => ask<{ code: string; id: string; seconds_left: number }>("POST", "/api/account/link", {});
export const shownCode = () => ask<ShownCode>("GET", "/api/account/link");
export const closeLink = (id: string) => ask<object>("DELETE", `/api/account/link/${encodeURIComponent(id)}`);
export const pendingDevices = () => ask<Guest[]>("GET", "/api/account/pending");
export const confirmDevice = (check: string, passphrase: string) =>
  ask<Account>("POST", "/api/account/confirm", { check, passphrase });
export const renameDevice = (device: string, name: string) => ask<Account>("PATCH", devicePath(device), { name });

export type Untrust = { why: "removed" | "stolen"; since?: number; passphrase: string };
export const untrustDevice = (device: string, untrust: Untrust) =>
  ask<Account>("POST", `${devicePath(device)}/untrust`, untrust);
export const settleDevices = (devices: string[], passphrase: string) =>
  ask<Account>("POST", "/api/account/settle", { devices, passphrase });

export type Recover = { words: string; untrust: string[]; without?: string[]; keep_all?: boolean; since?: number };
export const recoverAccount = (recover: Recover) => ask<Account>("POST", "/api/account/recover", recover);
