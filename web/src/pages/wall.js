// SPDX-License-Identifier: Apache-2.0
// The station wall: a card per station, in the order of the configuration, since that is where people look for it.
import { ago } from '../lib/format.js';
import { html, useEffect, useRef, useState } from '../lib/html.js';
import { navigate } from '../lib/router.js';
import { stationLook } from '../lib/state.js';
import { useStation, useStations, useStationsKnown } from '../lib/store.js';
import { serverNow } from '../lib/api.js';
import { Badge, Empty, Failure, Loading, runYield } from '../ui/parts.js';
import { Icon } from '../ui/icons.js';
import { PromptForm } from '../ui/prompt_form.js';
import { RunHead, RunNow, StationActions, Today } from '../ui/station_parts.js';

/** How much room a card has: many stations have less. */
const DENSITIES = [
  [12, 'roomy'],
  [32, 'normal'],
  [48, 'dense'],
  [Infinity, 'dense tight'],
];

const density = (n) => DENSITIES.find(([most]) => n <= most)[1];

function Last({ last }) {
  const when = ago(serverNow() - Date.parse(last.ended_at));

  if (last.outcome === 'passed')
    return html`<p class="last">
      Last: <a class="serial" href="/runs/${last.run_id}">${last.serial || 'a unit'}</a> passed, ${when}
    </p>`;
  return html`<div class="last">
    <p>
      Last: <a class="serial" href="/runs/${last.run_id}">${last.serial || 'no serial'}</a>
      ${' '}<b class="text-${last.outcome}">${last.outcome}</b>, ${when}
    </p>
    <${Failure} last=${last} compact />
  </div>`;
}

function DoneBody({ view }) {
  const { last } = view;

  return html`<div class="done-body">
    <p class="run-head"><a class="serial" href="/runs/${last.run_id}">${last.serial || 'no serial'}</a></p>
    ${last.outcome === 'passed'
      ? html`<p class="advice">Take the unit out.</p>`
      : html`<${Failure} last=${last} compact />`}
  </div>`;
}

const ADVICE = {
  empty: (v) => (v.manual ? 'Plug a unit in and press Run.' : 'Plug a unit in.'),
  settling: () => 'Waiting until the unit has settled.',
  ready: (v) => (v.manual ? 'A unit is here: press Run.' : 'A unit is here; no job waits for it.'),
  disabled: () => 'Switched off by a person.',
};

function Body({ view }) {
  if (view.run)
    return html`<${RunHead} run=${view.run} />
      ${view.prompt
        ? html`<${PromptForm} station=${view.id} prompt=${view.prompt} />`
        : html`<${RunNow} run=${view.run} />`}`;
  if (view.state === 'done' && view.last) return html`<${DoneBody} view=${view} />`;
  return html`
    ${view.message && html`<div class="failure"><p class="failure-code"><code>${view.code}</code></p><p class="failure-text">${view.message}</p></div>`}
    ${ADVICE[view.state] && html`<p class="advice">${ADVICE[view.state](view)}</p>`}
    ${view.last && html`<${Last} last=${view.last} />`}
  `;
}

function Card({ id, active, onActive }) {
  const view = useStation(id);

  if (!view) return null;
  const look = stationLook(view);
  // One card is in the order of Tab, with its buttons; one that asks something always is.
  const tab = active || view.prompt ? 0 : -1;

  return html`<article
    class="card tone-${look.tone} state-${view.state} ${look.calls ? 'calls' : ''}"
    data-station=${id}
    tabindex=${active ? 0 : -1}
    aria-label="Station ${id}: ${look.word}"
    onFocus=${() => onActive(id)}
    onKeyDown=${(ev) => {
      if (ev.key === 'Enter' && ev.target === ev.currentTarget) navigate(`/stations/${encodeURIComponent(id)}`);
    }}
  >
    <header class="card-head">
      <h2><a href="/stations/${encodeURIComponent(id)}" tabindex="-1">${id}</a></h2>
      <span class="card-title">${view.title}</span>
      <${Badge} look=${look} solid />
    </header>
    <div class="card-body"><${Body} view=${view} /></div>
    <footer class="card-foot">
      <${Today} today=${view.today} />
      <${StationActions} view=${view} tabIndex=${tab} compact />
    </footer>
  </article>`;
}

const GROUPS = [
  { key: 'run', word: 'Running', icon: 'play', tone: 'run', of: (v) => v.state === 'running' && !v.prompt },
  { key: 'ask', word: 'Need an answer', icon: 'hand', tone: 'prompt', of: (v) => Boolean(v.prompt) },
  { key: 'down', word: 'Need help', icon: 'triangle', tone: 'line', of: (v) => v.state === 'fault' || v.state === 'quarantined' },
  { key: 'free', word: 'Free', icon: 'socket', tone: 'idle', of: (v) => ['empty', 'settling', 'ready', 'done'].includes(v.state) },
  { key: 'off', word: 'Disabled', icon: 'power', tone: 'off', of: (v) => v.state === 'disabled' },
]; // prettier-ignore

function Totals({ views, filter, setFilter }) {
  const sum = (key) => views.reduce((n, v) => n + v.today[key], 0);
  const passed = sum('passed');
  const failed = sum('failed');

  return html`<section class="totals" aria-label="Totals">
    <div class="totals-states" role="group" aria-label="Show only">
      ${GROUPS.map((g) => {
        const n = views.filter(g.of).length;

        return html`<button
          key=${g.key}
          type="button"
          class="total ${n ? `tone-${g.tone}` : 'none'}"
          aria-pressed=${filter === g.key ? 'true' : 'false'}
          onClick=${() => setFilter(filter === g.key ? null : g.key)}
        >
          <${Icon} name=${g.icon} /><b>${n}</b><span>${g.word}</span>
        </button>`;
      })}
    </div>
    <dl class="totals-today">
      <div class="tone-pass"><dt>Passed today</dt><dd>${passed}</dd></div>
      <div class=${failed ? 'tone-fail' : ''}><dt>Failed today</dt><dd>${failed}</dd></div>
      <div><dt>Errors today</dt><dd>${sum('error')}</dd></div>
      <div><dt title="Passed runs of all passed and failed runs; errors and aborted runs stand apart">Run yield today</dt>
        <dd>${runYield(passed, failed)}</dd></div>
    </dl>
  </section>`;
}

/** The card that lies nearest in the direction of an arrow key, by what is on the screen. */
function neighbour(cards, from, key) {
  const at = cards.indexOf(from);
  const box = from.getBoundingClientRect();

  if (key === 'ArrowLeft') return cards[at - 1];
  if (key === 'ArrowRight') return cards[at + 1];
  if (key === 'Home') return cards[0];
  if (key === 'End') return cards[cards.length - 1];
  const down = key === 'ArrowDown';
  const rows = cards
    .map((c) => [c, c.getBoundingClientRect()])
    .filter(([, r]) => (down ? r.top > box.top + 4 : r.top < box.top - 4));
  const far = ([, r]) => Math.abs(r.top - box.top) * 1000 + Math.abs(r.left - box.left);

  return rows.sort((a, b) => far(a) - far(b))[0]?.[0];
}

const MOVES = ['ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown', 'Home', 'End'];

export function Wall() {
  const stations = useStations();
  const known = useStationsKnown();
  const [active, setActive] = useState(null);
  const [filter, setFilter] = useState(null);
  const grid = useRef(null);
  const views = [...stations.values()];
  const group = GROUPS.find((g) => g.key === filter);
  const shown = group ? views.filter(group.of) : views;
  const current = shown.some((v) => v.id === active) ? active : shown[0]?.id;
  const onKeyDown = (ev) => {
    const card = ev.target.closest('.card');

    if (!MOVES.includes(ev.key) || !card || ev.target !== card) return;
    ev.preventDefault();
    neighbour([...grid.current.querySelectorAll('.card')], card, ev.key)?.focus();
  };

  useEffect(() => {
    document.title = 'Stations · provd';
  }, []);
  if (!known) return html`<${Loading} />`;
  if (!views.length)
    return html`<${Empty} title="No station is configured">
      <p>Plug a device in, look up its port under <a href="/ports">Ports</a>, put the lines of YAML that stand there
      into <code>/etc/provd/stations.d/</code>, and reload provd.</p>
    <//>`;
  return html`
    <h1 class="hidden">Stations</h1>
    <${Totals} views=${views} filter=${filter} setFilter=${setFilter} />
    <div class="wall ${density(views.length)}" ref=${grid} onKeyDown=${onKeyDown}>
      ${shown.map((v) => html`<${Card} key=${v.id} id=${v.id} active=${v.id === current} onActive=${setActive} />`)}
    </div>
    ${!shown.length &&
    html`<${Empty} title="No station is like that now">
      <p><button type="button" onClick=${() => setFilter(null)}>Show all stations</button></p>
    <//>`}
  `;
}
