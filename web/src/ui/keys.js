// SPDX-License-Identifier: Apache-2.0
// The keys that work everywhere. Single letters do nothing while a person types into a field.
import { html } from '../lib/html.js';
import { navigate } from '../lib/router.js';
import { Dialog } from './confirm.js';

export const KEYS = [
  ['/', 'search for a serial number, run, job or station'],
  ['?', 'this list'],
  ['g w', 'station wall'],
  ['g j', 'jobs'],
  ['g r', 'runs'],
  ['g u', 'units'],
  ['n', 'new job'],
  ['p', 'go to the first station that asks something'],
  ['t', 'light or dark'],
  ['f', 'full screen'],
  ['← ↑ ↓ →', 'from station to station on the wall'],
  ['Home End', 'first and last station'],
  ['Enter', 'open the station'],
  ['Tab', 'into the station’s buttons'],
];

const GO = { w: '/', j: '/jobs', r: '/runs', u: '/units', e: '/events', p: '/ports' };

const typing = (el) => el.closest?.('input, textarea, select, [contenteditable], dialog');

/** Listens; acts: {help, theme, order}. Returns how to stop. */
export function listen(acts) {
  let leader = 0;
  const plain = {
    '/': () => document.getElementById('search')?.focus(),
    '?': acts.help,
    t: acts.theme,
    n: () => navigate('/jobs/new'),
    f: () => (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen?.()),
    p: () => document.querySelector('.prompt button, .prompt input')?.focus(),
  };
  const onKey = (ev) => {
    if (ev.key === 'Escape' && ev.target.id === 'search') ev.target.blur();
    if (ev.ctrlKey || ev.metaKey || ev.altKey || typing(ev.target)) return;
    const led = Date.now() - leader < 1500;

    leader = ev.key === 'g' ? Date.now() : 0;
    if (led && GO[ev.key]) navigate(GO[ev.key]);
    else if (plain[ev.key]) plain[ev.key]();
    else return;
    ev.preventDefault();
  };

  document.addEventListener('keydown', onKey);
  return () => document.removeEventListener('keydown', onKey);
}

export function KeyHelp({ onClose }) {
  return html`<${Dialog} title="Keyboard" onClose=${onClose}>
    <dl class="keys">
      ${KEYS.map(
        ([k, what]) =>
          html`<div key=${k}>
            <dt>${k.split(' ').map((one) => html`<kbd>${one}</kbd>`)}</dt>
            <dd>${what}</dd>
          </div>`,
      )}
    </dl>
    <form method="dialog"><p class="buttons"><button class="primary">Close</button></p></form>
  <//>`;
}
