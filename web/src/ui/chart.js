// SPDX-License-Identifier: Apache-2.0
// Charts over time and over values, by uPlot, in the colours of the theme.
import { html, useEffect, useRef } from '../lib/html.js';
import uPlot from 'uplot';

const AXIS_FONT = '12px system-ui, sans-serif';
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** Calls f when the theme changes, by the button or by the system. */
function onTheme(f) {
  const seen = new MutationObserver(f);
  const system = matchMedia('(prefers-color-scheme: dark)');

  seen.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] });
  system.addEventListener('change', f);
  return () => {
    seen.disconnect();
    system.removeEventListener('change', f);
  };
}

function axis(more) {
  return {
    stroke: colour('muted'),
    font: AXIS_FONT,
    grid: { stroke: colour('line'), width: 1 },
    ticks: { stroke: colour('line'), width: 1 },
    ...more,
  };
}

/**
 * make(theme) gives {data, series, scales, axes, hooks} of uPlot, where theme has axis() and colour(name). `text` is
 * what a screen reader says instead.
 */
export function Chart({ make, text, height = 240 }) {
  const box = useRef(null);

  useEffect(() => {
    const el = box.current; // it is null before the end is called
    let plot = null;
    const draw = () => {
      const { data, ...options } = make({ axis, colour });

      plot?.destroy();
      plot = new uPlot({ width: el.clientWidth, height, legend: { live: true }, ...options }, data, el);
    };
    const size = new ResizeObserver(() => plot?.setSize({ width: el.clientWidth, height }));
    const stop = onTheme(draw);

    draw();
    size.observe(el);
    return () => {
      stop();
      size.disconnect();
      plot?.destroy();
    };
  }, [make, height]);
  return html`<div class="chart" role="img" aria-label=${text} ref=${box}></div>`;
}
