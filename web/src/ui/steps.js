// SPDX-License-Identifier: Apache-2.0
// The steps of a run, with what each proved and measured.
import { duration, number } from '../lib/format.js';
import { html } from '../lib/html.js';
import { t } from '../lib/lang.js';
import { lookUp, OUTCOME, VERDICT } from '../lib/state.js';
import { lazily } from './lazily.js';
import { Badge } from './parts.js';

const Sweep = lazily(() => import('./curves.js').then((m) => m.Sweep));

const PHASES = { setup: t('setup'), steps: t('steps'), teardown: t('teardown') };

/** The number that came, or the text where none did. */
export const valueText = (m) => (m.value === null || m.value === undefined ? m.text || '–' : number(m.value));

export function limitText(m) {
  const low = m.low ?? null;
  const high = m.high ?? null;

  if (low !== null && high !== null) return `${number(low)} … ${number(high)}`;
  if (low !== null) return `≥ ${number(low)}`;
  return high !== null ? `≤ ${number(high)}` : t('none');
}

/** Where the value lies between its limits, which are at a fifth and four fifths of the scale. */
function Scale({ m }) {
  if (typeof m.value !== 'number' || typeof m.low !== 'number' || typeof m.high !== 'number' || m.high <= m.low)
    return null;
  const at = 0.2 + (0.6 * (m.value - m.low)) / (m.high - m.low);

  return html`<span class="scale tone-${lookUp(VERDICT, m.verdict).tone}" aria-hidden="true">
    <span class="within"></span>
    <span class="mark-at" style=${{ left: `${100 * Math.min(0.98, Math.max(0.02, at))}%` }}></span>
  </span>`;
}

const isSweep = (m) => m.detail?.kind === 'sweep';

/** What a sweep has in the place of a value. */
const sweepText = (m) => t('n_of_outside', { n: m.detail.outside.length, whole: m.detail.values.length });

const limitsOf = (m) => {
  if (isSweep(m) && m.detail.limits.length) return t('along_the_axis');
  return limitText(m) === t('none') ? t('none') : `${limitText(m)} ${m.unit || ''}`;
};

export function Measurements({ list }) {
  return html`<table class="measurements">
    <thead>
      <tr><th scope="col">${t('measured')}</th><th scope="col">${t('value')}</th><th scope="col">${t('limits')}</th><th scope="col"><span class="hidden">${t('scale')}</span></th><th scope="col">${t('verdict')}</th></tr>
    </thead>
    <tbody>
      ${list.map(
        (m, i) =>
          html`<tr key=${i}>
            <td>${m.name}</td>
            <td class="num">${isSweep(m) ? sweepText(m) : html`<b>${valueText(m)}</b> ${m.unit || ''}`}</td>
            <td class="num">${limitsOf(m)}</td>
            <td><${Scale} m=${m} /></td>
            <td><${Badge} look=${lookUp(VERDICT, m.verdict)} /></td>
          </tr>`,
      )}
    </tbody>
  </table>`;
}

function plain(v, name = '') {
  if (typeof v === 'string') return v || '–';
  if (typeof v === 'number' && name === 'address') return `0x${v.toString(16).padStart(8, '0')}`;
  if (Array.isArray(v)) return v.map((one) => plain(one)).join(', ');
  if (v && typeof v === 'object')
    return Object.entries(v)
      .map(([k, of]) => `${k}: ${plain(of, k)}`)
      .join(', ');
  return String(v);
}

/** An object of a record as its names and values. */
export function Values({ of }) {
  const rows = Object.entries(of || {});

  if (!rows.length) return null;
  return html`<dl class="values">
    ${rows.map(([k, v]) => html`<div key=${k}><dt>${k}</dt><dd class="mono">${plain(v, k)}</dd></div>`)}
  </dl>`;
}

function Step({ step, measured, longest }) {
  const look = lookUp(OUTCOME, step.state === 'open' ? 'open' : step.outcome);
  const ms = step.duration_us === null || step.duration_us === undefined ? null : step.duration_us / 1000;
  const share = ms !== null && longest > 0 ? `${Math.max(1, (100 * ms) / longest)}%` : '0';

  return html`<tr class="step tone-${look.tone}">
    <td class="num">${step.n}</td>
    <td>
      <b class="step-name">${step.id}</b>
      <span class="muted mono">${step.action}</span>
      ${step.irreversible && html`<span class="flag" title=${t('what_this_step_does_cannot_be_undone')}>${t('irreversible')}</span>`}
    </td>
    <td><${Badge} look=${look} /></td>
    <td class="num">${step.attempt > 1 ? html`<b>${step.attempt}</b>` : step.attempt}</td>
    <td class="took"><span class="num">${duration(ms)}</span><span class="took-bar" aria-hidden="true"><span style=${{ width: share }}></span></span></td>
    <td class="proof">
      ${step.message && html`<p>${step.code && html`<code>${step.code}</code> `}${step.message}</p>`}
      <${Values} of=${step.evidence} />
      ${measured.length > 0 && html`<${Measurements} list=${measured} />`}
      ${measured.filter(isSweep).map((m) => html`<${Sweep} key=${m.k} name=${m.name} unit=${m.unit} detail=${m.detail} />`)}
    </td>
  </tr>`;
}

/** measurements: all of the run, with the number `n` of their step. */
export function StepTable({ steps, measurements }) {
  const longest = Math.max(...steps.map((s) => (s.duration_us || 0) / 1000), 0);
  const phases = Object.keys(PHASES).filter((p) => steps.some((s) => s.phase === p));

  return html`<div class="table-box" role="region" aria-label=${t('steps')} tabindex="0">
    <table class="steps">
      <thead>
        <tr>
          <th scope="col">n</th><th scope="col">${t('step')}</th><th scope="col">${t('outcome')}</th><th scope="col">${t('attempt')}</th>
          <th scope="col">${t('took')}</th><th scope="col">${t('evidence_and_measurements')}</th>
        </tr>
      </thead>
      ${phases.map(
        (p) =>
          html`<tbody key=${p}>
            ${phases.length > 1 && html`<tr class="phase"><th colspan="6" scope="rowgroup">${PHASES[p]}</th></tr>`}
            ${steps
              .filter((s) => s.phase === p)
              .map((s) => html`<${Step} key=${s.n} step=${s} longest=${longest} measured=${measurements.filter((m) => m.n === s.n)} />`)}
          </tbody>`,
      )}
    </table>
  </div>`;
}
