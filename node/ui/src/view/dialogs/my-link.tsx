// Shows one's own link, to be given to somebody.

import { useEffect, useState } from "preact/hooks";
import * as api from "../../api/client";
import type { Finding, Invite } from "../../api/types";
import { loadFinding } from "../../actions/finding";
import { groupedAccount, shortAccount } from "../../model/contacts";
import { idServes } from "../../model/finding";
import { CopyButton, Problem, Spinner } from "../controls";
import { useApp } from "../use-app";
import { Dialog } from "./dialog";
import { useTask } from "./use-task";

export function MyLink({ onClose }: { onClose: () => void }) {
  const [invite, setInvite] = useState<Invite | null>(null);
  const finding = useApp((state) => state.finding);
  const { problem, run } = useTask();
  const load = async () => {
    const [invite] = await Promise.all([api.invite(), loadFinding()]);
    setInvite(invite);
  };
  useEffect(() => run(load), []);
  return (
    <Dialog title="My link" onClose={onClose}>
      {invite === null && problem === null && <Spinner label="Making the link…" />}
      <Problem text={problem} />
      {invite !== null && <Shown invite={invite} finding={finding} />}
    </Dialog>
  );
}

type ShownProps = { invite: Invite; finding: Finding | null };

function Shown({ invite: { link, account, qr_svg_path }, finding }: ShownProps) {
  return (
    <div class="my-link">
      <p>Give this to somebody who should be able to write to you. They stay a request until you accept.</p>
      <img class="qr" src={qr_svg_path} alt="QR code of your link" width={240} height={240} />
      <label class="field">
        <span>Link</span>
        <textarea class="code" rows={4} readOnly value={link} onFocus={(event) => event.currentTarget.select()} />
      </label>
      <div class="actions">
        <CopyButton text={link} label="Copy link" />
      </div>
      {idServes(finding) ? (
        <IdAlone id={account} />
      ) : (
        <p>
          Your account: <code title={account}>{shortAccount(account)}</code>
        </p>
      )}
      <p class="soft">
        The link tells whoever has it two things: your account, and{" "}
        {finding?.relay_only ? "the relays through which" : "the network addresses at which"} your device can be reached
        now. It lets nobody read your messages.
      </p>
    </div>
  );
}

function IdAlone({ id }: { id: string }) {
  return (
    <section aria-labelledby="own-id">
      <h3 id="own-id">Your id</h3>
      <p class="account">
        {groupedAccount(id).map((group, at) => (
          <span key={at}>{group}</span>
        ))}
      </p>
      <p class="soft">
        With your id alone, somebody who has a bootstrap too can look for you and ask you; the link is faster and works
        without.
      </p>
      <div class="actions">
        <CopyButton text={id} label="Copy id" />
      </div>
    </section>
  );
}
