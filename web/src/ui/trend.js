// SPDX-License-Identifier: Apache-2.0
// First-pass yield over time.
import { dayAndMonth, hourAndMinute, ratio, wholePercent } from '../lib/format.js';
import { html, useCallback } from '../lib/html.js';
import { t } from '../lib/lang.js';
import { Chart } from './chart.js';
import uPlot from 'uplot';

const bars = uPlot.paths.bars({ size: [0.8, 60] });

/** First-pass yield of each hour or day with the limits of its p chart: mean +- 3 sigma of a share of that many units. */
function trendData(all) {
  const mean = all.first_pass_yield ?? 0;
  const limit = (g, side) =>
    g.units ? Math.min(1, Math.max(0, mean + side * 3 * Math.sqrt((mean * (1 - mean)) / g.units))) : null;
  const isOut = (g) => g.units && (g.first_pass_yield < limit(g, -1) || g.first_pass_yield > limit(g, 1));
  const of = (f) => all.groups.map(f);

  return [
    of((g) => Date.parse(g.from) / 1000),
    of((g) => g.units),
    of((g) => limit(g, -1)),
    of((g) => limit(g, 1)),
    of((g) => g.first_pass_yield),
    of((g) => (isOut(g) ? g.first_pass_yield : null)),
  ];
}

const STEP_S = { hour: 3600, day: 86400 };
const timeLabel = (s, by) => (by === 'day' ? dayAndMonth : hourAndMinute)(new Date(s * 1000));

/** all: a yield with its groups by `by`. A group beyond its limits is marked. */
export function Trend({ all, by }) {
  const make = useCallback(
    ({ axis, colour }) => ({
      data: trendData(all),
      scales: {
        x: { range: (u, low, high) => [low - STEP_S[by] / 2, high + STEP_S[by] / 2] },
        y: { range: (u, low) => [Math.min(0.9, Math.floor(10 * low) / 10), 1] },
        n: { range: (u, low, high) => [0, Math.max(1, high * 3)] },
      },
      axes: [
        axis({ values: (u, ticks) => ticks.map((s) => timeLabel(s, by)) }),
        axis({ values: (u, ticks) => ticks.map((v) => wholePercent(v)) }),
      ],
      series: [
        { label: by === 'hour' ? t('hour') : t('day'), value: (u, s) => (s === null ? '–' : timeLabel(s, by)) },
        { label: t('units'), scale: 'n', fill: colour('idle-solid'), stroke: colour('line-strong'), paths: bars, points: { show: false } },
        { label: t('lower_limit'), stroke: colour('muted'), dash: [4, 4], value: (u, v) => ratio(v), points: { show: false } },
        { label: t('upper_limit'), stroke: colour('muted'), dash: [4, 4], value: (u, v) => ratio(v), points: { show: false } },
        { label: t('first_pass_yield'), stroke: colour('accent'), width: 2, value: (u, v) => ratio(v), points: { show: true } },
        { label: t('beyond_a_limit'), stroke: colour('hold-fg'), width: 0, paths: () => null, value: (u, v) => ratio(v),
          points: { show: true, size: 11, fill: colour('hold-fg') } },
      ],
    }),
    [all, by],
  );

  return html`<section class="panel">
    <h2>${by === 'hour' ? t('fpy_by_hour') : t('fpy_by_day')}</h2>
    <${Chart} make=${make} text=${t('fpy_of', { share: ratio(all.first_pass_yield), n: all.units })} />
  </section>`;
}
