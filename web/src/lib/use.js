// SPDX-License-Identifier: Apache-2.0
// Hooks of the pages: a resource of the API that follows the events, the time, one action at a time.
import { get } from './api.js';
import { useCallback, useEffect, useRef, useState } from './html.js';
import { lineNow, onEvent } from './store.js';

const tickers = new Set();
let timer = 0;

function tick() {
  for (const f of [...tickers]) f();
}

/** The line's time, once a second while `on`: it stops while provd is not heard. One timer serves all. */
export function useNow(on = true) {
  const [now, set] = useState(lineNow);

  useEffect(() => {
    if (!on) return undefined;
    const f = () => set(lineNow());

    f();
    tickers.add(f);
    if (!timer) timer = setInterval(tick, 1000);
    return () => {
      tickers.delete(f);
      if (!tickers.size) {
        clearInterval(timer);
        timer = 0;
      }
    };
  }, [on]);
  return now;
}

/**
 * GET of a path, and again when an event comes that `concerns` accepts; events that come together cause one
 * request. {data, problem, loading, reload}.
 */
export function useResource(path, concerns = null) {
  const [at, set] = useState({ path: null, data: null, problem: null });
  const live = useRef(path);
  const wanted = useRef(concerns);
  const load = useCallback(async () => {
    if (!path) return;
    try {
      const data = await get(path);
      if (live.current === path) set({ path, data, problem: null });
    } catch (problem) {
      if (live.current === path) set((was) => ({ path, data: was.path === path ? was.data : null, problem }));
    }
  }, [path]);

  live.current = path;
  wanted.current = concerns;
  useEffect(() => {
    let again = 0;

    load();
    const stop = onEvent((e) => {
      if (!wanted.current || again || (e.type !== 'caught-up' && !wanted.current(e))) return;
      again = setTimeout(() => {
        again = 0;
        load();
      }, 250);
    });
    return () => {
      stop();
      clearTimeout(again);
    };
  }, [load]);
  const mine = at.path === path;
  return {
    data: mine ? at.data : null,
    problem: mine ? at.problem : null,
    loading: Boolean(path) && !mine,
    reload: load,
  };
}

/** What an item is known by, on whichever page it is. */
const keyOf = (o) => o.id ?? o.k ?? o.seq ?? o.first ?? o.value ?? o.run;

/** So many items are looked for before anybody asks for more. */
const FEW = 20;

/**
 * A list that is read page by page: {items, more, loadMore, problem, loading, busy}. A page may have few items, or none, where a filter
 * finds few in a long list: the next ones are read at once then.
 */
export function usePages(path, concerns = null) {
  const [rest, setRest] = useState({ path: null, of: null, asked: false, items: [], next: null });
  // With further pages on the screen that somebody asked for, a new first page would leave a hole before them.
  const first = useResource(path, rest.path === path && rest.asked ? null : concerns);
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState(null);
  const mine = rest.path === path && first.data && (rest.asked || rest.of === first.data);
  const next = mine ? rest.next : first.data?.next_cursor;
  const known = new Set((first.data?.items || []).map(keyOf));
  const count = (first.data?.items.length || 0) + (mine ? rest.items.length : 0);
  const load = async (asked) => {
    setBusy(true);
    setFailed(null);
    try {
      const page = await get(`${path}${path.includes('?') ? '&' : '?'}cursor=${encodeURIComponent(next)}`);
      setRest({
        path,
        of: first.data,
        asked: asked || Boolean(mine && rest.asked),
        items: [...(mine ? rest.items : []), ...page.items],
        next: page.next_cursor,
      });
    } catch (problem) {
      setFailed(problem);
    }
    setBusy(false);
  };

  useEffect(() => {
    if (next && count < FEW && !busy && !failed) load(false);
  }, [path, next, count, busy, failed]);
  return {
    items: first.data
      ? [...first.data.items, ...(mine ? rest.items.filter((o) => !known.has(keyOf(o))) : [])]
      : null,
    more: Boolean(next),
    loadMore: () => load(true),
    busy,
    problem: first.problem || failed,
    loading: first.loading,
    reload: first.reload,
  };
}

/** One action at a time: [busy, problem, run(f), clear]. */
export function useAction() {
  const [at, set] = useState({ busy: false, problem: null });
  const run = async (f) => {
    set({ busy: true, problem: null });
    try {
      const r = await f();
      set({ busy: false, problem: null });
      return r;
    } catch (problem) {
      set({ busy: false, problem });
      return undefined;
    }
  };

  return { ...at, run, clear: () => set({ busy: false, problem: null }) };
}
