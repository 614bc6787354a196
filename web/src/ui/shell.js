// SPDX-License-Identifier: Apache-2.0
// What is around every page: the bar with navigation, search, connection, theme and session, and the live
// regions that say failures aloud.
import { get, session as sessionApi } from '../lib/api.js';
import { kiosk } from '../lib/choices.js';
import { localTime } from '../lib/format.js';
import { html, useEffect, useLayoutEffect, useRef, useState } from '../lib/html.js';
import { onNewerPage } from '../lib/kiosk.js';
import { t, tx } from '../lib/lang.js';
import { listenForCalls } from '../lib/sound.js';
import { lineNow, onEvent, onNotice, setSession, useLink, useSession } from '../lib/store.js';
import { Icon } from './icons.js';
import { KeyHelp, listen } from './keys.js';
import { Time } from './parts.js';
import { Search } from './search.js';
import { flipTheme, Settings } from './settings.js';

const NAV = [
  ['/', t('wall')],
  ['/shift', t('shift')],
  ['/jobs', t('jobs')],
  ['/runs', t('runs')],
  ['/units', t('units')],
  ['/quality', t('quality')],
  ['/pools', t('pools')],
  ['/recipes', t('recipes')],
  ['/ports', t('ports')],
  ['/events', t('events')],
];

const LINKS = {
  live: [t('live'), t('the_page_follows_the_line_as_it')],
  connecting: [t('connecting'), t('connecting_to_provd')],
  lost: [t('no_data'), t('provd_is_not_heard_what_is_shown')],
};

function LinkState() {
  const link = useLink();
  const [word, title] = LINKS[link];

  return html`<span class="link-state link-${link}" role="status" title=${title}><span class="dot"></span>${word}</span>`;
}

function Nav({ path }) {
  const below = { '/': path === '/' || path.startsWith('/stations/'), '/runs': path.startsWith('/runs') || path === '/archives', '/units': path.startsWith('/units') || path === '/recall', '/events': path === '/events' || path.startsWith('/webhooks') };
  const current = (to) => below[to] ?? path.startsWith(to);
  const menu = useRef(null);

  // On a phone the menu is wider than the screen.
  useLayoutEffect(() => {
    const link = menu.current.querySelector('[aria-current]');

    if (link) menu.current.scrollLeft = link.offsetLeft - menu.current.offsetLeft - (menu.current.clientWidth - link.offsetWidth) / 2;
  }, [path]);
  return html`<nav aria-label=${t('pages')} ref=${menu}>
    ${NAV.map(
      ([to, name]) => html`<a key=${to} href=${to} aria-current=${current(to) ? 'page' : undefined}>${name}</a>`,
    )}
  </nav>`;
}

const STOPS = {
  runs: t('no_new_run_begins'),
  orders: t('no_order_is_taken'),
  changes: t('nothing_is_changed'),
  dates: t('no_unit_is_given_a_date'),
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
        html`<section key=${i} class="banner hold" role="alert" aria-label="${t('held')}: ${h.code}">
          <${Icon} name="triangle" />
          <p lang="en"><strong>${h.message}</strong> ${h.hint}</p>
          <p class="banner-more">${tx('code_since', { code: html`<code>${h.code}</code>`, time: html`<${Time} at=${h.since} />` })}${
            h.stops?.length > 0 && `: ${h.stops.map((k) => STOPS[k] || k).join(', ')}`
          }</p>
        </section>`,
    )}
    ${insecure &&
    html`<section class="banner insecure" role="note">
      <${Icon} name="triangle" />
      <p>${tx('without_tls', { key: html`<code>tls</code>`, file: html`<code>provd.yaml</code>` })}</p>
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
    <${Icon} name="bolt" /><b>${t('no_data_since', { time: localTime(new Date(lineNow()).toISOString()) })}</b>
    <span>${t('provd_does_not_answer_the_page_comes')}</span>
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

/** provd was upgraded while this page was open. */
function Newer() {
  const [newer, setNewer] = useState(false);

  useEffect(() => onNewerPage(() => (kiosk ? location.reload() : setNewer(true))), []);
  if (!newer) return null;
  return html`<section class="banner" role="status">
    <p>${t('newer_page')}</p>
    <button type="button" onClick=${() => location.reload()}>${t('load_it')}</button>
  </section>`;
}

/** Around a page that nobody operates. */
export function KioskShell({ children }) {
  useEffect(listenForCalls, []);
  return html`
    <${Stale} />
    <${Newer} />
    <${Banners} />
    <main id="main">${children}</main>
    <${LiveRegions} />
  `;
}

export function Shell({ path, children }) {
  const session = useSession();
  const [help, setHelp] = useState(false);
  const [settings, setSettings] = useState(false);

  useEffect(listenForCalls, []);
  useEffect(() => listen({ help: () => setHelp(true), theme: flipTheme }), []);
  return html`
    <a class="skip" href="#main" onClick=${(ev) => {
      ev.preventDefault();
      document.getElementById('main').focus();
    }}>${t('skip_to_the_content')}</a>
    <header class="bar">
      <a class="brand" href="/" aria-label=${t('provd_station_wall')}><span class="mark" aria-hidden="true"></span>provd</a>
      <${Nav} path=${path} />
      <${Search} />
      <${LinkState} />
      <div class="bar-tools">
        <button type="button" class="quiet icon-only" aria-label=${t('keyboard_help')} title="${t('keyboard')} ( ? )"
          onClick=${() => setHelp(true)}><${Icon} name="help" /></button>
        <button type="button" class="quiet icon-only" aria-label=${t('settings')} title=${t('settings')}
          onClick=${() => setSettings(true)}><${Icon} name="sliders" /></button>
        <span class="who" title=${t('signed_in_as', { name: session.name })}>${session.name}<small>${session.role}</small></span>
        <button type="button" class="quiet icon-only" aria-label=${t('sign_out')} title=${t('sign_out')}
          onClick=${signOut}><${Icon} name="exit" /></button>
      </div>
    </header>
    <${Stale} />
    <${Newer} />
    <${Banners} />
    <main id="main" tabindex="-1">${children}</main>
    <${LiveRegions} />
    ${settings && html`<${Settings} onClose=${() => setSettings(false)} />`}
    ${help && html`<${KeyHelp} onClose=${() => setHelp(false)} />`}
  `;
}
