// Shows one's own link, to be given to somebody.

import { useEffect, useState } from "preact/hooks";
import * as api from "../../api/client";
import type { Invite } from "../../api/types";
import { shortAccount } from "../../model/contacts";
import { CopyButton, Problem, Spinner } from "../controls";
import { Dialog } from "./dialog";
import { useTask } from "./use-task";

export function MyLink({ onClose }: { onClose: () => void }) {
  const [invite, setInvite] = useState<Invite | null>(null);
  const { problem, run } = useTask();
  useEffect(() => run(async () => setInvite(await api.invite())), []);
  return (
    <Dialog title="My link" onClose={onClose}>
      {invite === null && problem === null && <Spinner label="Making the link…" />}
      <Problem text={problem} />
      {invite !== null && <Shown invite={invite} />}
    </Dialog>
  );
}

function Shown({ invite: { link, account, qr_svg_path } }: { invite: Invite }) {
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
      <p>
        Your account: <code title={account}>{shortAccount(account)}</code>
      </p>
      <p class="soft">
        The link tells whoever has it two things: your account, and the network addresses at which your device can be
        reached now. It lets nobody read your messages.
      </p>
    </div>
  );
}
