// SPDX-License-Identifier: Apache-2.0
// The keys that work everywhere. Single letters do nothing while a person types into a field.
import { html } from '../lib/html.js';
import { t } from '../lib/lang.js';
import { navigate } from '../lib/router.js';
import { Dialog } from './confirm.js';

export const KEYS = [
  ['/', t('search_for_a_serial_number_run_job')],
  ['?', t('this_list')],
  ['g w', t('station_wall')],
  ['g s', t('shift')],
  ['g j', 'jobs'],
  ['g r', 'runs'],
  ['g u', 'units'],
  ['n', t('new_job_key')],
  ['p', t('go_to_the_first_station_that_asks')],
  ['t', t('light_or_dark')],
  ['f', t('full_screen')],
  ['← ↑ ↓ →', t('from_station_to_station_on_the_wall')],
  ['Home End', t('first_and_last_station')],
  ['Enter', t('open_the_station')],
  ['Tab', t('into_the_stations_buttons')],
];

const GO = { w: '/', s: '/shift', j: '/jobs', r: '/runs', u: '/units', e: '/events', p: '/ports' };

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
  return html`<${Dialog} title=${t('keyboard')} onClose=${onClose}>
    <dl class="keys">
      ${KEYS.map(
        ([k, what]) =>
          html`<div key=${k}>
            <dt>${k.split(' ').map((one) => html`<kbd>${one}</kbd>`)}</dt>
            <dd>${what}</dd>
          </div>`,
      )}
    </dl>
    <form method="dialog"><p class="buttons"><button class="primary">${t('close')}</button></p></form>
  <//>`;
}
