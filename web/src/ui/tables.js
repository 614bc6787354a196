// SPDX-License-Identifier: Apache-2.0
// Lists that several pages show.
import { number } from '../lib/format.js';
import { html } from '../lib/html.js';
import { t, tx } from '../lib/lang.js';
import { jobLook, lookUp, OUTCOME } from '../lib/state.js';
import { Badge, Id, Recipe, took, Time } from './parts.js';

/** A table that scrolls by itself where the window is narrow. */
export function Table({ label, head, children, kind = '' }) {
  return html`<div class="table-box" role="region" aria-label=${label} tabindex="0">
    <table class=${kind}>
      <thead>
        <tr>${head.map((t) => html`<th key=${t} scope="col">${t}</th>`)}</tr>
      </thead>
      <tbody>${children}</tbody>
    </table>
  </div>`;
}

const runLook = (run) => lookUp(OUTCOME, run.state === 'open' ? 'open' : run.outcome);

export function RunTable({ runs, label = t('runs'), without = [] }) {
  const columns = [
    [t('outcome'), (r) => html`<a class="plain" href="/runs/${r.id}"><${Badge} look=${runLook(r)} /></a>`],
    [t('serial'), (r) => (r.serial ? html`<a class="mono" href="/units/${encodeURIComponent(r.serial)}">${r.serial}</a>` : '–')],
    [t('run'), (r) => html`<${Id} id=${r.id} href="/runs/${r.id}" />`],
    [t('station'), (r) => html`<a href="/stations/${encodeURIComponent(r.station)}">${r.station}</a>`],
    [t('recipe'), (r) => html`<${Recipe} name=${r.recipe} version=${r.version} />`],
    [t('why'), (r) => (r.code ? html`<span title=${r.message}>${tx('code_in_step', { code: html`<code>${r.code}</code>`, step: r.step || '–' })}</span>` : '')],
    [t('started'), (r) => html`<${Time} at=${r.started_at || r.attached_at} />`],
    [t('took'), (r) => html`<span class="num">${took(r.duration_ms)}</span>`],
  ].filter(([name]) => !without.includes(name)); // prettier-ignore

  return html`<${Table} label=${label} head=${columns.map(([name]) => name)}>
    ${runs.map((r) => html`<tr key=${r.id}>${columns.map(([name, cell]) => html`<td key=${name}>${cell(r)}</td>`)}</tr>`)}
  <//>`;
}

/** Passed, under way and what is left of a job, as one bar with its numbers. */
export function JobBar({ job }) {
  const share = (n) => ({ width: `${(100 * Math.min(n, job.quantity)) / job.quantity}%` });

  return html`<div class="job-bar">
    <div
      class="stack"
      role="progressbar"
      aria-label=${t('n_of_passed', { n: job.passed, whole: job.quantity })}
      aria-valuemin="0"
      aria-valuemax=${job.quantity}
      aria-valuenow=${job.passed}
    >
      <span class="pass" style=${share(job.passed)}></span><span class="open" style=${share(job.open)}></span>
    </div>
    <span class="num">${number(job.passed)} / ${number(job.quantity)}</span>
  </div>`;
}

export function JobTable({ jobs }) {
  const head = [t('state'), t('job'), t('recipe'), t('passed'), t('failed'), t('other'), t('under_way'), t('priority'), t('reference'), t('ordered')];

  return html`<${Table} label=${t('jobs')} head=${head}>
    ${jobs.map(
      (j) =>
        html`<tr key=${j.id}>
          <td><a class="plain" href="/jobs/${j.id}"><${Badge} look=${jobLook(j)} /></a></td>
          <td><${Id} id=${j.id} href="/jobs/${j.id}" /></td>
          <td><${Recipe} name=${j.recipe} version=${j.version} /></td>
          <td><${JobBar} job=${j} /></td>
          <td class="num ${j.failed ? 'text-fail' : ''}">${j.failed}</td>
          <td class="num">${j.errors + j.aborted + j.interrupted}</td>
          <td class="num">${j.open}</td>
          <td class="num">${j.priority}</td>
          <td>${j.external_ref || ''}</td>
          <td><${Time} at=${j.created_at} /> <span class="muted">${j.created_by}</span></td>
        </tr>`,
    )}
  <//>`;
}
