// Switches, and what this node is.

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import * as api from "../../api/client";
import type { Status } from "../../api/types";
import { loadAccount } from "../../actions/account";
import { loadFinding } from "../../actions/finding";
import { loadMailboxes } from "../../actions/mailboxes";
import * as notices from "../../actions/notices";
import { loadStatus } from "../../actions/status";
import { groupedAccount } from "../../model/contacts";
import { brokenRules, refusalWord } from "../../model/words";
import { CopyButton, Problem, Spinner, Switch } from "../controls";
import type { Opened } from "../dialogs";
import { useApp } from "../use-app";
import { Dialog } from "./dialog";
import { FindingSummary } from "./finding";
import { MailboxSummary } from "./mailboxes";
import { OwnDevices } from "./own-devices";
import { useTask } from "./use-task";

type Props = { onOpen: (dialog: Opened) => void; onClose: () => void };

export function Settings({ onOpen, onClose }: Props) {
  const status = useApp((state) => state.status);
  const { problem, run } = useTask();
  useEffect(() => run(async () => void (await Promise.all([loadStatus(), loadAccount(), loadMailboxes(), loadFinding()]))), []);
  return (
    <Dialog title="Settings" onClose={onClose}>
      <ReadReceipts />
      <Notices />
      <OwnDevices onOpen={onOpen} />
      <FindingSummary onOpen={onOpen} />
      <MailboxSummary onOpen={onOpen} />
      <Problem text={problem} />
      {status === null ? problem === null && <Spinner label="Asking the node…" /> : <ThisNode status={status} />}
    </Dialog>
  );
}

function ReadReceipts() {
  const [on, setOn] = useState<boolean | null>(null);
  const { problem, run } = useTask();
  useEffect(() => run(async () => setOn((await api.settings()).read_receipts)), []);
  const save = (read_receipts: boolean) => {
    setOn(read_receipts);
    run(async () => {
      await api.saveSettings({ read_receipts }).catch((error: unknown) => {
        setOn(!read_receipts);
        throw error;
      });
      await loadStatus();
    });
  };
  return (
    <>
      {on !== null && (
        <Switch label="Read receipts" on={on} onChange={save}>
          Tells people when you have read what they wrote. Off unless you want it. Without it they still see that a
          message was delivered.
        </Switch>
      )}
      <Problem text={problem} />
    </>
  );
}

function Notices() {
  const [on, setOn] = useState(notices.wanted());
  const [refused, setRefused] = useState(false);
  if (!notices.supported()) return null;
  const want = async (wish: boolean) => {
    setOn(wish);
    const now = await notices.want(wish);
    setOn(now);
    setRefused(wish && !now);
  };
  return (
    <>
      <Switch label="Desktop notifications" on={on} onChange={(wish) => void want(wish)}>
        Says who wrote while this page is open in the background, never what. The text stays in here.
      </Switch>
      <Problem
        text={refused ? "The browser does not allow notifications for this page. Allow them in its site settings." : null}
      />
    </>
  );
}

function Fact({ word, children }: { word: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{word}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function ThisNode({ status }: { status: Status }) {
  return (
    <section aria-labelledby="node">
      <h3 id="node">This node</h3>
      <dl>
        <Fact word="Name">
          <bdi>{status.name}</bdi>
        </Fact>
        <Fact word="Account">
          <p class="account">
            {groupedAccount(status.account).map((group, at) => (
              <span key={at}>{group}</span>
            ))}
          </p>
          <CopyButton text={status.account} label="Copy account" />
        </Fact>
        <Fact word="Device">
          <code>{status.device}</code>
        </Fact>
        <Fact word="Connections">{status.peers}</Fact>
        <Fact word="Listens on">
          <ul>
            {status.listening.map((address) => (
              <li key={address}>
                <code>{address}</code>
              </li>
            ))}
          </ul>
          {status.listening.length === 0 && "No address"}
        </Fact>
        <Fact word="Version">{status.version}</Fact>
      </dl>
      <Refusals refusals={status.refusals} />
    </section>
  );
}

function Refusals({ refusals }: { refusals: Record<string, number> }) {
  const counts = brokenRules(refusals);
  return (
    <>
      <h3>Refused input</h3>
      <p class="soft">What others sent that broke a rule, since the node started. It was thrown away.</p>
      {counts.length === 0 && <p>Nothing so far.</p>}
      {counts.length > 0 && (
        <dl>
          {counts.map(([kind, count]) => (
            <Fact key={kind} word={refusalWord(kind)}>
              {count}
            </Fact>
          ))}
        </dl>
      )}
    </>
  );
}
