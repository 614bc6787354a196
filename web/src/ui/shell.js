// SPDX-License-Identifier: Apache-2.0
// What is around every page: the bar with navigation, search, connection, theme and session, and the live
// regions that say failures aloud.
import { get, session as sessionApi } from '../lib/api.js';
import { localTime } from '../lib/format.js';
import { html, useEffect, useLayoutEffect, useState } from '../lib/html.js';
import { lineNow, onEvent, onNotice, setSession, useLink, useSession } from '../lib/store.js';
import { Icon } from './icons.js';
import { KeyHelp, listen } from './keys.js';
import { Time } from './parts.js';
import { Search } from './search.js';

const NAV = [
  ['/', 'Wall'],
  ['/jobs', 'Jobs'],
  ['/runs', 'Runs'],
  ['/units', 'Units'],
  ['/quality', 'Quality'],
  ['/pools', 'Pools'],
  ['/recipes', 'Recipes'],
  ['/ports', 'Ports'],
  ['/events', 'Events'],
];

const LINKS = {
  live: ['live', 'The page follows the line as it happens'],
  connecting: ['connecting', 'Connecting to provd'],
  lost: ['no data', 'provd is not heard: what is shown is old. The page comes back by itself'],
};

function isDark() {
  const chosen = document.documentElement.dataset.theme;

  return chosen ? chosen === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
}

function toggleTheme() {
  const next = isDark() ? 'light' : 'dark';

  document.documentElement.dataset.theme = next;
  localStorage.setItem('provd.theme', next);
  return next;
}

function LinkState() {
  const link = useLink();
  const [word, title] = LINKS[link];

  return html`<span class="link-state link-${link}" role="status" title=${title}><span class="dot"></span>${word}</span>`;
}

function Nav({ path }) {
  const below = { '/': path === '/' || path.startsWith('/stations/'), '/units': path.startsWith('/units') || path === '/recall' };
  const current = (to) => below[to] ?? path.startsWith(to);

  return html`<nav aria-label="Pages">
    ${NAV.map(
      ([to, name]) => html`<a key=${to} href=${to} aria-current=${current(to) ? 'page' : undefined}>${name}</a>`,
    )}
  </nav>`;
}

const STOPS = {
  runs: 'no new run begins',
  orders: 'no order is taken',
  changes: 'nothing is changed',
  dates: 'no unit is given a date',
};
const HOLDS_MS = 5000;

/** What keeps the line from working, and that it can be listened to: on every page for as long as it is true. */
function Banners() {
  const [holds, setHolds] = useState([]);
  const [insecure, setInsecure] = useState(false);

  useEffect(() => {
    const look = () => {
      if (document.hidden) return;
      get('/summary').then((s) => setHolds(s.holds || []), () => {});
    };
    const timer = setInterval(look, HOLDS_MS);
    const stop = onEvent((e) => e.type === 'caught-up' && look());

    look();
    document.addEventListener('visibilitychange', look);
    get('/version').then((v) => setInsecure(v.insecure === true), () => {});
    return () => {
      clearInterval(timer);
      stop();
      document.removeEventListener('visibilitychange', look);
    };
  }, []);
  return html`<div class="banners">
    ${holds.map(
      (h, i) =>
        html`<section key=${i} class="banner hold" role="alert" aria-label="Held: ${h.code}">
          <${Icon} name="triangle" />
          <p><strong>${h.message}</strong> ${h.hint}</p>
          <p class="banner-more"><code>${h.code}</code> since <${Time} at=${h.since} />${
            h.stops?.length > 0 && `: ${h.stops.map((k) => STOPS[k] || k).join(', ')}`
          }</p>
        </section>`,
    )}
    ${insecure &&
    html`<section class="banner insecure" role="note">
      <${Icon} name="triangle" />
      <p>This provd serves the network without TLS: tokens and firmware can be read on the way. Give it a certificate
        (<code>tls</code> in <code>provd.yaml</code>), or let it listen on this machine alone.</p>
    </section>`}
  </div>`;
}

/** Over all else, and not grey: how old the grey page is. */
function Stale() {
  const lost = useLink() === 'lost';

  // Before the paint, so that no frame says "live" on a grey page.
  useLayoutEffect(() => {
    document.documentElement.classList.toggle('stale', lost);
    return () => document.documentElement.classList.remove('stale');
  }, [lost]);
  if (!lost) return null;
  return html`<p class="stale-banner" role="alert">
    <${Icon} name="bolt" /><b>No data since ${localTime(new Date(lineNow()).toISOString())}</b>
    <span>provd does not answer. The page comes back by itself.</span>
  </p>`;
}

function LiveRegions() {
  const [urgent, setUrgent] = useState('');
  const [calm, setCalm] = useState('');

  useEffect(() => onNotice((text, now) => (now ? setUrgent(text) : setCalm(text))), []);
  return html`
    <div class="hidden" aria-live="assertive" role="alert">${urgent}</div>
    <div class="hidden" aria-live="polite">${calm}</div>
  `;
}

async function signOut() {
  try {
    await sessionApi.close();
  } finally {
    setSession(null);
  }
}

export function Shell({ path, children }) {
  const session = useSession();
  const [help, setHelp] = useState(false);
  const [dark, setDark] = useState(isDark());
  const flip = () => setDark(toggleTheme() === 'dark');

  useEffect(() => listen({ help: () => setHelp(true), theme: flip }), []);
  return html`
    <a class="skip" href="#main" onClick=${(ev) => {
      ev.preventDefault();
      document.getElementById('main').focus();
    }}>Skip to the content</a>
    <header class="bar">
      <a class="brand" href="/" aria-label="provd, station wall"><span class="mark" aria-hidden="true"></span>provd</a>
      <${Nav} path=${path} />
      <${Search} />
      <${LinkState} />
      <div class="bar-tools">
        <button type="button" class="quiet icon-only" aria-label="Keyboard help" title="Keyboard ( ? )"
          onClick=${() => setHelp(true)}><${Icon} name="help" /></button>
        <button type="button" class="quiet icon-only" aria-label=${dark ? 'Light theme' : 'Dark theme'}
          title="Light or dark ( t )" onClick=${flip}><${Icon} name=${dark ? 'sun' : 'moon'} /></button>
        <span class="who" title="Signed in as ${session.name}">${session.name}<small>${session.role}</small></span>
        <button type="button" class="quiet icon-only" aria-label="Sign out" title="Sign out"
          onClick=${signOut}><${Icon} name="exit" /></button>
      </div>
    </header>
    <${Stale} />
    <${Banners} />
    <main id="main" tabindex="-1">${children}</main>
    <${LiveRegions} />
    ${help && html`<${KeyHelp} onClose=${() => setHelp(false)} />`}
  `;
}
