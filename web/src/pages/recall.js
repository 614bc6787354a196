// SPDX-License-Identifier: Apache-2.0
// Which units had a part in something, and where they are.
import { enc } from '../lib/api.js';
import { html } from '../lib/html.js';
import { t, tx } from '../lib/lang.js';
import { setQuery } from '../lib/router.js';
import { lookUp, OUTCOME, UNIT } from '../lib/state.js';
import { usePages, useResource } from '../lib/use.js';
import { queryOf, SelectFilter, TextFilter } from '../ui/filter.js';
import { Badge, Empty, Id, Loading, More, PageHead, Recipe, Time, Trouble } from '../ui/parts.js';
import { Table } from '../ui/tables.js';

const KINDS = { artifact: t('artifact'), tool: t('tool'), operator: t('operator'), issuer: t('issuer') };
const NAMES = ['station', 'recipe', 'version', 'job_id', 'outcome', 'from', 'to'];
const OUTCOMES = ['passed', 'provisioned', 'failed', 'error', 'aborted', 'interrupted'];
const HEAD = [t('serial'), t('unit_now'), t('run'), t('outcome'), t('ended'), t('station'), t('recipe'), t('order')];

/** What there is to choose, with how many runs have it. */
function TraitFilter({ kind, traits, value }) {
  return html`<label class="filter">
    <span>${KINDS[kind]}</span>
    <select value=${value || ''} onChange=${(ev) => setQuery({ [kind]: ev.target.value })}>
      <option value="">${t('any')}</option>
      ${traits
        .filter((t) => t.kind === kind)
        .map((t) => html`<option key=${t.value} value=${t.value} selected=${t.value === value}>${t.value} (${t.runs})</option>`)}
    </select>
  </label>`;
}

export function Recall({ query }) {
  const f = Object.fromEntries([...Object.keys(KINDS), ...NAMES].map((k) => [k, query.get(k)]));
  const traits = useResource('/recall/traits');
  const asked = Object.keys(f).some((k) => f[k] && k !== 'outcome');
  const list = usePages(asked ? `/recall?${queryOf({ ...f, limit: 100 })}` : null);

  return html`
    <${PageHead} title=${t('recall')}><p class="muted">${t('which_units_had_a_part_in_something')}</p><//>
    <div class="filters">
      ${Object.keys(KINDS).map((k) => html`<${TraitFilter} key=${k} kind=${k} traits=${traits.data?.items || []} value=${f[k]} />`)}
      <${TextFilter} name="station" label=${t('station')} value=${f.station} />
      <${TextFilter} name="recipe" label=${t('recipe')} value=${f.recipe} />
      <${TextFilter} name="job_id" label=${t('job')} value=${f.job_id} />
      <${SelectFilter} name="outcome" label=${t('outcome')} value=${f.outcome} options=${OUTCOMES} words=${OUTCOME} />
      <${TextFilter} name="from" label=${t('from_utc')} value=${f.from} />
      <${TextFilter} name="to" label=${t('to_utc')} value=${f.to} />
    </div>
    <${Trouble} problem=${traits.problem || list.problem} retry=${list.reload} />
    ${!asked && html`<${Empty} title=${t('choose_what_the_units_have_in_common')}><p>${t('an_artifact_a_tool_a_station_an')}</p><//>`}
    ${list.loading && html`<${Loading} />`}
    ${list.items?.length === 0 && html`<${Empty} title=${t('no_unit')}><p>${t('no_run_had_a_part_in_all')}</p><//>`}
    ${list.items?.length > 0 &&
    html`<p class="after"><a href="/api/v1/recall.csv?${queryOf({ ...f, limit: 1000 })}" download="recall.csv">${t('the_newest_1000_as_csv')}</a>
        <span class="muted"> ${tx('command_has_all', { command: html`<code>provctl recall</code>` })}</span></p>
      <${Table} label=${t('runs')} head=${HEAD}>
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
