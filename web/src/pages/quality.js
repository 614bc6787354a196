// SPDX-License-Identifier: Apache-2.0
// What the line made: yield over time and by station, what ended runs, what was measured.
import { enc, serverNow } from '../lib/api.js';
import { duration, number, ratio } from '../lib/format.js';
import { html, useMemo, useState } from '../lib/html.js';
import { t } from '../lib/lang.js';
import { setQuery } from '../lib/router.js';
import { lookUp, STATION_VERDICT } from '../lib/state.js';
import { useResource } from '../lib/use.js';
import { Causes, concerns } from '../ui/causes.js';
import { queryOf, TextFilter } from '../ui/filter.js';
import { Badge, Empty, Loaded, PageHead } from '../ui/parts.js';
import { Table } from '../ui/tables.js';
import { Trend } from '../ui/trend.js';

const HOUR_MS = 36e5;
const DAY_MS = 864e5;
const SPANS = {
  today: { word: t('today'), by: 'hour' },
  '24h': { word: t('24_hours'), by: 'hour', ms: DAY_MS },
  '7d': { word: t('7_days'), by: 'day', ms: 7 * DAY_MS },
  '30d': { word: t('30_days'), by: 'day', ms: 30 * DAY_MS },
  '90d': { word: t('90_days'), by: 'day', ms: 90 * DAY_MS },
};

/** From a whole hour or a midnight, to the end of the present one, so that the address stays the same for a while. */
function windowOf(name) {
  const span = SPANS[name];
  const now = serverNow();
  const day = new Date(now);

  day.setHours(0, 0, 0, 0);
  if (!span.ms) return { from: day.getTime(), to: Math.floor(now / HOUR_MS + 1) * HOUR_MS };
  if (span.by === 'hour') {
    const to = Math.floor(now / HOUR_MS + 1) * HOUR_MS;
    return { from: to - span.ms, to };
  }
  const next = new Date(day);
  next.setDate(next.getDate() + 1);
  day.setDate(day.getDate() + 1 - Math.round(span.ms / DAY_MS));
  return { from: day.getTime(), to: next.getTime() };
}

/** The same object until its end has passed. */
function useWindow(name) {
  const [, again] = useState(0);
  const span = useMemo(() => windowOf(name), [name]);

  if (serverNow() >= span.to) {
    Object.assign(span, windowOf(name));
    again((n) => n + 1);
  }
  return span;
}

function Tiles({ all }) {
  const range = all.first_pass_interval;
  const rows = [
    [t('first_pass_yield'), ratio(all.first_pass_yield), range && t('range_by_chance', { from: ratio(range[0]), to: ratio(range[1]) })],
    [t('final_yield'), ratio(all.final_yield), t('last_run_of_each_unit_so_far')],
    [t('units'), number(all.units), t('run_more_than_once', { share: ratio(all.retest_rate) })],
    [t('run_yield'), ratio(all.run_yield), t('n_of_runs', { n: all.runs.passed, whole: all.runs.passed + all.runs.failed })],
    [t('errors'), number(all.runs.error + all.runs.interrupted), t('runs_that_the_station_spoiled')],
  ];

  return html`<dl class="tiles">
    ${rows.map(([name, value, more]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd><dd class="muted">${more}</dd></div>`)}
  </dl>`;
}

function Stations({ query }) {
  const all = useResource(`/reports/yield?${query}&by=station`, concerns);
  const head = [t('station'), t('against_the_others'), t('first_pass_yield'), t('by_chance'), t('units'), t('final_yield'), t('run_again'), t('errors')];
  const range = (g) => (g.first_pass_interval ? t('from_to', { from: ratio(g.first_pass_interval[0]), to: ratio(g.first_pass_interval[1]) }) : '–');

  return html`<section>
    <h2>${t('stations')}</h2>
    <${Loaded} resource=${all}>
      ${({ groups }) =>
        html`<${Table} label=${t('stations')} head=${head}>
          ${groups.map(
            (g) =>
              html`<tr key=${g.station}>
                <td><a href="/stations/${enc(g.station)}">${g.station}</a></td>
                <td title=${g.p_value === null ? '' : t('fisher', { p: g.p_value.toPrecision(2) })}>${
                  g.verdict ? html`<${Badge} look=${lookUp(STATION_VERDICT, g.verdict)} />` : '–'
                }</td>
                <td class="num">${ratio(g.first_pass_yield)}</td>
                <td class="num">${range(g)}</td>
                <td class="num">${g.units}</td>
                <td class="num">${ratio(g.final_yield)}</td>
                <td class="num">${ratio(g.retest_rate)}</td>
                <td class="num">${g.runs.error + g.runs.interrupted}</td>
              </tr>`,
          )}
        <//>`}
    <//>
  </section>`;
}

const PART = {
  setup: t('part_setup'),
  work: t('part_work'),
  teardown: t('part_teardown'),
  again: t('part_again'),
  person: t('part_person'),
  rest: t('part_rest'),
  change: t('part_change'),
};

/** What takes most of a unit's time, by part of its run and step. */
function Time({ query }) {
  const all = useResource(`/reports/time?${query}`);
  const most = ({ items }) => items.filter((p) => PART[p.part]).sort((a, b) => b.ms - a.ms).slice(0, 12);

  return html`<section>
    <h2>${t('where_the_time_goes')}</h2>
    <${Loaded} resource=${all}>
      ${(list) =>
        html`<${Table} label=${t('where_the_time_goes')} head=${[t('part'), t('step'), t('share'), t('for_a_unit'), t('median'), t('slowest_in_20'), t('runs')]}>
          ${most(list).map(
            (p) =>
              html`<tr key=${`${p.part} ${p.step}`}>
                <td>${PART[p.part]}</td>
                <td>${p.step || '–'}</td>
                <td class="num">${ratio(p.share)}</td>
                <td class="num">${duration(p.per_unit_ms)}</td>
                <td class="num">${duration(p.p50_ms)}</td>
                <td class="num">${duration(p.p95_ms)}</td>
                <td class="num">${number(p.runs)}</td>
              </tr>`,
          )}
        <//>`}
    <//>
  </section>`;
}

const CAUSE = {
  unit: { word: t('cause_is_unit'), icon: 'check', tone: 'off' },
  station: { word: t('cause_is_station'), icon: 'triangle', tone: 'hold' },
  fixture: { word: t('cause_is_fixture'), icon: 'triangle', tone: 'hold' },
  lot: { word: t('cause_is_lot'), icon: 'triangle', tone: 'hold' },
};

/** Whether it is the units, or what they were made with; and which of them should be run elsewhere. */
function Comparison({ query }) {
  const all = useResource(`/reports/comparison?${query}`, concerns);
  const head = [t('step'), t('failed'), t('verdict'), t('passed_elsewhere'), t('failed_elsewhere'), t('run_these_at_another_station')];
  const named = (c) => c[c.verdict] && { ...c[c.verdict], name: c[c.verdict].station || c[c.verdict].fixture || c[c.verdict].job };

  return html`<section>
    <h2>${t('what_makes_units_fail')}</h2>
    <${Loaded} resource=${all}>
      ${({ items }) =>
        items.length === 0
          ? html`<p class="muted">${t('none_of_it')}</p>`
          : html`<${Table} label=${t('what_makes_units_fail')} head=${head}>
              ${items.map((c) => {
                const cause = named(c);
                return html`<tr key=${`${c.recipe} ${c.step}`}>
                  <td>${c.step}</td>
                  <td class="num">${number(c.failed)}</td>
                  <td title=${c.reason}>
                    <${Badge} look=${lookUp(CAUSE, c.verdict)} />
                    ${
                      cause &&
                      html`<div class="muted" title=${t('fisher', { p: cause.p_adjusted.toPrecision(2) })}>${cause.name}: ${t('n_of_n_others', cause)}</div>`
                    }
                  </td>
                  <td class="num">${c.retests.other_passed}</td>
                  <td class="num">${c.retests.other_failed}</td>
                  <td>${c.ask_units.map((u, i) => html`${i ? ', ' : ''}<a href="/units/${enc(u)}">${u}</a>`)}</td>
                </tr>`;
              })}
            <//>`}
    <//>
  </section>`;
}

function Measurements({ recipe }) {
  const list = useResource('/reports/measurements');
  const mine = ({ items }) => items.filter((m) => !recipe || m.recipe === recipe);
  const address = (m) => `/quality/measurement?${queryOf({ recipe: m.recipe, step: m.step, name: m.name })}`;

  return html`<section>
    <h2>${t('measurements')}</h2>
    <${Loaded} resource=${list}>
      ${(all) =>
        mine(all).length === 0
          ? html`<p class="muted">${t('the_newest_runs_measured_nothing')}</p>`
          : html`<${Table} label=${t('measurements')} head=${[t('measurement'), t('step'), t('recipe'), t('from'), t('to'), t('unit')]}>
              ${mine(all).map(
                (m) =>
                  html`<tr key=${address(m)}>
                    <td><a href=${address(m)}>${m.name}</a></td>
                    <td>${m.step}</td>
                    <td>${m.recipe}</td>
                    <td class="num">${m.low ?? '–'}</td>
                    <td class="num">${m.high ?? '–'}</td>
                    <td>${m.unit || '–'}</td>
                  </tr>`,
              )}
            <//>`}
    <//>
  </section>`;
}

function Spans({ now }) {
  return html`<div class="choices" role="group" aria-label=${t('time')}>
    ${Object.entries(SPANS).map(
      ([name, s]) =>
        html`<button key=${name} type="button" aria-pressed=${name === now ? 'true' : 'false'}
          onClick=${() => setQuery({ span: name === 'today' ? '' : name })}>${s.word}</button>`,
    )}
  </div>`;
}

export function Quality({ query }) {
  const name = SPANS[query.get('span')] ? query.get('span') : 'today';
  const span = useWindow(name);
  const { by } = SPANS[name];
  const f = { station: query.get('station'), recipe: query.get('recipe') };
  const filter = { from: new Date(span.from).toISOString(), to: new Date(span.to).toISOString(), ...f };
  const asked = queryOf(filter);
  const all = useResource(`/reports/yield?${asked}&by=${by}`, concerns);
  const made = all.data && Object.values(all.data.runs).some(Boolean);

  return html`
    <${PageHead} title=${t('quality')}><p class="muted">${t('production_runs_alone_a_unit_counts_where')}</p><//>
    <div class="filters">
      <${Spans} now=${name} />
      <${TextFilter} name="station" label=${t('station')} value=${f.station} />
      <${TextFilter} name="recipe" label=${t('recipe')} value=${f.recipe} />
    </div>
    <${Loaded} resource=${all}>
      ${(y) =>
        made
          ? html`
              <${Tiles} all=${y} />
              <${Trend} all=${y} by=${by} />
              <p class="after"><a href="/api/v1/reports/yield.csv?${asked}&by=${by}" download="yield.csv">${t('these_numbers_as_csv')}</a></p>
              <${Causes} filter=${filter} outcome="failed" title=${t('what_failed_units')} />
              <${Causes} filter=${filter} outcome="error" title=${t('what_spoiled_runs')} />
              <${Stations} query=${asked} />
              <${Comparison} query=${asked} />
              <${Time} query=${asked} />
            `
          : html`<${Empty} title=${t('nothing_was_made_in_this_time')}><p>${t('choose_a_longer_time_or_other_filters')}</p><//>`}
    <//>
    <${Measurements} recipe=${f.recipe} />
  `;
}
