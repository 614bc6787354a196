// SPDX-License-Identifier: Apache-2.0
import { html } from '../lib/html.js';
import { usePages } from '../lib/use.js';
import { queryOf, SelectFilter, TextFilter } from '../ui/filter.js';
import { Empty, Loading, More, PageHead, Trouble } from '../ui/parts.js';
import { RunTable } from '../ui/tables.js';

const OUTCOMES = ['passed', 'provisioned', 'failed', 'error', 'aborted', 'interrupted'];

export function Runs({ query }) {
  const f = Object.fromEntries(['outcome', 'state', 'station', 'serial', 'recipe', 'step', 'code'].map((k) => [k, query.get(k)]));
  const list = usePages(`/runs?${queryOf({ ...f, limit: 100 })}`, (e) => e.type.startsWith('run-'));
  const filtered = Object.values(f).some(Boolean);

  return html`
    <${PageHead} title="Runs"><p class="muted">Each attempt at a unit, newest first.</p><//>
    <div class="filters">
      <${SelectFilter} name="outcome" label="Outcome" value=${f.outcome} options=${OUTCOMES} />
      <${SelectFilter} name="state" label="State" value=${f.state} options=${['open', 'finished']} />
      <${TextFilter} name="station" label="Station" value=${f.station} />
      <${TextFilter} name="serial" label="Serial" value=${f.serial} />
      <${TextFilter} name="recipe" label="Recipe" value=${f.recipe} />
      <${TextFilter} name="step" label="Step" value=${f.step} />
      <${TextFilter} name="code" label="Code" value=${f.code} />
    </div>
    <${Trouble} problem=${list.problem} retry=${list.reload} />
    ${list.loading && html`<${Loading} />`}
    ${list.items?.length === 0 &&
    html`<${Empty} title=${filtered ? 'No run is like that' : 'No run yet'}>
      <p>${filtered ? html`Change the filters, or look at <a href="/runs">all runs</a>.` : html`Order a <a href="/jobs/new">job</a> and plug a unit in.`}</p>
    <//>`}
    ${list.items?.length > 0 && html`<${RunTable} runs=${list.items} />`}
    <${More} list=${list} />
  `;
}
