// How a person is shown: sign, name, validity, presence.

import type { Validity } from "../api/types";
import { initial, look } from "../model/contacts";
import { VALIDITY_WORD } from "../model/words";
import { Icon } from "./icons";

const LOOKS = 8;

/** A letter in a shape that depends on the account. It helps the eye; it proves nothing. */
export function Sign({ name, account, online }: { name: string; account: string; online?: boolean }) {
  return (
    <span class={`sign look-${look(account, LOOKS)}`} aria-hidden="true">
      {initial(name)}
      {online === true && <span class="presence" />}
    </span>
  );
}

export function ValidityBadge({ validity }: { validity: Validity }) {
  return (
    <span class={`validity validity-${validity}`}>
      <Icon name={validity} />
      {VALIDITY_WORD[validity]}
    </span>
  );
}

/** A name never stands without its validity. */
export function Person({ name, validity }: { name: string; validity: Validity }) {
  return (
    <span class="person">
      <bdi class="name">{name}</bdi> <ValidityBadge validity={validity} />
    </span>
  );
}
