// SPDX-License-Identifier: Apache-2.0
// One measurement over many units: its control chart, its limits, what the process can do.
import { fixed2, localTime, number } from '../lib/format.js';
import { html, useCallback } from '../lib/html.js';
import { t } from '../lib/lang.js';
import { useResource } from '../lib/use.js';
import { Chart } from '../ui/chart.js';
import { queryOf, TextFilter } from '../ui/filter.js';
import { Facts, Id, Loaded, PageHead, Time } from '../ui/parts.js';
import { Table } from '../ui/tables.js';

const RULES = {
  1: t('beyond_3_sigma'),
  2: t('two_of_three_beyond_2_sigma'),
  3: t('four_of_five_beyond_1_sigma'),
  4: t('eight_in_a_row_on_one_side'),
};
const SHOWN_MAX = 50;
const two = (v) => (v === null ? '–' : fixed2(v));

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
          { label: t('value'), value: when },
          line(t('lowest'), 'fail-fg'),
          line(t('highest'), 'fail-fg'),
          line(t('lower_control_limit'), 'muted', [5, 5]),
          line(t('mean'), 'muted'),
          line(t('upper_control_limit'), 'muted', [5, 5]),
          { label: c.unit || t('value'), stroke: colour('accent'), width: 1, points: { show: true, size: 4 }, value: (u, v) => number(v) },
          { label: t('against_a_rule'), stroke: colour('hold-fg'), width: 0, paths: () => null,
            points: { show: true, size: 9, fill: colour('hold-fg') }, value: (u, v) => number(v) },
        ],
      };
    },
    [c],
  );

  return html`<${Chart} make=${make} height=${320} text=${t('control_chart_of', { n: c.n, mean: number(c.mean), cpk: two(c.cpk) })} />`;
}

function OutOfControl({ points }) {
  const marked = points.filter((p) => p.rules.length).reverse();

  return html`<section>
    <h2>${t('against_a_rule')}</h2>
    ${marked.length === 0 && html`<p class="muted">${t('no_value_nothing_says_that_the_process')}</p>`}
    ${marked.length > SHOWN_MAX && html`<p class="muted">${t('newest_of', { shown: SHOWN_MAX, n: marked.length })}</p>`}
    ${marked.length > 0 &&
    html`<${Table} label=${t('against_a_rule')} head=${[t('value'), t('rule'), t('unit'), t('station'), t('run'), t('at')]}>
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
    <${PageHead} above=${t('measurement')} title=${f.name || t('no_measurement')}>
      <p class="muted">${t('measurement_of', { step: f.step, recipe: f.recipe })}</p>
    <//>
    <div class="filters">
      <${TextFilter} name="station" label=${t('station')} value=${f.station} />
      <${TextFilter} name="version" label=${t('version_of_the_recipe')} value=${f.version} />
    </div>
    <${Loaded} resource=${c}>
      ${(m) => html`
        <section class="panel">
          <${Control} c=${m} />
          <${Facts}
            rows=${[
              ['Cpk', m.reason ? html`<span class="muted" lang="en">${m.reason}</span>` : two(m.cpk)],
              ['Cp', m.cp !== null && two(m.cp)],
              ['Ppk', m.ppk !== null && two(m.ppk)],
              ['Pp', m.pp !== null && two(m.pp)],
              [t('values'), m.n],
              [t('mean'), `${number(m.mean)} ${m.unit || ''}`],
              [t('smallest_largest'), `${number(m.min)}; ${number(m.max)}`],
              [t('limits'), t('from_to', { from: number(m.low), to: number(m.high) })],
              [t('sigma_within'), number(m.sigma_within)],
              [t('sigma_of_all'), number(m.sigma_overall)],
            ]}
          />
          <p class="after"><a href="/api/v1/reports/capability.csv?${asked}" download="${f.name}.csv">${t('the_values_as_csv')}</a></p>
        </section>
        <${OutOfControl} points=${m.points} />
      `}
    <//>
  `;
}
