// SPDX-License-Identifier: Apache-2.0
import { enc, post } from '../lib/api.js';
import { html } from '../lib/html.js';
import { JOB, JOB_ACTIONS, jobActions, lookUp, may } from '../lib/state.js';
import { useSession } from '../lib/store.js';
import { usePages, useResource } from '../lib/use.js';
import { ActionButton } from '../ui/confirm.js';
import { Badge, Facts, Id, Loaded, More, PageHead, Recipe, runYield, Time, Trouble } from '../ui/parts.js';
import { Values } from '../ui/steps.js';
import { JobBar, RunTable } from '../ui/tables.js';

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
      what="${a.label} job"
      kind=${a.ask ? 'danger-text' : ''}
      act=${async () => {
        await post(`/jobs/${enc(job.id)}/actions/${verb}`, {}, { 'If-Match': '*' });
        reload();
      }}
    />`;
  });
}

function Counters({ job }) {
  const cells = [
    ['Passed', job.passed, 'tone-pass'],
    ['Failed', job.failed, job.failed ? 'tone-fail' : ''],
    ['Errors', job.errors, job.errors ? 'tone-line' : ''],
    ['Aborted', job.aborted, ''],
    ['Interrupted', job.interrupted, job.interrupted ? 'tone-line' : ''],
    ['Under way', job.open, job.open ? 'tone-run' : ''],
    ['Run yield', runYield(job.passed, job.failed), ''],
  ];

  return html`<section class="panel">
    <h2>Progress</h2>
    <${JobBar} job=${job} />
    <dl class="counters">
      ${cells.map(([name, n, tone]) => html`<div key=${name} class=${tone}><dt>${name}</dt><dd>${n}</dd></div>`)}
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
        above="Job ${j.id}"
        title="${j.quantity} × ${j.recipe}@${j.version}"
        aside=${html`<${Badge} look=${lookUp(JOB, j.state)} solid large />
          <div class="buttons"><${Actions} job=${j} reload=${job.reload} /></div>`}
      />
      <div class="columns">
        <${Counters} job=${j} />
        <section class="panel">
          <h2>Order</h2>
          <${Facts}
            rows=${[
              ['Recipe', html`<${Recipe} name=${j.recipe} version=${j.version} />`],
              ['Recipe digest', html`<${Id} id=${j.recipe_sha256} />`],
              ['Priority', j.priority],
              ['Stations', j.affinity.length ? j.affinity.join(', ') : 'any that fits'],
              ['Number', j.number],
              ['Reference', j.external_ref],
              ['Deadline', j.deadline && html`<${Time} at=${j.deadline} full />`],
              ['Expires', j.expires && html`<${Time} at=${j.expires} full />`],
              ['Requires', j.requires?.length > 0 && j.requires.join(', ')],
              ['Held', j.hold && html`by ${j.hold.by}: ${j.hold.reason}`],
              ['Ended', j.ending && `${j.ending.how}${j.ending.reason ? `: ${j.ending.reason}` : ''}`],
              ['Ordered', html`<${Time} at=${j.created_at} full /> by ${j.created_by}`],
              ['Finished', j.finished_at && html`<${Time} at=${j.finished_at} full />`],
            ]}
          />
          ${Object.keys(j.params).length > 0 && html`<h3>Parameters</h3><${Values} of=${j.params} />`}
        </section>
      </div>
      <section>
        <h2>Runs</h2>
        <${Trouble} problem=${runs.problem} retry=${runs.reload} />
        ${runs.items?.length === 0 && html`<p class="muted">No run yet: plug a unit into a free station.</p>`}
        ${runs.items?.length > 0 && html`<${RunTable} runs=${runs.items} without=${['Recipe']} />`}
        <${More} list=${runs} />
      </section>
    `}
  <//>`;
}
