// SPDX-License-Identifier: Apache-2.0
// The wall from five metres: a tile per station with its name, its state, and one number. Of a station that calls the
// number is how long it has been waiting, of all others how many units passed there today.
import { clock, number } from '../lib/format.js';
import { html } from '../lib/html.js';
import { t } from '../lib/lang.js';
import { groupOf, GROUPS, stationLook } from '../lib/state.js';
import { useStation } from '../lib/store.js';
import { useNow } from '../lib/use.js';
import { Icon } from './icons.js';

function Waiting({ since }) {
  const now = useNow();

  return clock(now - Date.parse(since));
}

/** All steps of the run as one line along the foot. */
function Line({ run }) {
  const { step, progress } = run;
  const part = progress?.total > 0 ? Math.min(1, progress.done / progress.total) : 0;
  const share = step.total > 0 ? Math.min(1, (step.n - 1 + part) / step.total) : 0;

  return html`<span class="tile-line" aria-hidden="true"><span style=${{ width: `${100 * share}%` }}></span></span>`;
}

/** In one word, so that it is whole on a small tile. */
const short = (view, look) => ({ ask: t('question'), held: t('held') })[GROUPS[groupOf(view)].key] || look.word;

/** How large names of so many characters can be, in em of a tile; long ones have the line to themselves. */
export const nameFits = (characters) => ({ long: characters > 4, em: Math.min(1.5, (characters > 4 ? 8.6 : 5.2) / characters) });

export function Tile({ id, plain }) {
  const view = useStation(id);

  if (!view) return null;
  const look = stationLook(view);
  const what = look.calls ? t('waiting_for') : t('passed_today');
  const body = html`
    <span class="tile-id">${id}</span>
    <span class="tile-number" title=${what}>${look.calls ? html`<${Waiting} since=${view.since} />` : number(view.today.passed)}</span>
    <span class="tile-word"><${Icon} name=${look.icon} /><span>${short(view, look)}</span></span>
    ${view.run && html`<${Line} run=${view.run} />`}
  `;
  const kind = ['tile', `tone-${look.tone}`, look.calls && 'calls'].filter(Boolean).join(' ');

  if (plain) return html`<div class=${kind} data-station=${id} title="${id}: ${look.word}">${body}</div>`;
  return html`<a class=${kind} data-station=${id} title="${id}: ${look.word}" href="/stations/${encodeURIComponent(id)}">${body}</a>`;
}
