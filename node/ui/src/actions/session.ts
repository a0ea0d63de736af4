// Opens the session, listens to the node, and comes back after the node was away.

import * as api from "../api/client";
import { openStream, type Stream } from "../api/events";
import type { NodeEvent, Session } from "../api/types";
import { contactOf } from "../model/state";
import { current, update } from "../model/store";
import { cutOff, guestChanged, loadAccount, loadGuest } from "./account";
import { dropContact, followHistory, loadContacts, noteMessage, putContact } from "./contacts";
import { keepAll } from "./drafts";
import { findingChanged, loadFinding, loadSought } from "./finding";
import { mailboxesChanged } from "./mailboxes";
import { tell } from "./notices";
import { attempt, reason, report } from "./problems";
import { loadStatus, noteAge, seenAgain, suggestLook } from "./status";
import { applyStates, place, reloadThreads, rewritten } from "./threads";

const RETRY_MS_FIRST = 500;
const RETRY_MS_MAX = 5_000;
/** A stream that lasted this long was a good one. */
const STEADY_MS = 5_000;

let stream: Stream | null = null;
let openedAt = 0;
/** Attempts to come back since the last good stream. */
let tries = 0;

const absent = (message: string | null) => update((state) => ({ ...state, phase: { kind: "absent", message } }));

function opened(session: Session): void {
  const { name, account } = session;
  update((state) => ({ ...state, phase: { kind: "open", name, account } }));
}

/** The one-time token of the launch address. It is dropped from the address at once. */
function launchToken(): string | null {
  const token = new URLSearchParams(location.hash.slice(1)).get("t");
  if (location.hash !== "") history.replaceState(history.state, "", location.pathname);
  return token;
}

/** A used token is no obstacle when this browser already has a good session. */
async function enter(token: string | null): Promise<Session> {
  if (token === null) return api.currentSession();
  try {
    return await api.openSession(token);
  } catch (error) {
    return api.currentSession().catch(() => Promise.reject(error));
  }
}

export async function start(): Promise<void> {
  const token = launchToken();
  try {
    opened(await enter(token));
  } catch (error) {
    absent(token === null ? null : reason(error));
    return;
  }
  await loadContacts().catch(report);
  followHistory();
  window.addEventListener("popstate", followHistory);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "hidden") keepAll();
    else seenAgain();
  });
  listen();
}

const isOpen = () => current().phase.kind === "open";

async function loadAll(): Promise<void> {
  try {
    await loadAccount();
    // A device that was cut off meanwhile keeps nothing: the node ends.
    if (!isOpen()) return stream?.close();
    await Promise.all([loadStatus(), loadGuest(), loadContacts(), loadSought(), loadFinding()]);
    keepAll();
    mailboxesChanged();
    if (contactOf(current(), current().selected) === null) followHistory();
    await reloadThreads();
  } catch (error) {
    report(error);
  }
}

function listen(): void {
  stream?.close();
  stream = openStream({
    opened() {
      openedAt = Date.now();
      update((state) => ({ ...state, connected: true }));
      void loadAll();
    },
    event: receive,
    lost() {
      if (openedAt > 0 && Date.now() - openedAt > STEADY_MS) tries = 0;
      openedAt = 0;
      void comeBack();
    },
  });
}

/** While the node is away nobody is known to be online. */
function away(): void {
  update((state) => ({
    ...state,
    connected: false,
    contacts: state.contacts?.map((contact) => ({ ...contact, online: false, connection: null })) ?? null,
  }));
}

/** Waits for the node. A restarted node knows no old session: then the page says so. */
async function comeBack(): Promise<void> {
  if (!isOpen()) return;
  const wait = tries === 0 ? 0 : Math.min(RETRY_MS_MAX, RETRY_MS_FIRST * 2 ** Math.min(tries - 1, 4));
  let next = listen;
  try {
    const session = await api.currentSession();
    if (!isOpen()) return;
    opened(session);
  } catch (error) {
    if (!isOpen()) return;
    if (error instanceof api.ApiError && error.status === 401) return absent(null);
    next = () => void comeBack();
  }
  // One lost stream that comes back at once is not worth a banner.
  if (tries > 0 || next !== listen) away();
  tries++;
  setTimeout(next, wait);
}

function receive(event: NodeEvent): void {
  if (!isOpen()) return;
  switch (event.type) {
    case "message": {
      const contact = contactOf(current(), event.contact);
      const shown = current().selected === event.contact && document.visibilityState === "visible";
      if (contact !== null) tell(contact, event.message, shown);
      void place(event.contact, event.message);
      void noteMessage(event.contact, event.message, event.unread);
      noteAge(event.message);
      break;
    }
    case "state":
      void applyStates(event.contact, event.messages);
      break;
    case "contact":
      putContact(event.contact);
      break;
    case "contact_removed":
      dropContact(event.account);
      break;
    case "account":
      void attempt(loadAccount);
      mailboxesChanged();
      findingChanged();
      suggestLook();
      break;
    case "sought":
      void attempt(loadSought);
      break;
    case "linking":
      guestChanged(event.guest, event.code);
      break;
    case "rewritten":
      void rewritten(event.contact);
      void attempt(async () => putContact(await api.contact(event.contact)));
      break;
    case "cut_off":
      stream?.close();
      cutOff(event.is_final);
      break;
    case "resync":
      void loadAll();
      break;
  }
}
