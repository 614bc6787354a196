// SPDX-License-Identifier: Apache-2.0
// Which units had a part in something, and where they are.
import { enc } from '../lib/api.js';
import { html } from '../lib/html.js';
import { setQuery } from '../lib/router.js';
import { lookUp, OUTCOME, UNIT } from '../lib/state.js';
import { usePages, useResource } from '../lib/use.js';
import { queryOf, SelectFilter, TextFilter } from '../ui/filter.js';
import { Badge, Empty, Id, Loading, More, PageHead, Recipe, Time, Trouble } from '../ui/parts.js';
import { Table } from '../ui/tables.js';

const KINDS = ['artifact', 'tool', 'operator', 'issuer'];
const NAMES = ['station', 'recipe', 'version', 'job_id', 'outcome', 'from', 'to'];
const OUTCOMES = ['passed', 'provisioned', 'failed', 'error', 'aborted', 'interrupted'];
const HEAD = ['Serial', 'Unit now', 'Run', 'Outcome', 'Ended', 'Station', 'Recipe', 'Order'];

/** What there is to choose, with how many runs have it. */
function TraitFilter({ kind, traits, value }) {
  return html`<label class="filter">
    <span>${kind[0].toUpperCase() + kind.slice(1)}</span>
    <select value=${value || ''} onChange=${(ev) => setQuery({ [kind]: ev.target.value })}>
      <option value="">any</option>
      ${traits
        .filter((t) => t.kind === kind)
        .map((t) => html`<option key=${t.value} value=${t.value} selected=${t.value === value}>${t.value} (${t.runs})</option>`)}
    </select>
  </label>`;
}

export function Recall({ query }) {
  const f = Object.fromEntries([...KINDS, ...NAMES].map((k) => [k, query.get(k)]));
  const traits = useResource('/recall/traits');
  const asked = Object.keys(f).some((k) => f[k] && k !== 'outcome');
  const list = usePages(asked ? `/recall?${queryOf({ ...f, limit: 100 })}` : null);

  return html`
    <${PageHead} title="Recall"><p class="muted">Which units had a part in something, and where they are. All that is chosen has to hold.</p><//>
    <div class="filters">
      ${KINDS.map((k) => html`<${TraitFilter} key=${k} kind=${k} traits=${traits.data?.items || []} value=${f[k]} />`)}
      <${TextFilter} name="station" label="Station" value=${f.station} />
      <${TextFilter} name="recipe" label="Recipe" value=${f.recipe} />
      <${TextFilter} name="job_id" label="Job" value=${f.job_id} />
      <${SelectFilter} name="outcome" label="Outcome" value=${f.outcome} options=${OUTCOMES} />
      <${TextFilter} name="from" label="From (UTC)" value=${f.from} />
      <${TextFilter} name="to" label="To (UTC)" value=${f.to} />
    </div>
    <${Trouble} problem=${traits.problem || list.problem} retry=${list.reload} />
    ${!asked && html`<${Empty} title="Choose what the units have in common"><p>An artifact, a tool, a station, an operator, an issuer, an order or a time.</p><//>`}
    ${list.loading && html`<${Loading} />`}
    ${list.items?.length === 0 && html`<${Empty} title="No unit"><p>No run had a part in all of that.</p><//>`}
    ${list.items?.length > 0 &&
    html`<p class="after"><a href="/api/v1/recall.csv?${queryOf({ ...f, limit: 1000 })}" download="recall.csv">The newest 1000 as CSV</a>
        <span class="muted">; <code>provctl recall</code> has all</span></p>
      <${Table} label="Runs" head=${HEAD}>
        ${list.items.map(
          (r) =>
            html`<tr key=${r.run}>
              <td>${r.serial ? html`<a class="mono" href="/units/${enc(r.serial)}">${r.serial}</a>` : '–'}</td>
              <td>${r.unit_state ? html`<${Badge} look=${lookUp(UNIT, r.unit_state)} />` : '–'}</td>
              <td><${Id} id=${r.run} href="/runs/${r.run}" /></td>
              <td><${Badge} look=${lookUp(OUTCOME, r.outcome)} /></td>
              <td><${Time} at=${r.ended_at} full /></td>
              <td>${r.station}</td>
              <td><${Recipe} name=${r.recipe} version=${r.version} /></td>
              <td>${r.external_ref || (r.job ? html`<${Id} id=${r.job} href="/jobs/${r.job}" />` : '–')}</td>
            </tr>`,
        )}
      <//>`}
    <${More} list=${list} />
  `;
}
