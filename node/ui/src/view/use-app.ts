// Lets a component follow a part of the state.

import { useLayoutEffect, useReducer, useRef } from "preact/hooks";
import type { State } from "../model/state";
import { current, watch } from "../model/store";

export function useApp<T>(select: (state: State) => T): T {
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  const value = select(current());
  const latest = useRef({ select, value });
  latest.current = { select, value };
  useLayoutEffect(() => {
    const look = () => {
      const { select, value } = latest.current;
      if (!Object.is(select(current()), value)) redraw(undefined);
    };
    look();
    return watch(look);
  }, []);
  return value;
}
