// SPDX-License-Identifier: Apache-2.0
import { html } from '../lib/html.js';
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
    <${PageHead} title="Units"><p class="muted">The devices that were made here, newest first. <a href="/recall">Which of them had a part in something</a></p><//>
    <div class="filters">
      <${SelectFilter} name="state" label="State" value=${f.state} options=${Object.keys(UNIT)} />
      <${TextFilter} name="model" label="Model" value=${f.model} />
    </div>
    <${Trouble} problem=${list.problem} retry=${list.reload} />
    ${list.loading && html`<${Loading} />`}
    ${list.items?.length === 0 &&
    html`<${Empty} title="No unit here"><p>A unit is known from the moment that its run identifies it.</p><//>`}
    ${list.items?.length > 0 &&
    html`<${Table} label="Units" head=${['State', 'Serial', 'Model', 'Chip', 'First seen', 'Changed']}>
      ${list.items.map(
        (u) =>
          html`<tr key=${u.id}>
            <td><${Badge} look=${lookUp(UNIT, u.state)} /></td>
            <td><a class="mono" href="/units/${encodeURIComponent(u.serial || u.id)}">${u.serial || 'no serial'}</a></td>
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
