// SPDX-License-Identifier: Apache-2.0
// Pools: how full each is, how fast it is used up, and what it has spent without a unit that carries it.
import { enc, serverNow } from '../lib/api.js';
import { html } from '../lib/html.js';
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

  return n === null ? '–' : n < 10 ? n.toFixed(1) : String(Math.round(n));
};

function daysLeft(pool) {
  const n = perDay(pool);

  if (pool.remaining <= 0) return '0';
  if (!n) return '–';
  const days = pool.remaining / n;
  return days < 1 ? 'less than 1' : days > 3650 ? 'more than 3650' : String(Math.floor(days));
}

function poolLook(pool) {
  if (pool.remaining <= 0) return { word: 'Empty', icon: 'cross', tone: 'fail' };
  if (pool.remaining <= pool.low_water) return { word: 'Low', icon: 'triangle', tone: 'hold' };
  return { word: 'Enough', icon: 'check', tone: 'pass' };
}

/** What is left of a pattern, as a bar; a list does not say how long it was. */
function Fill({ pool }) {
  const whole = pool.pattern === null ? 0 : Math.floor((pool.last - pool.first + 1) / pool.span);
  const share = whole > 0 ? Math.min(100, (100 * pool.remaining) / whole) : 0;

  if (!whole) return html`<span class="num">${pool.remaining} left</span>`;
  return html`<div class="job-bar">
    <div class="stack" role="progressbar" aria-label="${pool.remaining} of ${whole} left" aria-valuemin="0"
      aria-valuemax=${whole} aria-valuenow=${pool.remaining}>
      <span class="pass" style=${{ width: `${share}%` }}></span>
    </div>
    <span class="num">${pool.remaining} / ${whole}</span>
  </div>`;
}

export function Pools() {
  const list = useResource('/pools', concerns);
  const head = ['State', 'Pool', 'Kind', 'Left', 'A day', 'Days left', 'Warns at'];

  return html`
    <${PageHead} title="Pools"><p class="muted">Where serial numbers, addresses and keys come from.</p><//>
    <${Loaded} resource=${list}>
      ${({ items }) =>
        items.length === 0
          ? html`<${Empty} title="There is no pool"><p>Make one with <code>provctl pool create</code>.</p><//>`
          : html`<${Table} label="Pools" head=${head}>
              ${items.map(
                (p) =>
                  html`<tr key=${p.id}>
                    <td><${Badge} look=${poolLook(p)} /></td>
                    <td><a class="mono" href="/pools/${enc(p.id)}">${p.id}</a></td>
                    <td>${p.kind}</td>
                    <td><${Fill} pool=${p} /></td>
                    <td class="num">${rate(p)}</td>
                    <td class="num">${daysLeft(p)}</td>
                    <td class="num">${p.low_water || '–'}</td>
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
  const head = ['State', 'Number', 'Value', 'Why', 'Run', 'Unit', 'At'];

  return html`<section>
    <h2>Gaps</h2>
    <p class="muted">What the pool has spent and no passed unit carries.</p>
    <${Trouble} problem=${list.problem} retry=${list.reload} />
    ${list.loading && html`<${Loading} />`}
    ${list.items?.length === 0 && html`<p>There is none: every value that was given out is on a unit that passed.</p>`}
    ${list.items?.length > 0 &&
    html`<${Table} label="Gaps" head=${head} kind="top">
      ${list.items.map(
        (g) =>
          html`<tr key=${g.first}>
            <td><${Badge} look=${lookUp(GAP, g.state)} /></td>
            <td class="num">${g.first === g.last ? g.first : `${g.first} to ${g.last}`}</td>
            <td class="mono">${g.value || '–'}</td>
            <td>${g.why || '–'}${g.exposed && html` <span class="muted">(it had left)</span>`}</td>
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
      <${PageHead} above="Pool" title=${p.id} aside=${html`<${Badge} look=${poolLook(p)} solid large />`} />
      <section class="panel">
        <h2>Stock</h2>
        <${Fill} pool=${p} />
        <${Facts}
          rows=${[
            ['Given out a day', rate(p)],
            ['Days left', daysLeft(p)],
            ['Warns at', p.low_water || 'never'],
            ['Kind', p.kind],
            ['Pattern', p.pattern ? html`<code>${p.pattern}</code>` : 'a list of values'],
            ['Numbers', p.pattern && `${p.first} to ${p.last}, next ${p.next}`],
            ['Block', p.block && html`<span class="mono">${p.block}</span>`],
            ['Addresses for each value', p.span > 1 && p.span],
            ['Model', p.model],
            ['Made', html`<${Time} at=${p.created_at} full />`],
          ]}
        />
        <p class="after"><a href="/api/v1/pools/${enc(p.id)}/values.csv?limit=1000" download="${p.id}.csv">Its values as CSV</a>
          <span class="muted"> the first 1000; <code>provctl pool export ${p.id}</code> has all</span></p>
      </section>
      <${Gaps} id=${p.id} />
    `}
  <//>`;
}
