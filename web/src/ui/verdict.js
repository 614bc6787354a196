// SPDX-License-Identifier: Apache-2.0
// How the unit of a station came out, over the whole screen, until it is taken out or a person has seen it.
import { chosen } from '../lib/choices.js';
import { html, useEffect, useState } from '../lib/html.js';
import { t } from '../lib/lang.js';
import { isGood, stationLook } from '../lib/state.js';
import { Icon } from './icons.js';

export function Verdict({ view }) {
  const [seen, setSeen] = useState('');
  const shows = chosen('verdict') && view.state === 'done' && view.last && seen !== view.last.run_id;
  const look = stationLook(view);

  useEffect(() => {
    if (!shows) return undefined;
    const away = () => setSeen(view.last.run_id);

    document.addEventListener('keydown', away);
    return () => document.removeEventListener('keydown', away);
  }, [shows, view.last?.run_id]);
  if (!shows) return null;
  return html`<div class="verdict tone-${look.tone}" role="alert" onClick=${() => setSeen(view.last.run_id)}>
    <p class="verdict-station">${t('station_name', { id: view.id })}</p>
    <p class="verdict-word"><${Icon} name=${look.icon} />${look.word}</p>
    <p class="verdict-serial">${view.last.serial || t('no_serial')}</p>
    <p class="verdict-why">${isGood(view.last.outcome) ? t('take_the_unit_out') : html`<span lang="en">${view.last.message}</span>`}</p>
    <button type="button">${t('close')}</button>
  </div>`;
}
