// SPDX-License-Identifier: Apache-2.0
// The events, newest first: what the stream brings, on top of the last ones of the record.
import { get } from '../lib/api.js';
import { html, useEffect, useState } from '../lib/html.js';
import { t } from '../lib/lang.js';
import { useEvents } from '../lib/store.js';
import { TextFilter } from '../ui/filter.js';
import { Empty, Id, Loading, PageHead, Time, Trouble } from '../ui/parts.js';
import { Table } from '../ui/tables.js';

const PAGE = 100;

/** The list goes upwards only: from so far before the last one that all of them are on one page. */
async function lastEvents() {
  const { items } = await get('/events?limit=1');

  if (!items.length) return [];
  const { last_seq: last } = await get('/records');
  const from = Math.max(items[0].seq - 1, last - PAGE);
  return (await get(`/events?after=${from}&limit=${PAGE}`)).items.reverse();
}

const KEYS = ['type', 'station', 'serial'];

function rowText(e) {
  return Object.entries(e.data || {})
    .map(([k, v]) => `${k} ${typeof v === 'string' ? v : JSON.stringify(v)}`)
    .join(' · ');
}

function EventTable({ events }) {
  return html`<${Table} label=${t('events')} head=${[t('number'), t('time'), t('event'), t('station'), t('serial'), t('run'), t('job'), t('what')]}>
    ${events.map(
      (e) =>
        html`<tr key=${e.seq}>
          <td class="num">${e.seq}</td>
          <td><${Time} at=${e.at} /></td>
          <td><b>${e.type}</b></td>
          <td>${e.station && html`<a href="/stations/${encodeURIComponent(e.station)}">${e.station}</a>`}</td>
          <td>${e.serial && html`<a class="mono" href="/units/${encodeURIComponent(e.serial)}">${e.serial}</a>`}</td>
          <td>${e.run && html`<${Id} id=${e.run} href="/runs/${e.run}" />`}</td>
          <td>${e.job && html`<${Id} id=${e.job} href="/jobs/${e.job}" />`}</td>
          <td class="event-text" title=${rowText(e)}>${rowText(e)}</td>
        </tr>`,
    )}
  <//>`;
}

export function Events({ query }) {
  const live = useEvents();
  const [old, setOld] = useState(null);
  const [problem, setProblem] = useState(null);
  const f = Object.fromEntries(KEYS.map((k) => [k, query.get(k)]));
  const load = () => {
    setProblem(null);
    lastEvents().then(setOld, setProblem);
  };
  const bySeq = new Map([...(old || []), ...live].map((e) => [e.seq, e]));
  const shown = [...bySeq.values()]
    .filter((e) => KEYS.every((k) => !f[k] || e[k] === f[k]))
    .sort((a, b) => b.seq - a.seq);

  useEffect(load, []);
  return html`
    <${PageHead} title=${t('events')}><p class="muted">${t('the_last_ones_and_what_happens_now')} <code>GET /api/v1/events</code>.</p>
      <p><a href="/webhooks">${t('webhooks')}</a></p><//>
    <div class="filters">
      <${TextFilter} name="type" label=${t('event')} value=${f.type} />
      <${TextFilter} name="station" label=${t('station')} value=${f.station} />
      <${TextFilter} name="serial" label=${t('serial')} value=${f.serial} />
    </div>
    <${Trouble} problem=${problem} retry=${load} />
    ${!old && !problem && html`<${Loading} />`}
    ${shown.length > 0 && html`<${EventTable} events=${shown} />`}
    ${old && !shown.length && html`<${Empty} title=${t('no_event')}><p>${t('change_the_filters_or_plug_a_unit')}</p><//>`}
  `;
}
