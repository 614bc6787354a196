// SPDX-License-Identifier: Apache-2.0
// The search box: what a text names, by one request. One thing is gone to; of several there is a list.
import { enc, get } from '../lib/api.js';
import { html, useEffect, useRef, useState } from '../lib/html.js';
import { t } from '../lib/lang.js';
import { navigate } from '../lib/router.js';
import { JOB, lookUp, OUTCOME, UNIT } from '../lib/state.js';
import { snapshot } from '../lib/store.js';
import { Icon } from './icons.js';
import { Badge, Time } from './parts.js';

const KINDS = {
  unit: { word: t('unit'), states: UNIT, page: (f) => `/units/${enc(f.name || f.id)}` },
  job: { word: t('job'), states: JOB, page: (f) => `/jobs/${enc(f.id)}` },
  run: { word: t('run'), states: OUTCOME, page: (f) => `/runs/${enc(f.id)}` },
};

const pageOf = (found) => KINDS[found.kind].page(found);

/** A station by its name in any case; stations are known here. */
function findStation(text) {
  return [...snapshot().stations.keys()].find((id) => id.toLowerCase() === text.toLowerCase());
}

function Found({ items, leave }) {
  const box = useRef(null);
  const onKeyDown = (ev) => {
    const links = [...box.current.querySelectorAll('a')];
    const at = links.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[ev.key];

    if (ev.key === 'Escape') leave();
    else if (to === undefined) return;
    else if (to < 0) document.getElementById('search').focus();
    else links[Math.min(to, links.length - 1)].focus();
    ev.preventDefault();
  };

  // The list takes the keyboard: Enter goes to the first.
  useEffect(() => box.current.querySelector('a').focus(), [items]);
  return html`<ul class="search-found" ref=${box} onKeyDown=${onKeyDown} aria-label=${t('found')}>
    ${items.map(
      (f) =>
        html`<li key=${f.id}>
          <a href=${pageOf(f)} onClick=${leave}>
            <span class="muted">${KINDS[f.kind].word}</span>
            <b class="mono">${f.name || f.id}</b>
            <${Badge} look=${lookUp(KINDS[f.kind].states, f.state === 'open' ? 'open' : f.state)} />
            <span class="muted">${f.station || ''} <${Time} at=${f.at} /></span>
          </a>
        </li>`,
    )}
  </ul>`;
}

export function Search() {
  const [text, set] = useState('');
  const [message, say] = useState('');
  const [several, list] = useState(null);
  const input = useRef(null);
  const leave = (page) => {
    set('');
    list(null);
    input.current.blur();
    if (typeof page === 'string') navigate(page);
  };
  const go = async (ev) => {
    const wanted = text.trim();

    ev.preventDefault();
    if (!wanted) return;
    say(t('searching'));
    list(null);
    try {
      const station = findStation(wanted);
      const { items } = station ? { items: [] } : await get(`/search?q=${enc(wanted)}`);

      say(station || items.length ? '' : t('nothing_known', { text: wanted }));
      if (items.length > 1) list(items);
      else if (station || items.length) leave(station ? `/stations/${enc(station)}` : pageOf(items[0]));
    } catch (p) {
      say(p.message);
    }
  };

  return html`<form class="search" role="search" onSubmit=${go}>
    <${Icon} name="search" />
    <input
      ref=${input}
      id="search"
      type="search"
      aria-label=${t('serial_number_run_or_job')}
      placeholder=${t('search')}
      title=${t('serial_number_run_job_or_station')}
      autocomplete="off"
      spellcheck=${false}
      value=${text}
      onInput=${(ev) => {
        set(ev.target.value);
        say('');
        list(null);
      }}
    />
    <span class="search-message" role="status">${message}</span>
    ${several && html`<${Found} items=${several} leave=${leave} />`}
  </form>`;
}
