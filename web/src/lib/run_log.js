// SPDX-License-Identifier: Apache-2.0
// The log of a run, whole and as it grows: the lines that are there, then those that the stream brings. A line
// that it left out, or that came while the stream was away, is read after the last one that is known.
import { enc, get } from './api.js';
import { useEffect, useRef, useState } from './html.js';
import { onEvent, onRunLog } from './store.js';

const PAGE = 1000;

/** {lines, problem, loading, reload}; nothing is read while id is empty. */
export function useRunLog(id) {
  const [at, set] = useState({ id: null, lines: null, problem: null });
  const reload = useRef(() => {});

  useEffect(() => {
    if (!id) return undefined;
    let live = true;
    let lines = [];
    let reading = false;
    let again = false;
    const show = (problem = null) => live && set({ id, lines, problem });
    const last = () => lines.at(-1)?.k ?? 0;

    const read = async () => {
      again = reading;
      if (reading) return;
      reading = true;
      try {
        for (let more = true; more && live; ) {
          const page = await get(`/runs/${enc(id)}/log?limit=${PAGE}${last() ? `&cursor=${last()}` : ''}`);

          if (!live) return;
          lines = [...lines, ...page.items.filter((l) => l.k > last())];
          more = Boolean(page.next_cursor);
        }
        show();
      } catch (problem) {
        show(problem);
      } finally {
        reading = false;
      }
      if (again && live) read();
    };
    const stop = [
      onRunLog(id, (told) => {
        const fresh = told.lines.filter((l) => l.k > last());

        if (reading || (fresh.length && fresh[0].k !== last() + 1)) {
          read();
          return;
        }
        lines = [...lines, ...fresh];
        show();
      }),
      onEvent((e) => {
        if (e.type === 'caught-up') read();
      }),
    ];

    reload.current = read;
    read();
    return () => {
      live = false;
      for (const f of stop) f();
    };
  }, [id]);
  const mine = at.id === id;
  return {
    lines: mine ? at.lines : null,
    problem: mine ? at.problem : null,
    loading: Boolean(id) && !mine,
    reload: () => reload.current(),
  };
}
