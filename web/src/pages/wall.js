// SPDX-License-Identifier: Apache-2.0
// The station wall: a card per station over the whole screen (lib/fit.js), what needs a person first.
import { choose, chosen, kiosk } from '../lib/choices.js';
import { ago, number } from '../lib/format.js';
import { CARD, fitWall, GAP, TILE } from '../lib/fit.js';
import { html, useEffect, useLayoutEffect, useRef, useState } from '../lib/html.js';
import { t, tx } from '../lib/lang.js';
import { navigate } from '../lib/router.js';
import { byUrgency, groupOf, GROUPS, isGood, lookUp, OUTCOME, stationLook } from '../lib/state.js';
import { lineNow, useStation, useStations, useStationsKnown } from '../lib/store.js';
import { Badge, Empty, Failure, Loading, runYield } from '../ui/parts.js';
import { Icon } from '../ui/icons.js';
import { PromptForm } from '../ui/prompt_form.js';
import { nameFits, Tile } from '../ui/tiles.js';
import { InterlockLines, RunHead, RunNow, StationActions, Today } from '../ui/station_parts.js';

function Last({ last }) {
  const when = ago(lineNow() - Date.parse(last.ended_at));

  if (isGood(last.outcome))
    return html`<p class="last" title=${t('last_title', { outcome: lookUp(OUTCOME, last.outcome).word, serial: last.serial || t('no_serial'), when })}>
      ${t('last_outcome', { outcome: lookUp(OUTCOME, last.outcome).word })} <a class="serial" href="/runs/${last.run_id}">${last.serial || t('no_serial')}</a>, ${when}
    </p>`;
  return html`<div class="last">
    <p title=${t('last_title', { outcome: lookUp(OUTCOME, last.outcome).word, serial: last.serial || t('no_serial'), when })}>
      <b class="text-${last.outcome}">${t('last_outcome', { outcome: lookUp(OUTCOME, last.outcome).word })}</b>${' '}
      <a class="serial" href="/runs/${last.run_id}">${last.serial || t('no_serial')}</a>, ${when}
    </p>
    <${Failure} last=${last} compact />
  </div>`;
}

function DoneBody({ view }) {
  const { last } = view;

  return html`<div class="done-body">
    <p class="run-head"><a class="serial" href="/runs/${last.run_id}" title=${last.serial}>${last.serial || t('no_serial')}</a></p>
    ${isGood(last.outcome)
      ? html`<p class="advice">${t('take_the_unit_out')}</p>`
      : html`<${Failure} last=${last} compact />`}
  </div>`;
}

const ADVICE = {
  empty: (v) => (v.manual ? t('plug_a_unit_in_and_press_run') : t('plug_a_unit_in')),
  settling: () => t('waiting_until_the_unit_has_settled'),
  ready: (v) =>
    v.code ? '' : v.manual ? t('a_unit_is_here_press_run') : t('a_unit_is_here_no_job_waits'),
  disabled: () => t('switched_off_by_a_person'),
};

function Body({ view }) {
  if (view.run)
    return html`<${RunHead} run=${view.run} plain />
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
    aria-label="${t('station_name', { id })}: ${look.word}"
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

function Totals({ views, filter, setFilter, urgent, setUrgent, tiles, setTiles }) {
  const sum = (key) => views.reduce((n, v) => n + v.today[key], 0);
  const passed = sum('passed');
  const failed = sum('failed');

  return html`<section class="totals" aria-label=${t('totals')}>
    <div class="totals-states" role="group" aria-label=${t('show_only')}>
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
        title=${t('problems_first_or_the_order_of_the')}
        onClick=${() => setUrgent(!urgent)}
      >
        ${urgent ? t('problems_first') : t('by_place')}
      </button>
      <button type="button" class="order-by quiet" aria-pressed=${tiles ? 'true' : 'false'} title=${t('tiles_title')}
        onClick=${() => setTiles(!tiles)}>${t('tiles')}</button>
    </div>
    <dl class="totals-today">
      <div class="tone-pass"><dt>${t('passed_today')}</dt><dd>${number(passed)}</dd></div>
      <div class=${failed ? 'tone-fail' : ''}><dt>${t('failed_today')}</dt><dd>${number(failed)}</dd></div>
      <div><dt>${t('errors_today')}</dt><dd>${number(sum('error'))}</dd></div>
      <div><dt title=${t('passed_runs_of_all_passed_and_failed')}>${t('run_yield_today')}</dt>
        <dd>${runYield(passed, failed)}</dd></div>
    </dl>
  </section>`;
}

/** What a hall reads from afar: how many stations call, and what the day has made. */
function KioskHead({ views }) {
  const calling = views.filter((v) => stationLook(v).calls).length;
  const sum = (key) => views.reduce((n, v) => n + v.today[key], 0);
  const figures = [
    [calling ? 'line' : 'pass', calling ? 'hand' : 'check', number(calling), t('stations_call', { n: calling })],
    ['pass', 'check', number(sum('passed')), t('passed_today')],
    [sum('failed') ? 'fail' : 'idle', 'cross', number(sum('failed')), t('failed_today')],
    ['idle', 'play', runYield(sum('passed'), sum('failed')), t('run_yield_today')],
  ];

  return html`<dl class="kiosk-head">
    ${figures.map(
      ([tone, icon, value, what]) =>
        html`<div key=${what} class="tone-${tone}"><dt>${what}</dt><dd><${Icon} name=${icon} />${value}</dd></div>`,
    )}
  </dl>`;
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

/** The layout of n cards or tiles (of) for the room that is left on the screen below `room`. */
function useFit(room, n, of) {
  const [fit, set] = useState(null);

  useLayoutEffect(() => {
    if (!room.current) return undefined;
    const measure = () => {
      const box = room.current?.getBoundingClientRect();

      if (!box) return;
      const below = parseFloat(getComputedStyle(room.current.parentElement).paddingBottom);
      const height = document.documentElement.clientHeight - (box.top + window.scrollY) - below;
      const next = fitWall(n, box.width, Math.floor(height), of);
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
  }, [n, of, Boolean(room.current)]);
  return fit;
}

const ORDER = 'provd.order';

/** The same element for the same key: what it shows is then not looked at again, since each card follows its own station. */
function useKept() {
  const kept = useRef(new Map());

  return (key, make) => {
    if (!kept.current.has(key)) kept.current.set(key, make());
    return kept.current.get(key);
  };
}

function Cards({ shown, onKeyDown, grid, current, setActive, tiles }) {
  const fit = useFit(grid, shown.length, tiles ? TILE : CARD);
  const keep = useKept();
  const name = nameFits(Math.max(...shown.map((v) => v.id.length)));
  const style = fit && {
    '--name': `${name.em}em`,
    gap: `${GAP}px`,
    gridTemplateColumns: `repeat(${fit.columns}, minmax(0, 1fr))`,
    gridAutoRows: `${fit.height}px`,
    fontSize: `${fit.font}px`,
  };

  return html`<div class="wall ${tiles ? 'far' : ''} ${name.long ? 'long-names' : ''} ${fit?.fits ? 'fits' : ''}" style=${style || {}} ref=${grid} onKeyDown=${onKeyDown}>
    ${shown.map((v) => keep(`${tiles} ${v.id === current} ${v.id}`, () =>
      tiles ? html`<${Tile} key=${v.id} id=${v.id} plain=${kiosk} />` : html`<${Card} key=${v.id} id=${v.id} active=${v.id === current} onActive=${setActive} />`))}
  </div>`;
}

export function Wall() {
  const stations = useStations();
  const known = useStationsKnown();
  const [active, setActive] = useState(null);
  const [filter, setFilter] = useState(null);
  const [urgent, setUrgent] = useState(localStorage.getItem(ORDER) !== 'place');
  const [tiles, setTiles] = useState(kiosk || chosen('tiles'));
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
    document.title = `${t('stations')} · provd`;
  }, []);
  useEffect(() => localStorage.setItem(ORDER, urgent ? 'urgent' : 'place'), [urgent]);
  useEffect(() => {
    if (!kiosk) choose('tiles', tiles);
  }, [tiles]);
  if (!known) return html`<${Loading} />`;
  if (!views.length)
    return html`<${Empty} title=${t('no_station_is_configured')}>
      <p>${tx('configure_station', { ports: html`<a href="/ports">${t('ports')}</a>`, folder: html`<code>/etc/provd/stations.d/</code>` })}</p>
    <//>`;
  return html`
    <h1 class="hidden">${t('stations')}</h1>
    ${kiosk
      ? html`<${KioskHead} views=${views} />`
      : html`<${Totals} views=${views} filter=${filter} setFilter=${setFilter} urgent=${urgent} setUrgent=${setUrgent} tiles=${tiles}
          setTiles=${setTiles} />`}
    ${shown.length > 0 &&
    html`<${Cards} shown=${shown} onKeyDown=${onKeyDown} grid=${grid} current=${current} setActive=${setActive} tiles=${tiles} />`}
    ${!shown.length &&
    html`<${Empty} title=${t('no_station_is_like_that_now')}>
      <p><button type="button" onClick=${() => setFilter(null)}>${t('show_all_stations')}</button></p>
    <//>`}
  `;
}
