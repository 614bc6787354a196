// SPDX-License-Identifier: Apache-2.0
// The address decides what is shown. Links are ordinary links; a click on one of ours loads nothing.
import { useEffect, useState } from './html.js';

const listeners = new Set();

const here = () => ({ path: location.pathname, query: new URLSearchParams(location.search) });

function tell() {
  for (const f of [...listeners]) f();
}

/** Goes to a path of ours. */
export function navigate(path, { replace = false } = {}) {
  history[replace ? 'replaceState' : 'pushState'](null, '', path);
  window.scrollTo(0, 0);
  tell();
}

/** Changes the query of this page, without a new entry in the history. */
export function setQuery(changes) {
  const query = new URLSearchParams(location.search);

  for (const [k, v] of Object.entries(changes)) {
    if (v) query.set(k, v);
    else query.delete(k);
  }
  const text = query.toString();
  history.replaceState(null, '', location.pathname + (text ? `?${text}` : ''));
  tell();
}

function onClick(ev) {
  const a = ev.target.closest?.('a[href]');

  if (!a || ev.defaultPrevented || ev.button !== 0 || ev.metaKey || ev.ctrlKey || ev.shiftKey || ev.altKey) return;
  if (a.origin !== location.origin || a.target || a.hasAttribute('download')) return;
  if (a.pathname.startsWith('/api/') || a.pathname.startsWith('/assets/')) return;
  ev.preventDefault();
  navigate(a.pathname + a.search);
}

/** The parameters of a path, or null: match('/runs/{id}', '/runs/x') -> {id: 'x'}. */
export function match(pattern, path) {
  const want = pattern.split('/');
  const got = path.split('/');
  const params = {};

  if (want.length !== got.length) return null;
  for (let i = 0; i < want.length; i++) {
    if (want[i].startsWith('{')) {
      if (!got[i]) return null;
      params[want[i].slice(1, -1)] = decodeURIComponent(got[i]);
    } else if (want[i] !== got[i]) {
      return null;
    }
  }
  return params;
}

/** {path, query} of the address, followed. */
export function useLocation() {
  const [at, set] = useState(here);

  useEffect(() => {
    const changed = () => set(here());

    listeners.add(changed);
    window.addEventListener('popstate', changed);
    return () => {
      listeners.delete(changed);
      window.removeEventListener('popstate', changed);
    };
  }, []);
  return at;
}

document.addEventListener('click', onClick);
