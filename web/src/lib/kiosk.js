// SPDX-License-Identifier: Apache-2.0
// What keeps a kiosk alive: its token, the screen's light, and the newest page. The token is kept in this browser, so
// that a session that ended begins again with nobody there; that is why it must be one that can only read.
import { session as sessionApi } from './api.js';
import { kiosk } from './choices.js';
import { t } from './lang.js';
import { onEvent, setSession } from './store.js';

const KEPT = 'provd.kiosk';
const RETRY_MS = 5000;

/** Where the modules of this page are: another build has another path. */
const ROOT = new URL('..', import.meta.url).pathname;

/** Why the token of the address was not kept. */
let refused = null;

/** The session that this browser still has, if it may only read. */
async function present() {
  try {
    const s = await sessionApi.read();

    return s.role === 'viewer' ? s : null;
  } catch {
    return null;
  }
}

/**
 * The session that there is, or a new one with the kiosk's token: that of the address, or the one that is kept. Throws what
 * is in the way.
 */
export async function openKiosk(given) {
  const had = given ? null : await present();

  if (had) return had;
  const token = given || localStorage.getItem(KEPT);

  if (!token) throw refused || new Error(t('kiosk_needs_token'));
  const s = await sessionApi.open(token);
  if (s.role !== 'viewer') {
    await sessionApi.close();
    refused = new Error(t('kiosk_token_may_write', { role: s.role }));
    throw refused;
  }
  localStorage.setItem(KEPT, token);
  return s;
}

/** Tries again and again; told(problem) says why there is no session yet. Returns how to stop. */
export function reopenKiosk(told) {
  let timer = 0;
  let stopped = false;
  const again = async () => {
    try {
      const s = await openKiosk('');

      if (!stopped) setSession(s);
    } catch (problem) {
      if (stopped) return;
      told(problem);
      timer = setTimeout(again, RETRY_MS);
    }
  };

  again();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

/** Calls found() when provd serves another page than this one, after an upgrade say. Returns how to stop. */
export function onNewerPage(found) {
  const look = async () => {
    try {
      const answer = await fetch('/', { cache: 'no-store' });

      if (answer.ok && !(await answer.text()).includes(ROOT)) found();
    } catch {
      // it went away again: the next time
    }
  };

  // Also now: the stream may have caught up before anyone listened here.
  look();
  return onEvent((e) => e.type === 'caught-up' && look());
}

async function keepLight() {
  try {
    if (!document.hidden) await navigator.wakeLock?.request('screen');
  } catch {
    // refused, with a low battery say
  }
}

if (kiosk) {
  document.documentElement.classList.add('kiosk');
  document.addEventListener('visibilitychange', keepLight);
  keepLight();
}
