// SPDX-License-Identifier: Apache-2.0
// What stands around every page: the bar with navigation, search, connection, theme and session, and the live
// regions that say failures aloud.
import { get, session as sessionApi } from '../lib/api.js';
import { html, useEffect, useState } from '../lib/html.js';
import { onNotice, setSession, useLink, useSession } from '../lib/store.js';
import { Icon } from './icons.js';
import { KeyHelp, listen } from './keys.js';
import { Search } from './search.js';

const NAV = [
  ['/', 'Wall'],
  ['/jobs', 'Jobs'],
  ['/runs', 'Runs'],
  ['/units', 'Units'],
  ['/recipes', 'Recipes'],
  ['/ports', 'Ports'],
  ['/events', 'Events'],
];

const LINKS = {
  live: ['live', 'The page follows the line as it happens'],
  connecting: ['connecting', 'Connecting to provd'],
  lost: ['reconnecting', 'The connection is lost: what is shown is old. The page connects again by itself'],
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
  const current = (to) => (to === '/' ? path === '/' || path.startsWith('/stations/') : path.startsWith(to));

  return html`<nav aria-label="Pages">
    ${NAV.map(
      ([to, name]) => html`<a key=${to} href=${to} aria-current=${current(to) ? 'page' : undefined}>${name}</a>`,
    )}
  </nav>`;
}

/** Said on every page for as long as it is true. */
function Insecure() {
  const [insecure, setInsecure] = useState(false);

  useEffect(() => {
    get('/version').then((v) => setInsecure(v.insecure === true), () => {});
  }, []);
  return (
    insecure &&
    html`<p class="insecure" role="note">This provd serves the network without TLS: tokens and firmware can be read on
      the way.</p>`
  );
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
    <${Insecure} />
    <main id="main" tabindex="-1">${children}</main>
    <${LiveRegions} />
    ${help && html`<${KeyHelp} onClose=${() => setHelp(false)} />`}
  `;
}
