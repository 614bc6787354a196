// SPDX-License-Identifier: Apache-2.0
// Pools: how full each is, how fast it is used up, and what it has spent without a unit that carries it.
import { enc, serverNow } from '../lib/api.js';
import { number } from '../lib/format.js';
import { html } from '../lib/html.js';
import { t, tx } from '../lib/lang.js';
import { lookUp, VALUE } from '../lib/state.js';
import { usePages, useResource } from '../lib/use.js';
import { Badge, Empty, Facts, Id, Loaded, Loading, More, PageHead, Time, Trouble } from '../ui/parts.js';
import { Table } from '../ui/tables.js';

const DAY_MS = 864e5;
/** More of a week's values are not counted (spent_week): then they came in less time. */
const COUNTED_MAX = 2000;
const concerns = (e) => e.type.startsWith('serial-') || e.type.startsWith('pool-') || e.type === 'run-finished';

/** Values a day, null where that is not known. A pool that is younger than a day counts as a day old. */
function perDay(pool) {
  if (pool.spent_week === null) return null;
  const days = (serverNow() - Date.parse(pool.spent_since)) / DAY_MS;

  return pool.spent_week / Math.max(days, pool.spent_week < COUNTED_MAX ? 1 : 1 / 1440);
}

const rate = (pool) => {
  const n = perDay(pool);

  return n === null ? '–' : number(n < 10 ? Math.round(10 * n) / 10 : Math.round(n));
};

function daysLeft(pool) {
  const n = perDay(pool);

  if (pool.remaining <= 0) return '0';
  if (!n) return '–';
  const days = pool.remaining / n;
  return days < 1 ? t('less_than_1') : days > 3650 ? t('more_than_3650') : number(Math.floor(days));
}

function poolLook(pool) {
  if (pool.remaining <= 0) return { word: t('empty'), icon: 'cross', tone: 'fail' };
  if (pool.remaining <= pool.low_water) return { word: t('low'), icon: 'triangle', tone: 'hold' };
  return { word: t('enough'), icon: 'check', tone: 'pass' };
}

/** What is left of a pattern, as a bar; a list does not say how long it was. */
function Fill({ pool }) {
  const whole = pool.pattern === null ? 0 : Math.floor((pool.last - pool.first + 1) / pool.span);
  const share = whole > 0 ? Math.min(100, (100 * pool.remaining) / whole) : 0;

  if (!whole) return html`<span class="num">${t('n_left', { n: pool.remaining })}</span>`;
  return html`<div class="job-bar">
    <div class="stack" role="progressbar" aria-label=${t('n_of_left', { n: pool.remaining, whole })} aria-valuemin="0"
      aria-valuemax=${whole} aria-valuenow=${pool.remaining}>
      <span class="pass" style=${{ width: `${share}%` }}></span>
    </div>
    <span class="num">${number(pool.remaining)} / ${number(whole)}</span>
  </div>`;
}

export function Pools() {
  const list = useResource('/pools', concerns);
  const head = [t('state'), t('pool'), t('kind'), t('left'), t('a_day'), t('days_left'), t('warns_at')];

  return html`
    <${PageHead} title=${t('pools')}><p class="muted">${t('where_serial_numbers_addresses_and_keys_come')}</p><//>
    <${Loaded} resource=${list}>
      ${({ items }) =>
        items.length === 0
          ? html`<${Empty} title=${t('there_is_no_pool')}><p>${tx('make_one_with', { command: html`<code>provctl pool create</code>` })}</p><//>`
          : html`<${Table} label=${t('pools')} head=${head}>
              ${items.map(
                (p) =>
                  html`<tr key=${p.id}>
                    <td><${Badge} look=${poolLook(p)} /></td>
                    <td><a class="mono" href="/pools/${enc(p.id)}">${p.id}</a></td>
                    <td>${p.kind}</td>
                    <td><${Fill} pool=${p} /></td>
                    <td class="num">${rate(p)}</td>
                    <td class="num">${daysLeft(p)}</td>
                    <td class="num">${p.low_water ? number(p.low_water) : '–'}</td>
                  </tr>`,
              )}
            <//>`}
    <//>
  `;
}

/** A gap on a unit is on one that did not pass. */
const GAP = { ...VALUE, committed: { ...VALUE.committed, icon: 'triangle', tone: 'line' } };

function Gaps({ id }) {
  const list = usePages(`/pools/${enc(id)}/gaps?limit=100`, concerns);
  const head = [t('state'), t('number'), t('value'), t('why'), t('run'), t('unit'), t('at')];

  return html`<section>
    <h2>${t('gaps')}</h2>
    <p class="muted">${t('what_the_pool_has_spent_and_no')}</p>
    <${Trouble} problem=${list.problem} retry=${list.reload} />
    ${list.loading && html`<${Loading} />`}
    ${list.items?.length === 0 && html`<p>${t('there_is_none_every_value_that_was')}</p>`}
    ${list.items?.length > 0 &&
    html`<${Table} label=${t('gaps')} head=${head} kind="top">
      ${list.items.map(
        (g) =>
          html`<tr key=${g.first}>
            <td><${Badge} look=${lookUp(GAP, g.state)} /></td>
            <td class="num">${g.first === g.last ? g.first : t('from_to', { from: g.first, to: g.last })}</td>
            <td class="mono">${g.value || '–'}</td>
            <td>${g.why || '–'}${g.exposed && html` <span class="muted">${t('it_had_left')}</span>`}</td>
            <td>${g.run ? html`<${Id} id=${g.run} href="/runs/${g.run}" />` : '–'}</td>
            <td>${g.unit ? html`<${Id} id=${g.unit} href="/units/${g.unit}" />` : '–'}</td>
            <td><${Time} at=${g.at} /></td>
          </tr>`,
      )}
    <//>`}
    <${More} list=${list} />
  </section>`;
}

export function Pool({ id }) {
  const pool = useResource(`/pools/${enc(id)}`, concerns);

  return html`<${Loaded} resource=${pool}>
    ${(p) => html`
      <${PageHead} above=${t('pool')} title=${p.id} aside=${html`<${Badge} look=${poolLook(p)} solid large />`} />
      <section class="panel">
        <h2>${t('stock')}</h2>
        <${Fill} pool=${p} />
        <${Facts}
          rows=${[
            [t('given_out_a_day'), rate(p)],
            [t('days_left'), daysLeft(p)],
            [t('warns_at'), p.low_water ? number(p.low_water) : t('never')],
            [t('kind'), p.kind],
            [t('pattern'), p.pattern ? html`<code>${p.pattern}</code>` : t('a_list_of_values')],
            [t('numbers'), p.pattern && t('numbers_next', { first: p.first, last: p.last, next: p.next })],
            [t('block'), p.block && html`<span class="mono">${p.block}</span>`],
            [t('addresses_for_each_value'), p.span > 1 && p.span],
            [t('model'), p.model],
            [t('pool_made'), html`<${Time} at=${p.created_at} full />`],
          ]}
        />
        <p class="after"><a href="/api/v1/pools/${enc(p.id)}/values.csv?limit=1000" download="${p.id}.csv">${t('its_values_as_csv')}</a>
          <span class="muted"> ${tx('first_1000', { command: html`<code>provctl pool export ${p.id}</code>` })}</span></p>
      </section>
      <${Gaps} id=${p.id} />
    `}
  <//>`;
}
