// SPDX-License-Identifier: Apache-2.0
// What the card of the wall and the page of a station share.
import { enc, post } from '../lib/api.js';
import { clock, wholePercent } from '../lib/format.js';
import { html } from '../lib/html.js';
import { t } from '../lib/lang.js';
import { INTERLOCK, INTERLOCK_NAME, lookUp, STATION_ACTIONS, stationActions } from '../lib/state.js';
import { useSession } from '../lib/store.js';
import { useNow } from '../lib/use.js';
import { ActionButton } from './confirm.js';
import { Icon } from './icons.js';
import { Recipe } from './parts.js';

export function StationActions({ view, tabIndex, compact = false }) {
  const session = useSession();
  const act = (verb) => post(`/stations/${enc(view.id)}/actions/${verb}`);

  return html`<div class="station-actions">
    ${stationActions(view, session).map((verb) => {
      const a = STATION_ACTIONS[verb];
      const again = verb === 'start' && view.state === 'done';
      const label = again && !compact ? t('run_again') : a.label;

      return html`<${ActionButton}
        key=${verb}
        label=${label}
        icon=${a.icon}
        what=${t('what_station', { act: again ? t('run_again') : label, station: view.id })}
        ask=${a.ask}
        kind=${verb === 'disable' ? 'quiet' : verb === 'abort' ? 'quiet danger-text' : ''}
        iconOnly=${compact && verb === 'disable'}
        tabIndex=${tabIndex}
        act=${() => act(verb)}
      />`;
    })}
  </div>`;
}

function Elapsed({ from }) {
  const now = useNow();

  return html`<span class="elapsed" title=${t('elapsed')}>${clock(now - Date.parse(from))}</span>`;
}

const MOST_SEGMENTS = 24;

/** The whole run as one bar, a segment per step; the present one says how far it is, or that it goes on. */
function Segments({ step, progress }) {
  const part = progress?.total > 0 ? Math.min(1, progress.done / progress.total) : 0;
  const share = step.total > 0 ? Math.min(1, (step.n - 1 + part) / step.total) : 0;
  const many = step.total > MOST_SEGMENTS;
  const kind = (n) => (n < step.n ? 'past' : n === step.n ? 'now' : '');
  const now = many ? share : part;

  return html`<div
    class="segments"
    role="progressbar"
    aria-label=${t('progress_of_the_run')}
    aria-valuemin="0"
    aria-valuemax="100"
    aria-valuenow=${Math.round(100 * share)}
    aria-valuetext=${t('step_of', { n: step.n, total: step.total })}
  >
    ${(many ? [step.n] : Array.from({ length: step.total }, (_, i) => i + 1)).map(
      (n) =>
        html`<span key=${n} class="${kind(n)} ${n === step.n && !progress?.total && !many ? 'unknown' : ''}">
          ${n === step.n && html`<span style=${{ width: progress?.total || many ? `${100 * now}%` : '100%' }}></span>`}
        </span>`,
    )}
  </div>`;
}

/** The run that goes on here: step n of m, its id, how far it is, how long it takes. */
export function RunNow({ run }) {
  const { step, progress } = run;
  const part = progress?.total > 0 ? wholePercent(Math.floor((100 * progress.done) / progress.total) / 100) : '';

  return html`<div class="run-now">
    <p class="run-step">
      <span class="step-n">${t('step_of', { n: step.n, total: step.total })}</span>
      <span class="step-id" title="${step.id}: ${step.action} (${step.phase})">${step.id || '…'}</span>
      ${step.attempt > 1 && html`<span class="attempt">${t('attempt_n', { n: step.attempt })}</span>`}
    </p>
    <${Segments} step=${step} progress=${progress} />
    <p class="run-foot">
      <span class="phase" title="${progress?.phase || step.action} ${part}">${progress?.phase || step.action} ${part}</span>
      <${Elapsed} from=${run.started_at} />
    </p>
  </div>`;
}

/** plain: the recipe is no link, where it would be too near to the unit's. */
export function RunHead({ run, plain = false }) {
  return html`<p class="run-head">
    <a class="serial" href="/runs/${run.id}" title=${run.serial || t('no_serial_yet')}>${run.serial || t('no_serial_yet')}</a>
    ${plain ? html`<span class="recipe" title="${run.recipe.name}@${run.recipe.version}">${run.recipe.name}@${run.recipe.version}</span>` : html`<${Recipe} name=${run.recipe.name} version=${run.recipe.version} />`}
  </p>`;
}

/** On a card: what is due first, each in one line that the title has whole. */
export function InterlockLines({ interlocks }) {
  const order = ['due', 'near', 'released'];
  const all = [...interlocks].sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state));

  return all.map((i) => {
    const look = lookUp(INTERLOCK, i.state);

    return html`<p key=${i.interlock} class="interlock tone-${look.tone}" title="${look.word}: ${i.message}">
      <${Icon} name=${look.icon} />${INTERLOCK_NAME[i.interlock]}: ${look.word.toLowerCase()}
    </p>`;
  });
}

/** [what, icon, word], in the order of their weight. */
const COUNTS = [
  ['passed', 'check', t('passed'), 'pass'],
  ['failed', 'cross', t('failed'), 'fail'],
  ['error', 'triangle', t('errors'), 'line'],
  ['aborted', 'stop', t('aborted'), 'off'],
];

/** Passed and failed always, the others where there are any; in words where there is room for them. */
export function Today({ today, words = false }) {
  const all = COUNTS.map(([key, , word]) => `${word}: ${today[key]}`).join(', ');

  return html`<ul class="today" role="list" aria-label=${t('today')} title="${t('today')}: ${all}">
    ${COUNTS.filter(([key]) => key === 'passed' || key === 'failed' || today[key] > 0).map(
      ([key, icon, word, tone]) =>
        html`<li key=${key} class="count ${today[key] ? `tone-${tone}` : ''}" title="${word}: ${today[key]}">
          <${Icon} name=${icon} /><b>${today[key]}</b><span class=${words ? '' : 'hidden'}>${word}</span>
        </li>`,
    )}
  </ul>`;
}
