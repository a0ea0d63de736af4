// How people find each other: bootstraps, and what others learn.

import { useEffect, useRef, useState } from "preact/hooks";
import type { ChangeFinding, Finding } from "../../api/types";
import { changeFinding, loadFinding, lookAgain } from "../../actions/finding";
import { announce } from "../../actions/notices";
import { addressesIn, type Bootstrap, BOOTSTRAPS_MAX, bootstrapsOf, reachWords, shortAddress } from "../../model/finding";
import { Action, IconButton, Problem, Spinner, Switch } from "../controls";
import type { Opened } from "../dialogs";
import { Icon } from "../icons";
import { useApp } from "../use-app";
import { Dialog } from "./dialog";
import { useTask } from "./use-task";

const LOOK_MS = 2_000;

/** The part of the settings that leads here. */
export function FindingSummary({ onOpen }: { onOpen: (dialog: Opened) => void }) {
  const finding = useApp((state) => state.finding);
  return (
    <section aria-labelledby="finding">
      <h3 id="finding">Finding each other</h3>
      {finding === null ? <Spinner label="Asking the node…" /> : <p>{reachWords(finding)}</p>}
      <div class="actions">
        <Action onClick={() => onOpen({ kind: "finding", back: { kind: "settings" } })}>Finding each other…</Action>
      </div>
    </section>
  );
}

export function FindingEachOther({ onClose }: { onClose: () => void }) {
  const finding = useApp((state) => state.finding);
  const { problem, run } = useTask();
  useEffect(() => run(loadFinding), []);
  useEffect(() => {
    const timer = setInterval(() => void lookAgain(), LOOK_MS);
    return () => clearInterval(timer);
  }, []);
  return (
    <Dialog title="Finding each other" onClose={onClose}>
      <p>
        Bootstraps are servers through which you and your contacts find each other, wherever you are. Where your
        devices cannot be connected directly, a bootstrap passes on what they send.
      </p>
      <p class="soft">
        A bootstrap can read nothing. It sees network addresses, and which of them it connects. Anybody can run one. Your
        choice counts for all your devices.
      </p>
      <Problem text={problem} />
      {finding === null ? (
        problem === null && <Spinner label="Asking the node…" />
      ) : (
        <>
          <Chosen finding={finding} />
          <WhatOthersLearn finding={finding} />
        </>
      )}
    </Dialog>
  );
}

function Chosen({ finding }: { finding: Finding }) {
  const { busy, problem, run } = useTask();
  const heading = useRef<HTMLHeadingElement>(null);
  const { bootstraps } = finding;
  const remove = ({ addresses }: Bootstrap) =>
    run(async () => {
      await changeFinding({ bootstraps: bootstraps.filter((one) => !addresses.includes(one)) });
      announce("The bootstrap was removed.");
      heading.current?.focus();
    });
  return (
    <>
      <section aria-labelledby="bootstraps">
        <h3 id="bootstraps" ref={heading} tabIndex={-1}>
          Your bootstraps
        </h3>
        <p role="status">{reachWords(finding)}</p>
        {bootstraps.length === 0 && finding.on && (
          <p class="soft">You have chosen none: those that this node came with, or was started with, are used.</p>
        )}
        {bootstraps.length > 0 && (
          <ul class="devices" aria-busy={busy}>
            {bootstrapsOf(bootstraps).map((one) => (
              <Row key={one.addresses[0]} bootstrap={one} onRemove={() => remove(one)} />
            ))}
          </ul>
        )}
        <Problem text={problem} />
      </section>
      {bootstraps.length < BOOTSTRAPS_MAX ? (
        <Add bootstraps={bootstraps} />
      ) : (
        <p class="soft">More than {BOOTSTRAPS_MAX} addresses cannot be chosen. Remove one to add another.</p>
      )}
    </>
  );
}

function Row({ bootstrap: { name, addresses }, onRemove }: { bootstrap: Bootstrap; onRemove: () => void }) {
  return (
    <li class="device">
      <Icon name="relay" />
      <div>
        <p class="device-name">
          <bdi>{name}</bdi>
        </p>
        {addresses.map((address) => (
          <p key={address} class="device-standing bootstrap-address">
            <code title={address}>{shortAddress(address)}</code>
          </p>
        ))}
      </div>
      <IconButton icon="trash" label={`Remove ${name}`} onClick={onRemove} />
    </li>
  );
}

function Add({ bootstraps }: { bootstraps: string[] }) {
  const [typed, setTyped] = useState("");
  const { busy, problem, run } = useTask();
  const field = useRef<HTMLTextAreaElement>(null);
  const wanted = addressesIn(typed);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (wanted.length === 0) return;
    run(async () => {
      await changeFinding({ bootstraps: [...bootstraps, ...wanted] });
      announce("The bootstrap was added.");
      setTyped("");
      field.current?.focus();
    });
  };
  return (
    <form onSubmit={submit} aria-labelledby="add-bootstrap">
      <h3 id="add-bootstrap">Add a bootstrap</h3>
      <label class="field">
        <span>Its addresses</span>
        <textarea
          ref={field}
          class="code"
          rows={2}
          value={typed}
          spellcheck={false}
          autocomplete="off"
          autocapitalize="off"
          aria-required="true"
          onInput={(event) => setTyped(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
            event.preventDefault();
            event.currentTarget.form?.requestSubmit();
          }}
        />
        <small>
          One or more, such as /dnsaddr/bootstrap.example.org. Who runs it tells you; it prints them when it starts.
        </small>
      </label>
      <Problem text={problem} />
      <div class="actions">
        <Action kind="primary" submit busy={busy} disabled={wanted.length === 0}>
          Add bootstrap
        </Action>
      </div>
    </form>
  );
}

function WhatOthersLearn({ finding }: { finding: Finding }) {
  return (
    <section aria-labelledby="what-others-learn">
      <h3 id="what-others-learn">What others learn</h3>
      <Saved label="People who know my id can find me" on={finding.findable} change={(findable) => ({ findable })}>
        They can look for you and ask to be your contact; where you are they do not learn. Switched off, only your whole
        link leads to you.
      </Saved>
      <Saved
        label="Hide my network addresses from contacts"
        on={finding.relay_only}
        change={(relay_only) => ({ relay_only })}
      >
        Everything then goes through bootstraps, which still see your addresses. It is slower, and nothing works while
        none of them answers, not even in the local network.
      </Saved>
    </section>
  );
}

type SavedProps = { label: string; on: boolean; change: (on: boolean) => ChangeFinding; children: string };

/** A switch that shows what is wanted until the node has said what is. */
function Saved({ label, on, change, children }: SavedProps) {
  const [wish, setWish] = useState<boolean | null>(null);
  const { problem, run } = useTask();
  const save = (wanted: boolean) => {
    setWish(wanted);
    run(() => changeFinding(change(wanted)).finally(() => setWish(null)));
  };
  return (
    <>
      <Switch label={label} on={wish ?? on} onChange={save}>
        {children}
      </Switch>
      <Problem text={problem} />
    </>
  );
}
