// SPDX-License-Identifier: Apache-2.0
// What was said to and by a unit or a tool: the whole of it, or its last lines.
import { localTime, utcTitle } from '../lib/format.js';
import { html, useEffect, useRef, useState } from '../lib/html.js';
import { t } from '../lib/lang.js';
import { useRunLog } from '../lib/run_log.js';
import { Trouble } from './parts.js';

const DIRECTIONS = { '<': ['in', t('received')], '>': ['out', t('sent')], '#': ['note', t('note')] };
const WINDOW = 500;
/** So near to its end it is followed. */
const NEAR_PX = 40;

function Line({ line }) {
  const [kind, word] = DIRECTIONS[line.dir] || DIRECTIONS['#'];

  return html`<li class="log-${kind}">
    <time datetime=${line.at} title=${utcTitle(line.at)}>${localTime(line.at)}.${line.at.slice(20, 23)}</time>
    <span class="dir" title=${word}>${line.dir}</span>
    <span class="log-text">${line.text}</span>
  </li>`;
}

/** The log of a run. While the run goes on it stays at its end, unless the reader has scrolled up. */
export function Log({ run, open }) {
  const { lines, problem, reload } = useRunLog(run);
  const [shown, setShown] = useState(WINDOW);
  const box = useRef(null);
  const atEnd = useRef(true);

  useEffect(() => {
    if (open && atEnd.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [lines, open]);
  if (!lines) return html`<${Trouble} problem=${problem} retry=${reload} />`;
  const hidden = Math.max(0, lines.length - shown);
  const scrolled = (ev) => {
    atEnd.current = ev.target.scrollHeight - ev.target.scrollTop - ev.target.clientHeight < NEAR_PX;
  };

  return html`
    <${Trouble} problem=${problem} retry=${reload} />
    ${!lines.length && html`<p class="muted">${open ? t('nothing_was_logged_yet') : t('nothing_was_logged')}</p>`}
    ${hidden > 0 &&
    html`<button type="button" class="quiet" onClick=${() => setShown(shown + 4 * WINDOW)}>${t('earlier_lines', { n: hidden })}</button>`}
    ${lines.length > 0 &&
    html`<div class="log mono" role="region" aria-label=${t('log')} tabindex="0" ref=${box} onScroll=${scrolled}>
      <ol>${lines.slice(hidden).map((l) => html`<${Line} key=${l.k} line=${l} />`)}</ol>
    </div>`}
  `;
}

/** The last lines of a run that goes on. */
export function LogTail({ run, count = 6 }) {
  const { lines } = useRunLog(run);

  if (!lines?.length) return null;
  return html`<ol class="log log-tail mono" aria-label=${t('last_lines_of_the_log')}>
    ${lines.slice(-count).map((l) => html`<${Line} key=${l.k} line=${l} />`)}
  </ol>`;
}
