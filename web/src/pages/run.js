// SPDX-License-Identifier: Apache-2.0
import { enc } from '../lib/api.js';
import { html, useEffect } from '../lib/html.js';
import { t, tx } from '../lib/lang.js';
import { isGood, lookUp, OUTCOME } from '../lib/state.js';
import { useStation } from '../lib/store.js';
import { useResource } from '../lib/use.js';
import { Attachments } from '../ui/attachments.js';
import { Icon } from '../ui/icons.js';
import { Log } from '../ui/log.js';
import { Badge, Facts, Failure, Id, Loaded, PageHead, Recipe, took, Time } from '../ui/parts.js';
import { PromptForm } from '../ui/prompt_form.js';
import { RunNow } from '../ui/station_parts.js';
import { StepTable, Values } from '../ui/steps.js';

function Head({ run }) {
  const look = lookUp(OUTCOME, run.state === 'open' ? 'open' : run.outcome);
  const report = html`<a class="button" href="/runs/${run.id}/report"><${Icon} name="print" />${t('report')}</a>`;

  return html`<${PageHead}
    above=${t('run_name', { id: run.id })}
    title=${run.serial || t('unit_without_a_serial')}
    aside=${html`<${Badge} look=${look} solid large />${report}`}
  >
    <p class="muted">${tx('recipe_at_station', { recipe: html`<${Recipe} name=${run.recipe} version=${run.version} />`, station: html`<a href="/stations/${enc(run.station)}">${run.station}</a>` })}</p>
  <//>`;
}

/** While it goes on: what the station says of it now. */
function Live({ run, refresh }) {
  const view = useStation(run.station);
  const mine = view?.run?.id === run.id ? view.run : null;
  const step = mine ? `${mine.step.n}.${mine.step.attempt}` : '';

  useEffect(() => {
    if (step) refresh();
  }, [step]);
  if (!mine) return null;
  return html`<section class="panel tone-run edge">
    <h2>${t('now')}</h2>
    ${view.prompt && html`<${PromptForm} station=${view.id} prompt=${view.prompt} focus />`}
    <${RunNow} run=${mine} />
  </section>`;
}

function Identity({ run }) {
  return html`<section class="panel">
    <h2>${t('record')}</h2>
    <${Facts}
      rows=${[
        [t('serial'), run.serial && html`<a class="mono" href="/units/${enc(run.serial)}">${run.serial}</a>`],
        [t('unit'), run.unit && html`<${Id} id=${run.unit} href="/units/${run.unit}" />`],
        [t('model'), run.model],
        [t('job'), run.job && html`<${Id} id=${run.job} href="/jobs/${run.job}" />`],
        [t('kind'), run.kind !== 'production' && run.kind],
        [t('attached'), html`<${Time} at=${run.attached_at} full />`],
        [t('ended'), run.ended_at && html`<${Time} at=${run.ended_at} full />`],
        [t('took'), run.ended_at && took(run.duration_ms)],
        [t('firmware'), run.firmware?.version],
        [t('recipe_digest'), run.recipe_sha256 && html`<${Id} id=${run.recipe_sha256} />`],
        [t('record_hash'), run.hash && html`<${Id} id=${run.hash} />`],
      ]}
    />
  </section>`;
}

function Parameters({ run }) {
  if (!Object.keys(run.params || {}).length) return null;
  return html`<section class="panel"><h2>${t('parameters')}</h2><${Values} of=${run.params} /></section>`;
}

export function Run({ id }) {
  const mine = (e) => e.run === id;
  const run = useResource(`/runs/${enc(id)}`, mine);
  const steps = useResource(`/runs/${enc(id)}/steps`, mine);
  const measurements = useResource(`/runs/${enc(id)}/measurements`, mine);
  const refresh = () => [steps, measurements].forEach((r) => r.reload());

  return html`<${Loaded} resource=${run}>
    ${(r) => html`
      <${Head} run=${r} />
      <div class="columns">
        ${r.state === 'open' && html`<${Live} run=${r} refresh=${refresh} />`}
        ${r.outcome && !isGood(r.outcome) &&
        html`<section class="panel tone-${lookUp(OUTCOME, r.outcome).tone} edge"><h2>${t('what_happened')}</h2><${Failure} last=${r} /></section>`}
        <${Identity} run=${r} />
        <${Parameters} run=${r} />
      </div>
      <section>
        <h2>${t('steps')}</h2>
        <${Loaded} resource=${steps}>
          ${(s) =>
            s.items.length
              ? html`<${StepTable} steps=${s.items} measurements=${measurements.data?.items || []} />`
              : html`<p class="muted">${t('no_step_has_begun')}</p>`}
        <//>
      </section>
      <${Attachments} run=${id} />
      <section>
        <h2>${t('log')}</h2>
        <${Log} run=${id} open=${r.state === 'open'} />
      </section>
    `}
  <//>`;
}
