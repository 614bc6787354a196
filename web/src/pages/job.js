// SPDX-License-Identifier: Apache-2.0
import { WHATEVER, enc, post } from '../lib/api.js';
import { number } from '../lib/format.js';
import { html } from '../lib/html.js';
import { t } from '../lib/lang.js';
import { JOB_ACTIONS, jobActions, jobLook, may } from '../lib/state.js';
import { useSession } from '../lib/store.js';
import { usePages, useResource } from '../lib/use.js';
import { ActionButton } from '../ui/confirm.js';
import { Badge, Facts, Id, Loaded, More, PageHead, Recipe, runYield, Time, Trouble } from '../ui/parts.js';
import { Values } from '../ui/steps.js';
import { JobBar, RunTable } from '../ui/tables.js';

const endingOf = (how) =>
  ({
    complete: t('ending_complete'),
    stopped: t('ending_stopped'),
    short: t('ending_short'),
    expired: t('ending_expired'),
    aborted: t('ending_aborted'),
    cancelled: t('ending_cancelled'),
  })[how] ?? how;

function Actions({ job, reload }) {
  const session = useSession();

  if (!may(session, 'order')) return null;
  return jobActions(job).map((verb) => {
    const a = JOB_ACTIONS[verb];

    return html`<${ActionButton}
      key=${verb}
      label=${a.label}
      icon=${a.icon}
      ask=${a.ask}
      what=${t('what_job', { act: a.label })}
      reason=${a.reason}
      kind=${a.final ? 'danger-text' : ''}
      act=${async (reason) => {
        await post(`/jobs/${enc(job.id)}/actions/${verb}`, a.reason ? { reason } : {}, WHATEVER);
        reload();
      }}
    />`;
  });
}

function Counters({ job }) {
  const cells = [
    [t('passed'), job.passed, 'tone-pass'],
    [t('failed'), job.failed, job.failed ? 'tone-fail' : ''],
    [t('errors'), job.errors, job.errors ? 'tone-line' : ''],
    [t('aborted'), job.aborted, ''],
    [t('interrupted'), job.interrupted, job.interrupted ? 'tone-line' : ''],
    [t('under_way'), job.open, job.open ? 'tone-run' : ''],
    [t('run_yield'), runYield(job.passed, job.failed), ''],
  ];

  return html`<section class="panel">
    <h2>${t('progress')}</h2>
    <${JobBar} job=${job} />
    <dl class="counters">
      ${cells.map(([name, n, tone]) => html`<div key=${name} class=${tone}><dt>${name}</dt><dd>${typeof n === 'number' ? number(n) : n}</dd></div>`)}
    </dl>
  </section>`;
}

export function Job({ id }) {
  const concerns = (e) => e.job === id;
  const job = useResource(`/jobs/${enc(id)}`, concerns);
  const runs = usePages(`/runs?job_id=${enc(id)}&limit=100`, concerns);

  return html`<${Loaded} resource=${job}>
    ${(j) => html`
      <${PageHead}
        above=${t('job_name', { id: j.id })}
        title="${number(j.quantity)} × ${j.recipe}@${j.version}"
        aside=${html`<${Badge} look=${jobLook(j)} solid large />
          <div class="buttons"><${Actions} job=${j} reload=${job.reload} /></div>`}
      />
      <div class="columns">
        <${Counters} job=${j} />
        <section class="panel">
          <h2>${t('order')}</h2>
          <${Facts}
            rows=${[
              [t('recipe'), html`<${Recipe} name=${j.recipe} version=${j.version} />`],
              [t('recipe_digest'), html`<${Id} id=${j.recipe_sha256} />`],
              [t('priority'), j.priority],
              [t('stations'), j.affinity.length ? j.affinity.join(', ') : t('any_that_fits')],
              [t('number'), j.number],
              [t('reference'), j.external_ref],
              [t('deadline'), j.deadline && html`<${Time} at=${j.deadline} full />`],
              [t('expires'), j.expires && html`<${Time} at=${j.expires} full />`],
              [t('requires'), j.requires?.length > 0 && j.requires.join(', ')],
              [t('held'), j.hold && html`${t('by', { name: j.hold.by })}: ${j.hold.reason}`],
              [t('ended'), j.ending && endingOf(j.ending.how) + (j.ending.reason ? `: ${j.ending.reason}` : '')],
              [t('ordered'), html`<${Time} at=${j.created_at} full /> ${t('by', { name: j.created_by })}`],
              [t('finished'), j.finished_at && html`<${Time} at=${j.finished_at} full />`],
            ]}
          />
          ${Object.keys(j.params).length > 0 && html`<h3>${t('parameters')}</h3><${Values} of=${j.params} />`}
        </section>
      </div>
      <section>
        <h2>${t('runs')}</h2>
        <${Trouble} problem=${runs.problem} retry=${runs.reload} />
        ${runs.items?.length === 0 && html`<p class="muted">${t('no_run_yet_plug_a_unit_into')}</p>`}
        ${runs.items?.length > 0 && html`<${RunTable} runs=${runs.items} without=${[t('recipe')]} />`}
        <${More} list=${runs} />
      </section>
    `}
  <//>`;
}
