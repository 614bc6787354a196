// SPDX-License-Identifier: Apache-2.0
// Curves of a run: a sweep between its limits, a waveform of an attached file. A part of its own, so that the charts are
// loaded where there is one to draw.
import { number } from '../lib/format.js';
import { html, useCallback } from '../lib/html.js';
import { t } from '../lib/lang.js';
import { Chart } from './chart.js';

const COLOURS = ['accent', 'run-fg', 'hold-fg', 'pass-fg', 'fail-fg', 'muted'];
const value = (u, v) => number(v);
const named = (name, unit) => [name, unit && `(${unit})`].filter(Boolean).join(' ');

/** As the daemon judges: a point at the border of two rows is in the later one. */
const rowAt = (limits, x) => limits.findLastIndex((l) => x >= l.from);

/** uPlot's columns: x, lower limit, upper limit, values, values outside. The corners of the mask are points without a value. */
export function sweepData({ axis, values, limits, outside }) {
  const out = new Set(outside);
  const corner = (x, row, rank) => ({ x, rank, low: limits[row].low, high: limits[row].high, y: null, bad: null });
  const points = axis.values.map((x, i) => {
    const row = rowAt(limits, x);
    const l = limits[row];

    return { x, rank: 2 * row + 0.5, low: l?.low ?? null, high: l?.high ?? null, y: values[i], bad: out.has(i + 1) ? values[i] : null };
  });
  const all = [...points, ...limits.flatMap((l, i) => [corner(l.from, i, 2 * i), corner(l.to, i, 2 * i + 1)])];

  all.sort((a, b) => a.x - b.x || a.rank - b.rank);
  return ['x', 'low', 'high', 'y', 'bad'].map((k) => all.map((p) => p[k]));
}

export function Sweep({ name, unit, detail }) {
  const make = useCallback(
    ({ axis, colour }) => {
      const limit = (label) => ({ label, stroke: colour('fail-fg'), width: 2, dash: [6, 4], points: { show: false }, value });

      return {
        data: sweepData(detail),
        scales: { x: { time: false } },
        axes: [axis({ label: named(detail.axis.name || '', detail.axis.unit), labelFont: '12px system-ui, sans-serif' }), axis({ size: 70 })],
        series: [
          { label: named(detail.axis.name || t('point'), detail.axis.unit), value },
          limit(t('lower_limit')),
          limit(t('upper_limit')),
          { label: named(name, unit), stroke: colour('accent'), width: 2, spanGaps: true, points: { show: detail.values.length < 200, size: 5 }, value },
          { label: t('outside_limits'), stroke: colour('fail-fg'), width: 0, paths: () => null,
            points: { show: true, size: 11, fill: colour('fail-fg') }, value },
        ], // prettier-ignore
      };
    },
    [detail],
  );
  const words = { name, axis: detail.axis.name || t('point'), n: detail.values.length, out: detail.outside.length };

  return html`<${Chart} make=${make} height=${220} text=${t('sweep_of', words)} />`;
}

export function Wave({ name, wave }) {
  const make = useCallback(
    ({ axis, colour }) => ({
      data: [wave.x, ...wave.series.map((s) => s.values)],
      scales: { x: { time: false } },
      axes: [axis({ label: wave.xName, labelFont: '12px system-ui, sans-serif' }), axis({ size: 70 })],
      series: [
        { label: wave.xName || t('point'), value },
        ...wave.series.map((s, i) => ({ label: s.name || t('value'), stroke: colour(COLOURS[i % COLOURS.length]), width: 1.5, points: { show: wave.x.length < 100, size: 4 }, value })),
      ],
    }),
    [wave],
  );

  return html`<${Chart} make=${make} height=${220} text=${t('wave_of', { name, n: wave.x.length })} />`;
}
