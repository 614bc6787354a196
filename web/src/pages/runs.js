// SPDX-License-Identifier: Apache-2.0
import { html } from '../lib/html.js';
import { t, tx } from '../lib/lang.js';
import { OUTCOME } from '../lib/state.js';
import { usePages } from '../lib/use.js';
import { queryOf, SelectFilter, TextFilter } from '../ui/filter.js';
import { Empty, Loading, More, PageHead, Trouble } from '../ui/parts.js';
import { RunTable } from '../ui/tables.js';

const RUN_STATE = { open: { word: t('open') }, finished: { word: t('finished') } };
const OUTCOMES = ['passed', 'provisioned', 'failed', 'error', 'aborted', 'interrupted'];

export function Runs({ query }) {
  const f = Object.fromEntries(['outcome', 'state', 'station', 'serial', 'recipe', 'step', 'code', 'from', 'to'].map((k) => [k, query.get(k)]));
  const list = usePages(`/runs?${queryOf({ ...f, limit: 100 })}`, (e) => e.type.startsWith('run-'));
  const filtered = Object.values(f).some(Boolean);

  return html`
    <${PageHead} title=${t('runs')} aside=${html`<a class="button" href="/archives">${t('archives')}</a>`}><p class="muted">${t('each_attempt_at_a_unit_newest_first')}</p><//>
    <div class="filters">
      <${SelectFilter} name="outcome" label=${t('outcome')} value=${f.outcome} options=${OUTCOMES} words=${OUTCOME} />
      <${SelectFilter} name="state" label=${t('state')} value=${f.state} options=${['open', 'finished']} words=${RUN_STATE} />
      <${TextFilter} name="station" label=${t('station')} value=${f.station} />
      <${TextFilter} name="serial" label=${t('serial')} value=${f.serial} />
      <${TextFilter} name="recipe" label=${t('recipe')} value=${f.recipe} />
      <${TextFilter} name="step" label=${t('step')} value=${f.step} />
      <${TextFilter} name="code" label=${t('code')} value=${f.code} />
      <${TextFilter} name="from" label=${t('from_utc')} value=${f.from} />
      <${TextFilter} name="to" label=${t('to_utc')} value=${f.to} />
    </div>
    <${Trouble} problem=${list.problem} retry=${list.reload} />
    ${list.loading && html`<${Loading} />`}
    ${list.items?.length === 0 &&
    html`<${Empty} title=${filtered ? t('no_run_is_like_that') : t('no_run_yet')}>
      <p>${filtered ? tx('change_filters_or', { link: html`<a href="/runs">${t('all_runs')}</a>` }) : tx('order_a_job', { link: html`<a href="/jobs/new">${t('job_link')}</a>` })}</p>
    <//>`}
    ${list.items?.length > 0 && html`<${RunTable} runs=${list.items} />`}
    <${More} list=${list} />
  `;
}
