// SPDX-License-Identifier: Apache-2.0
// What the card of the wall and the page of a station share.
import { enc, post } from '../lib/api.js';
import { clock } from '../lib/format.js';
import { html } from '../lib/html.js';
import { STATION_ACTIONS, stationActions } from '../lib/state.js';
import { useSession } from '../lib/store.js';
import { useNow } from '../lib/use.js';
import { ActionButton } from './confirm.js';
import { Progress, Recipe } from './parts.js';

export function StationActions({ view, tabIndex, compact = false }) {
  const session = useSession();
  const act = (verb) => post(`/stations/${enc(view.id)}/actions/${verb}`);

  return html`<div class="station-actions">
    ${stationActions(view, session).map((verb) => {
      const a = STATION_ACTIONS[verb];
      const label = verb === 'start' && view.state === 'done' ? 'Run again' : a.label;

      return html`<${ActionButton}
        key=${verb}
        label=${label}
        icon=${a.icon}
        what="${label}: station ${view.id}"
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

  return html`<span class="elapsed" title="Elapsed">${clock(now - Date.parse(from))}</span>`;
}

/** The run that goes on here: step n of m, its id, how far it is, how long it takes. */
export function RunNow({ run }) {
  const { step, progress } = run;
  const part = progress?.total > 0 ? `${Math.floor((100 * progress.done) / progress.total)} %` : '';

  return html`<div class="run-now">
    <p class="run-step">
      <span class="step-n">Step ${step.n} of ${step.total}</span>
      <span class="step-id" title="${step.action} (${step.phase})">${step.id || '…'}</span>
      ${step.attempt > 1 && html`<span class="attempt">attempt ${step.attempt}</span>`}
    </p>
    <${Progress} done=${progress?.done} total=${progress?.total} label="Progress of step ${step.id}" />
    <p class="run-foot">
      <span>${progress?.phase || step.action} ${part}</span>
      <${Elapsed} from=${run.started_at} />
    </p>
  </div>`;
}

export function RunHead({ run }) {
  return html`<p class="run-head">
    <a class="serial" href="/runs/${run.id}">${run.serial || 'no serial yet'}</a>
    <${Recipe} name=${run.recipe.name} version=${run.recipe.version} />
  </p>`;
}

export function Today({ today }) {
  const bad = today.error + today.aborted;

  return html`<p class="today" aria-label="Today: ${today.passed} passed, ${today.failed} failed, ${today.error} errors, ${today.aborted} aborted">
    <span class="count tone-pass" title="Passed today"><b>${today.passed}</b> passed</span>
    <span class="count ${today.failed ? 'tone-fail' : ''}" title="Failed today"><b>${today.failed}</b> failed</span>
    ${bad > 0 &&
    html`<span class="count tone-line" title="Errors and aborted runs today"><b>${bad}</b> other</span>`}
  </p>`;
}
