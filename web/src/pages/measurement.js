// SPDX-License-Identifier: Apache-2.0
// One measurement over many units: its control chart, its limits, what the process can do.
import { localTime, number } from '../lib/format.js';
import { html, useCallback } from '../lib/html.js';
import { useResource } from '../lib/use.js';
import { Chart } from '../ui/chart.js';
import { queryOf, TextFilter } from '../ui/filter.js';
import { Facts, Id, Loaded, PageHead, Time } from '../ui/parts.js';
import { Table } from '../ui/tables.js';

const RULES = {
  1: 'beyond 3 sigma',
  2: 'two of three beyond 2 sigma',
  3: 'four of five beyond 1 sigma',
  4: 'eight in a row on one side',
};
const SHOWN_MAX = 50;
const two = (v) => (v === null ? '–' : v.toFixed(2));

function lineOf(n, v) {
  return v === null ? new Array(n).fill(null) : new Array(n).fill(v);
}

/** Values in their order, not by time: the rules are about neighbours. */
function chartData(c) {
  const n = c.points.length;

  return [
    c.points.map((p, i) => i + 1),
    lineOf(n, c.low),
    lineOf(n, c.high),
    lineOf(n, c.chart.lower),
    lineOf(n, c.chart.mean),
    lineOf(n, c.chart.upper),
    c.points.map((p) => p.value),
    c.points.map((p) => (p.rules.length ? p.value : null)),
  ];
}

function Control({ c }) {
  const make = useCallback(
    ({ axis, colour }) => {
      const line = (label, name, dash) => ({ label, stroke: colour(name), dash, width: 1.5, points: { show: false }, value: (u, v) => number(v) });
      const when = (u, v) => (v === null || !c.points[v - 1] ? '–' : `${v}: ${localTime(c.points[v - 1].at)} ${c.points[v - 1].serial || ''}`);

      return {
        data: chartData(c),
        scales: { x: { time: false } },
        axes: [axis(), axis({ size: 70 })],
        series: [
          { label: 'Value', value: when },
          line('Lowest', 'fail-fg'),
          line('Highest', 'fail-fg'),
          line('Lower control limit', 'muted', [5, 5]),
          line('Mean', 'muted'),
          line('Upper control limit', 'muted', [5, 5]),
          { label: c.unit || 'value', stroke: colour('accent'), width: 1, points: { show: true, size: 4 }, value: (u, v) => number(v) },
          { label: 'Against a rule', stroke: colour('hold-fg'), width: 0, paths: () => null,
            points: { show: true, size: 9, fill: colour('hold-fg') }, value: (u, v) => number(v) },
        ],
      };
    },
    [c],
  );

  return html`<${Chart} make=${make} height=${320} text="Control chart of ${c.n} values: mean ${number(c.mean)}, Cpk ${two(c.cpk)}" />`;
}

function OutOfControl({ points }) {
  const marked = points.filter((p) => p.rules.length).reverse();

  return html`<section>
    <h2>Against a rule</h2>
    ${marked.length === 0 && html`<p class="muted">No value: nothing says that the process has changed.</p>`}
    ${marked.length > SHOWN_MAX && html`<p class="muted">The newest ${SHOWN_MAX} of ${marked.length}.</p>`}
    ${marked.length > 0 &&
    html`<${Table} label="Against a rule" head=${['Value', 'Rule', 'Unit', 'Station', 'Run', 'At']}>
      ${marked.slice(0, SHOWN_MAX).map(
        (p) =>
          html`<tr key=${p.run}>
            <td class="num">${number(p.value)}</td>
            <td>${p.rules.map((r) => RULES[r]).join('; ')}</td>
            <td>${p.serial ? html`<a class="mono" href="/units/${encodeURIComponent(p.serial)}">${p.serial}</a>` : '–'}</td>
            <td>${p.station}</td>
            <td><${Id} id=${p.run} href="/runs/${p.run}" /></td>
            <td><${Time} at=${p.at} /></td>
          </tr>`,
      )}
    <//>`}
  </section>`;
}

export function Measurement({ query }) {
  const f = Object.fromEntries(['recipe', 'step', 'name', 'station', 'version'].map((k) => [k, query.get(k)]));
  const asked = queryOf({ ...f, limit: 500 });
  const c = useResource(`/reports/capability?${asked}`, (e) => e.type === 'run-finished');

  return html`
    <${PageHead} above="Measurement" title=${f.name || 'No measurement'}>
      <p class="muted">Step ${f.step} of recipe ${f.recipe}: the newest 500 values of production runs.</p>
    <//>
    <div class="filters">
      <${TextFilter} name="station" label="Station" value=${f.station} />
      <${TextFilter} name="version" label="Version of the recipe" value=${f.version} />
    </div>
    <${Loaded} resource=${c}>
      ${(m) => html`
        <section class="panel">
          <${Control} c=${m} />
          <${Facts}
            rows=${[
              ['Cpk', m.reason ? html`<span class="muted">none: ${m.reason}</span>` : two(m.cpk)],
              ['Cp', m.cp !== null && two(m.cp)],
              ['Ppk', m.ppk !== null && two(m.ppk)],
              ['Pp', m.pp !== null && two(m.pp)],
              ['Values', m.n],
              ['Mean', `${number(m.mean)} ${m.unit || ''}`],
              ['From, to', `${number(m.min)}, ${number(m.max)}`],
              ['Limits', `${number(m.low)} to ${number(m.high)}`],
              ['Sigma within', number(m.sigma_within)],
              ['Sigma of all', number(m.sigma_overall)],
            ]}
          />
          <p class="after"><a href="/api/v1/reports/capability.csv?${asked}" download="${f.name}.csv">The values as CSV</a></p>
        </section>
        <${OutOfControl} points=${m.points} />
      `}
    <//>
  `;
}
