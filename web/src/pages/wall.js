// SPDX-License-Identifier: Apache-2.0
// The station wall: a card per station over the whole screen (lib/fit.js), what needs a person first.
import { ago } from '../lib/format.js';
import { fitWall, GAP } from '../lib/fit.js';
import { html, useEffect, useLayoutEffect, useRef, useState } from '../lib/html.js';
import { navigate } from '../lib/router.js';
import { byUrgency, groupOf, GROUPS, isGood, stationLook } from '../lib/state.js';
import { lineNow, useStation, useStations, useStationsKnown } from '../lib/store.js';
import { Badge, Empty, Failure, Loading, runYield } from '../ui/parts.js';
import { Icon } from '../ui/icons.js';
import { PromptForm } from '../ui/prompt_form.js';
import { InterlockLines, RunHead, RunNow, StationActions, Today } from '../ui/station_parts.js';

function Last({ last }) {
  const when = ago(lineNow() - Date.parse(last.ended_at));

  if (isGood(last.outcome))
    return html`<p class="last" title="Last passed: ${last.serial || 'a unit'}, ${when}">
      Last passed: <a class="serial" href="/runs/${last.run_id}">${last.serial || 'a unit'}</a>, ${when}
    </p>`;
  return html`<div class="last">
    <p title="Last ${last.outcome}: ${last.serial || 'no serial'}, ${when}">
      Last <b class="text-${last.outcome}">${last.outcome}</b>:${' '}
      <a class="serial" href="/runs/${last.run_id}">${last.serial || 'no serial'}</a>, ${when}
    </p>
    <${Failure} last=${last} compact />
  </div>`;
}

function DoneBody({ view }) {
  const { last } = view;

  return html`<div class="done-body">
    <p class="run-head"><a class="serial" href="/runs/${last.run_id}" title=${last.serial}>${last.serial || 'no serial'}</a></p>
    ${isGood(last.outcome)
      ? html`<p class="advice">Take the unit out.</p>`
      : html`<${Failure} last=${last} compact />`}
  </div>`;
}

const ADVICE = {
  empty: (v) => (v.manual ? 'Plug a unit in and press Run.' : 'Plug a unit in.'),
  settling: () => 'Waiting until the unit has settled.',
  ready: (v) =>
    v.code ? '' : v.manual ? 'A unit is here: press Run.' : 'A unit is here; no job waits for it.',
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
    ${view.message && html`<${Failure} last=${{ code: view.code, message: view.message }} compact />`}
    ${ADVICE[view.state]?.(view) && html`<p class="advice" title=${ADVICE[view.state](view)}>${ADVICE[view.state](view)}</p>`}
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
    onClick=${(ev) => {
      if (!ev.target.closest('a, button, input, form, dialog') && !String(getSelection())) navigate(`/stations/${encodeURIComponent(id)}`);
    }}
    onKeyDown=${(ev) => {
      if (ev.key === 'Enter' && ev.target === ev.currentTarget) navigate(`/stations/${encodeURIComponent(id)}`);
    }}
  >
    <header class="card-head">
      <h2 title=${id}><a href="/stations/${encodeURIComponent(id)}" tabindex="-1">${id}</a></h2>
      <span class="card-title" title=${view.title}>${view.title}</span>
      <${Badge} look=${look} />
    </header>
    <div class="card-body"><${InterlockLines} interlocks=${view.interlocks} /><${Body} view=${view} /></div>
    <footer class="card-foot">
      <${Today} today=${view.today} />
      <${StationActions} view=${view} tabIndex=${tab} compact />
    </footer>
  </article>`;
}

function Totals({ views, filter, setFilter, urgent, setUrgent }) {
  const sum = (key) => views.reduce((n, v) => n + v.today[key], 0);
  const passed = sum('passed');
  const failed = sum('failed');

  return html`<section class="totals" aria-label="Totals">
    <div class="totals-states" role="group" aria-label="Show only">
      ${GROUPS.map((g) => {
        const n = views.filter((v) => GROUPS[groupOf(v)] === g).length;

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
      <button
        type="button"
        class="order-by quiet"
        aria-pressed=${urgent ? 'true' : 'false'}
        title="Problems first, or the order of the configuration"
        onClick=${() => setUrgent(!urgent)}
      >
        ${urgent ? 'Problems first' : 'By place'}
      </button>
    </div>
    <dl class="totals-today">
      <div class="tone-pass"><dt>Passed today</dt><dd>${passed}</dd></div>
      <div class=${failed ? 'tone-fail' : ''}><dt>Failed today</dt><dd>${failed}</dd></div>
      <div><dt>Errors today</dt><dd>${sum('error')}</dd></div>
      <div><dt title="Passed runs of all passed and failed runs; errors and aborted runs are counted apart">Run yield today</dt>
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

/** The layout of n cards for the room that is left on the screen below `room`. */
function useFit(room, n) {
  const [fit, set] = useState(null);

  useLayoutEffect(() => {
    if (!room.current) return undefined;
    const measure = () => {
      const box = room.current?.getBoundingClientRect();

      if (!box) return;
      const below = parseFloat(getComputedStyle(room.current.parentElement).paddingBottom);
      const height = document.documentElement.clientHeight - (box.top + window.scrollY) - below;
      const next = fitWall(n, box.width, Math.floor(height));
      set((was) => (was && Object.keys(next).every((k) => was[k] === next[k]) ? was : next));
    };
    const watcher = new ResizeObserver(measure);

    measure();
    watcher.observe(document.body);
    window.addEventListener('resize', measure);
    return () => {
      watcher.disconnect();
      window.removeEventListener('resize', measure);
    };
  }, [n, Boolean(room.current)]);
  return fit;
}

const ORDER = 'provd.order';

function Cards({ shown, onKeyDown, grid, current, setActive }) {
  const fit = useFit(grid, shown.length);
  const style = fit && {
    gap: `${GAP}px`,
    gridTemplateColumns: `repeat(${fit.columns}, minmax(0, 1fr))`,
    gridAutoRows: `${fit.height}px`,
    fontSize: `${fit.font}px`,
  };

  return html`<div class="wall ${fit?.fits ? 'fits' : ''}" style=${style || {}} ref=${grid} onKeyDown=${onKeyDown}>
    ${shown.map((v) => html`<${Card} key=${v.id} id=${v.id} active=${v.id === current} onActive=${setActive} />`)}
  </div>`;
}

export function Wall() {
  const stations = useStations();
  const known = useStationsKnown();
  const [active, setActive] = useState(null);
  const [filter, setFilter] = useState(null);
  const [urgent, setUrgent] = useState(localStorage.getItem(ORDER) !== 'place');
  const grid = useRef(null);
  const views = urgent ? byUrgency(stations.values()) : [...stations.values()];
  const shown = filter ? views.filter((v) => GROUPS[groupOf(v)].key === filter) : views;
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
  useEffect(() => localStorage.setItem(ORDER, urgent ? 'urgent' : 'place'), [urgent]);
  if (!known) return html`<${Loading} />`;
  if (!views.length)
    return html`<${Empty} title="No station is configured">
      <p>Plug a device in, look up its port under <a href="/ports">Ports</a>, put the lines of YAML that are there
      into <code>/etc/provd/stations.d/</code>, and reload provd.</p>
    <//>`;
  return html`
    <h1 class="hidden">Stations</h1>
    <${Totals} views=${views} filter=${filter} setFilter=${setFilter} urgent=${urgent} setUrgent=${setUrgent} />
    ${shown.length > 0 &&
    html`<${Cards} shown=${shown} onKeyDown=${onKeyDown} grid=${grid} current=${current} setActive=${setActive} />`}
    ${!shown.length &&
    html`<${Empty} title="No station is like that now">
      <p><button type="button" onClick=${() => setFilter(null)}>Show all stations</button></p>
    <//>`}
  `;
}
