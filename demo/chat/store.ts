/** State of the page that views look at. Renders happen at once and in the order of `watch`. */
export interface Store<S> {
  readonly state: S;
  /** Replaces some fields and renders the views whose selection changed. */
  update(change: Partial<S>): void;
  /** Calls `render` now, and again whenever what `select` returns is another value. */
  watch<T>(select: (state: S) => T, render: (selected: T, state: S) => void): void;
}

/** A {@link Store} that starts with `initial`. */
export function createStore<S extends object>(initial: S): Store<S> {
  let state = initial;
  const watchers: (() => void)[] = [];
  return {
    get state() {
      return state;
    },
    update(change) {
      state = { ...state, ...change };
      for (const watcher of watchers) watcher();
    },
    watch(select, render) {
      let last = select(state);
      render(last, state);
      watchers.push(() => {
        const next = select(state);
        if (Object.is(next, last)) return;
        last = next;
        render(next, state);
      });
    },
  };
}
