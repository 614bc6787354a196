// SPDX-License-Identifier: Apache-2.0
// What ended runs, the most frequent first.
import { number, ratio } from '../lib/format.js';
import { html } from '../lib/html.js';
import { t } from '../lib/lang.js';
import { useResource } from '../lib/use.js';
import { queryOf } from './filter.js';
import { Loaded } from './parts.js';
import { Table } from './tables.js';

/** The events after which a count of runs is another one. */
export const concerns = (e) => e.type === 'run-finished' || e.type === 'run-completed';

/** filter: {from, to, station, recipe} of the report; a bar leads to its runs. */
export function Causes({ filter, outcome, title }) {
  const causes = useResource(`/reports/pareto?${queryOf(filter)}&outcome=${outcome}`, concerns);
  const runs = (c) => `/runs?${queryOf({ outcome, step: c.step, code: c.code, ...filter })}`;

  return html`<section>
    <h2>${title}</h2>
    <${Loaded} resource=${causes}>
      ${({ items }) =>
        items.length === 0
          ? html`<p class="muted">${t('none_of_it')}</p>`
          : html`<${Table} label=${title} head=${[t('step'), t('code'), t('runs'), t('share'), t('all_so_far')]}>
              ${items.map(
                (c) =>
                  html`<tr key="${c.step} ${c.code}">
                    <td>${c.step || '–'}</td>
                    <td><a href=${runs(c)}><code>${c.code || t('no_code')}</code></a></td>
                    <td class="num">${number(c.count)}</td>
                    <td><div class="job-bar"><a class="stack" href=${runs(c)} aria-label=${t('runs_of', { step: c.step || '–', code: c.code || t('no_code') })}><span class=${outcome} style=${{ width: `${100 * c.share}%` }}></span></a>
                      <span class="num">${ratio(c.share)}</span></div></td>
                    <td class="num">${ratio(c.cumulative)}</td>
                  </tr>`,
              )}
            <//>`}
    <//>
  </section>`;
}
