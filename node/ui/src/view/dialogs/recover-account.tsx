// Decides with the recovery words which devices the account has.

import { useState } from "preact/hooks";
import { recoverAccount } from "../../actions/account";
import { groupedAccount } from "../../model/contacts";
import { deviceName, mayStay, typedMoment } from "../../model/devices";
import { Action, Problem } from "../controls";
import { useApp } from "../use-app";
import { Dialog } from "./dialog";
import { useTask } from "./use-task";

/** How much of an account is shown: enough to tell one's own accounts apart. */
const GROUPS_SHOWN = 5;

export function RecoverAccount({ onClose }: { onClose: () => void }) {
  const own = useApp((state) => state.own);
  const others = own === null ? [] : own.devices.filter((one) => !one.is_this && mayStay(one));
  const [words, setWords] = useState("");
  const [gone, setGone] = useState<readonly string[]>(() =>
    others.filter((one) => one.standing === "former").map((one) => one.device),
  );
  const [without, setWithout] = useState<readonly string[]>([]);
  const [since, setSince] = useState("");
  const { busy, problem, run } = useTask();
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const moment = gone.length + without.length > 0 ? typedMoment(since) : undefined;
    run(async () => {
      await recoverAccount({
        words: words.trim(),
        untrust: [...gone],
        without: [...without],
        keep_all: true,
        ...(moment !== undefined && { since: moment }),
      });
      onClose();
    });
  };
  return (
    <Dialog title="Decide with your recovery words" onClose={onClose}>
      <form onSubmit={submit}>
        <p>
          The words overrule every device. This device stays, and so does each one that you do not mark; what you mark
          is out at once and for good.
        </p>
        <fieldset class="choices">
          <legend>Which devices must go?</legend>
          {others.map((one) => (
            <label key={one.device} class="choice">
              <input
                type="checkbox"
                checked={gone.includes(one.device)}
                onChange={({ currentTarget: { checked } }) =>
                  setGone((before) => (checked ? [...before, one.device] : before.filter((id) => id !== one.device)))
                }
              />
              <span>
                <bdi>{deviceName(one)}</bdi>
              </span>
            </label>
          ))}
          {others.length === 0 && <p class="soft">There is no other device.</p>}
        </fieldset>
        {own !== null && own.absorbed.length > 0 && (
          <LeftOut absorbed={own.absorbed} without={without} onChange={setWithout} />
        )}
        {gone.length + without.length > 0 && (
          <label class="field">
            <span>
              Since when were they not yours? <em>optional</em>
            </span>
            <input type="datetime-local" value={since} onInput={(event) => setSince(event.currentTarget.value)} />
            <small>What they wrote since then is not believed. Without a time: from now on.</small>
          </label>
        )}
        <label class="field">
          <span>Your 24 words</span>
          <textarea
            class="code"
            rows={5}
            value={words}
            autocomplete="off"
            autocapitalize="none"
            spellcheck={false}
            translate={false}
            onInput={(event) => setWords(event.currentTarget.value)}
          />
          <small>In their order, with blanks between them. Make sure that nobody looks over your shoulder.</small>
        </label>
        <Problem text={problem} />
        <div class="actions">
          <Action kind="primary" submit busy={busy} disabled={words.trim() === ""}>
            Decide
          </Action>
          <Action onClick={onClose}>Cancel</Action>
        </div>
      </form>
    </Dialog>
  );
}

type LeftOutProps = {
  absorbed: readonly string[];
  without: readonly string[];
  onChange: (without: readonly string[]) => void;
};

/** Accounts that became one with this one; a thief may have brought some in. */
function LeftOut({ absorbed, without, onChange }: LeftOutProps) {
  return (
    <fieldset class="choices">
      <legend>This account is one with others. Which of them are not yours?</legend>
      {absorbed.map((account) => (
        <label key={account} class="choice">
          <input
            type="checkbox"
            checked={without.includes(account)}
            onChange={({ currentTarget: { checked } }) =>
              onChange(checked ? [...without, account] : without.filter((one) => one !== account))
            }
          />
          <span class="account">{groupedAccount(account).slice(0, GROUPS_SHOWN).join(" ")} …</span>
        </label>
      ))}
      <p class="soft">What you mark goes, with all its devices.</p>
    </fieldset>
  );
}
