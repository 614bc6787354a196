// SPDX-License-Identifier: Apache-2.0
import { html } from '../lib/html.js';
import { t } from '../lib/lang.js';
import { lookUp, UNIT } from '../lib/state.js';
import { usePages } from '../lib/use.js';
import { queryOf, SelectFilter, TextFilter } from '../ui/filter.js';
import { Badge, Empty, Loading, More, PageHead, Time, Trouble } from '../ui/parts.js';
import { Table } from '../ui/tables.js';

export function Units({ query }) {
  const f = { state: query.get('state'), model: query.get('model') };
  const concerns = (e) => e.type.startsWith('unit-') || e.type === 'run-finished';
  const list = usePages(`/units?${queryOf({ ...f, limit: 100 })}`, concerns);

  return html`
    <${PageHead} title=${t('units')}><p class="muted">${t('the_devices_that_were_made_here_newest')} <a href="/recall">${t('which_of_them_had_a_part_in')}</a></p><//>
    <div class="filters">
      <${SelectFilter} name="state" label=${t('state')} value=${f.state} options=${Object.keys(UNIT)} words=${UNIT} />
      <${TextFilter} name="model" label=${t('model')} value=${f.model} />
    </div>
    <${Trouble} problem=${list.problem} retry=${list.reload} />
    ${list.loading && html`<${Loading} />`}
    ${list.items?.length === 0 &&
    html`<${Empty} title=${t('no_unit_here')}><p>${t('a_unit_is_known_from_the_moment')}</p><//>`}
    ${list.items?.length > 0 &&
    html`<${Table} label=${t('units')} head=${[t('state'), t('serial'), t('model'), t('chip'), t('first_seen'), t('changed')]}>
      ${list.items.map(
        (u) =>
          html`<tr key=${u.id}>
            <td><${Badge} look=${lookUp(UNIT, u.state)} /></td>
            <td><a class="mono" href="/units/${encodeURIComponent(u.serial || u.id)}">${u.serial || t('no_serial')}</a></td>
            <td>${u.model || '–'}</td>
            <td class="mono">${u.chip_id || '–'}</td>
            <td><${Time} at=${u.created_at} /></td>
            <td><${Time} at=${u.updated_at} /></td>
          </tr>`,
      )}
    <//>`}
    <${More} list=${list} />
  `;
}
