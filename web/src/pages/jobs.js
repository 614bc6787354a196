// SPDX-License-Identifier: Apache-2.0
import { html } from '../lib/html.js';
import { t, tx } from '../lib/lang.js';
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
  const order = html`<a class="button primary" href="/jobs/new"><${Icon} name="plus" />${t('new_job')}</a>`;

  return html`
    <${PageHead} title=${t('jobs')} aside=${may(session, 'order') && order}><p class="muted">${t('orders_newest_first')}</p><//>
    <div class="filters">
      <${SelectFilter} name="state" label=${t('state')} value=${f.state} options=${Object.keys(JOB)} words=${JOB} />
      <${TextFilter} name="external_ref" label=${t('reference')} value=${f.external_ref} />
    </div>
    <${Trouble} problem=${list.problem} retry=${list.reload} />
    ${list.loading && html`<${Loading} />`}
    ${list.items?.length === 0 &&
    html`<${Empty} title=${f.state || f.external_ref ? t('no_job_is_like_that') : t('no_job_yet')}>
      <p>${may(session, 'order') ? tx('order_one', { link: html`<a href="/jobs/new">${t('order_one_link')}</a>` }) : t('a_supervisor_or_the_mes_orders_jobs')}</p>
    <//>`}
    ${list.items?.length > 0 && html`<${JobTable} jobs=${list.items} />`}
    <${More} list=${list} />
  `;
}
