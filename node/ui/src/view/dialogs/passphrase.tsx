// Asks for the passphrase where the home has one.

import { useApp } from "../use-app";

type Props = { typed: string; onType: (text: string) => void; first?: boolean };

export function Passphrase({ typed, onType, first }: Props) {
  const needed = useApp((state) => state.status?.takes_passphrase !== false);
  if (!needed) return null;
  return (
    <label class="field">
      <span>Passphrase of this node</span>
      <input
        data-first={first}
        type="password"
        autocomplete="current-password"
        value={typed}
        onInput={(event) => onType(event.currentTarget.value)}
      />
    </label>
  );
}
