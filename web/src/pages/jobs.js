// SPDX-License-Identifier: Apache-2.0
import { html } from '../lib/html.js';
import { JOB, may } from '../lib/state.js';
import { useSession } from '../lib/store.js';
import { usePages } from '../lib/use.js';
import { queryOf, SelectFilter, TextFilter } from '../ui/filter.js';
import { Icon } from '../ui/icons.js';
import { Empty, Loading, More, PageHead, Trouble } from '../ui/parts.js';
import { JobTable } from '../ui/tables.js';

export function Jobs({ query }) {
  const session = useSession();
  const f = { state: query.get('state'), external_ref: query.get('external_ref') };
  const concerns = (e) => e.type.startsWith('job-') || e.type === 'run-started' || e.type === 'run-finished';
  const list = usePages(`/jobs?${queryOf({ ...f, limit: 100 })}`, concerns);
  const order = html`<a class="button primary" href="/jobs/new"><${Icon} name="plus" />New job</a>`;

  return html`
    <${PageHead} title="Jobs" aside=${may(session, 'order') && order}><p class="muted">Orders, newest first.</p><//>
    <div class="filters">
      <${SelectFilter} name="state" label="State" value=${f.state} options=${Object.keys(JOB)} />
      <${TextFilter} name="external_ref" label="Reference" value=${f.external_ref} />
    </div>
    <${Trouble} problem=${list.problem} retry=${list.reload} />
    ${list.loading && html`<${Loading} />`}
    ${list.items?.length === 0 &&
    html`<${Empty} title=${f.state || f.external_ref ? 'No job is like that' : 'No job yet'}>
      <p>${may(session, 'order') ? html`<a href="/jobs/new">Order one</a>: a recipe and how many units.` : 'A supervisor or the MES orders jobs.'}</p>
    <//>`}
    ${list.items?.length > 0 && html`<${JobTable} jobs=${list.items} />`}
    <${More} list=${list} />
  `;
}
