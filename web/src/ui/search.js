// SPDX-License-Identifier: Apache-2.0
// The search box: a serial number, or the id of a run, a job or a unit, leads to its page.
import { enc, get } from '../lib/api.js';
import { isUuid } from '../lib/format.js';
import { html, useRef, useState } from '../lib/html.js';
import { t } from '../lib/lang.js';
import { navigate } from '../lib/router.js';
import { snapshot } from '../lib/store.js';
import { Icon } from './icons.js';

async function exists(path) {
  try {
    return await get(path);
  } catch (p) {
    if (p.status === 404) return null;
    throw p;
  }
}

/** The page of what was looked for, or null. */
export async function find(text) {
  const q = enc(text);

  if (snapshot().stations.has(text)) return `/stations/${q}`;
  if (isUuid(text)) {
    if (await exists(`/runs/${q}`)) return `/runs/${q}`;
    if (await exists(`/jobs/${q}`)) return `/jobs/${q}`;
  }
  if (await exists(`/units/${q}`)) return `/units/${q}`;
  // A serial that was tried, but never came to belong to a unit.
  const runs = await get(`/runs?serial=${q}&limit=2`);
  if (runs.items.length === 1) return `/runs/${runs.items[0].id}`;
  return runs.items.length ? `/runs?serial=${q}` : null;
}

export function Search() {
  const [text, set] = useState('');
  const [message, say] = useState('');
  const input = useRef(null);
  const go = async (ev) => {
    const wanted = text.trim();

    ev.preventDefault();
    if (!wanted) return;
    say(t('searching'));
    try {
      const page = await find(wanted);

      say(page ? '' : t('nothing_known', { text: wanted }));
      if (page) {
        set('');
        input.current.blur();
        navigate(page);
      }
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
      placeholder=${t('serial_or_run')}
      title=${t('serial_number_run_job_or_station')}
      autocomplete="off"
      spellcheck=${false}
      value=${text}
      onInput=${(ev) => {
        set(ev.target.value);
        say('');
      }}
    />
    <span class="search-message" role="status">${message}</span>
  </form>`;
}
