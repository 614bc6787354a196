// SPDX-License-Identifier: Apache-2.0
// A shift: what it is to make and has made, how well, and who is waited for.
import { enc, serverNow } from '../lib/api.js';
import { clock, hourAndMinute, localTime, number, ratio } from '../lib/format.js';
import { html, useCallback } from '../lib/html.js';
import { t } from '../lib/lang.js';
import { setQuery } from '../lib/router.js';
import { byUrgency, INTERLOCK_NAME, jobLook, stationLook } from '../lib/state.js';
import { useStations } from '../lib/store.js';
import { useNow, useResource } from '../lib/use.js';
import { Causes, concerns } from '../ui/causes.js';
import { Chart } from '../ui/chart.js';
import { queryOf } from '../ui/filter.js';
import { Badge, Id, Loaded, PageHead, Recipe, Time } from '../ui/parts.js';
import { Table } from '../ui/tables.js';
import { Trend } from '../ui/trend.js';

const ofJobs = (e) => concerns(e) || e.type.startsWith('job-');

/** {from, to, now} in ms, and the part of the shift that is over. */
function timesOf(shift, now) {
  const from = Date.parse(shift.from);
  const to = Date.parse(shift.to);
  const at = Math.min(to, Math.max(from, now));

  return { from, to, now: at, over: (at - from) / (to - from) };
}

function Tiles({ shift, all }) {
  const now = useNow();
  const time = timesOf(shift, now);
  const ahead = shift.made - Math.round(shift.plan * time.over);
  const takt = (ms, units) => (units > 0 ? clock(ms / units) : '–');
  const look = !shift.plan ? '' : ahead < 0 ? 'tone-fail' : 'tone-pass';
  const rows = [
    [t('made'), `${number(shift.made)} / ${number(shift.plan)}`, t('n_failed', { n: shift.failed }), ''],
    [t('against_the_plan'), shift.plan ? `${ahead > 0 ? '+' : ''}${number(ahead)}` : '–', t(ahead < 0 ? 'behind' : 'on_time'), look],
    [t('takt'), takt(time.now - time.from, shift.made), t('planned_takt', { time: takt(time.to - time.from, shift.plan) }), ''],
    [t('first_pass_yield'), ratio(all?.first_pass_yield), all?.first_pass_interval ? t('range_by_chance', { from: ratio(all.first_pass_interval[0]), to: ratio(all.first_pass_interval[1]) }) : '', ''],
    [t('left_of_the_shift'), clock(time.to - time.now), t('until_time', { time: hourAndMinute(new Date(time.to)) }), ''],
  ]; // prettier-ignore

  return html`<dl class="tiles">
    ${rows.map(([name, value, more, tone]) => html`<div key=${name} class=${tone}><dt>${name}</dt><dd>${value}</dd><dd class="muted">${more}</dd></div>`)}
  </dl>`;
}

/** What had passed by the end of each hour, next to the plan, which is a straight line. */
function madeData(shift, all) {
  const { from, to, now } = timesOf(shift, serverNow());
  const x = [from];
  const made = [0];
  let sum = 0;

  for (const g of all.groups) {
    const end = Date.parse(g.to);

    sum += g.runs.passed;
    x.push(end);
    made.push(Date.parse(g.from) <= now ? sum : null);
  }
  return [x.map((ms) => ms / 1000), x.map((ms) => (shift.plan * (ms - from)) / (to - from)), made];
}

function Made({ shift, all }) {
  const make = useCallback(
    ({ axis, colour }) => ({
      data: madeData(shift, all),
      scales: { y: { range: (u, low, high) => [0, Math.max(1, high)] } },
      axes: [axis({ values: (u, ticks) => ticks.map((s) => hourAndMinute(new Date(s * 1000))) }), axis()],
      series: [
        { label: t('hour'), value: (u, s) => (s === null ? '–' : hourAndMinute(new Date(s * 1000))) },
        { label: t('plan'), stroke: colour('muted'), dash: [6, 4], width: 2, points: { show: false }, value: (u, v) => (v === null ? '–' : number(Math.round(v))) },
        { label: t('made'), stroke: colour('pass-fg'), width: 3, points: { show: true }, value: (u, v) => number(v) },
      ],
    }),
    [shift, all],
  ); // prettier-ignore

  return html`<section class="panel">
    <h2>${t('plan_and_made')}</h2>
    <${Chart} make=${make} text=${t('made_of_plan', { n: shift.made, plan: shift.plan })} />
  </section>`;
}

/** Why a station waits for a person, in one line. */
const reasonOf = (v) =>
  v.prompt?.text || v.message || v.interlocks.find((i) => i.state === 'due' && i.blocks)?.message || v.last?.message || '';

function Waiting() {
  const all = [...useStations().values()];
  const calling = byUrgency(all.filter((v) => stationLook(v).calls));

  return html`<section>
    <h2>${t('who_is_waited_for')}</h2>
    ${!calling.length && html`<p class="muted">${t('nobody_is_waited_for')}</p>`}
    ${calling.length > 0 &&
    html`<${Table} label=${t('who_is_waited_for')} head=${[t('station'), t('state'), t('since'), t('serial'), t('why')]}>
      ${calling.map(
        (v) =>
          html`<tr key=${v.id}>
            <td><a href="/stations/${enc(v.id)}">${v.id}</a></td>
            <td><${Badge} look=${stationLook(v)} /></td>
            <td><${Time} at=${v.since} /> <span class="muted"><${Time} at=${v.since} relative /></span></td>
            <td class="mono">${v.run?.serial || (v.state === 'done' && v.last?.serial) || '–'}</td>
            <td class="why" lang=${v.prompt ? undefined : 'en'}>${reasonOf(v)}</td>
          </tr>`,
      )}
    <//>`}
  </section>`;
}

/** What takes no unit by a person's word, or soon will not: who said so is in the sentence. */
function Held({ shift }) {
  const stations = [...useStations().values()];
  const jobs = shift.jobs.filter((j) => j.state === 'paused' || (j.hold && !j.finished_at));
  const off = stations.filter((v) => v.state === 'disabled');
  const locks = stations.flatMap((v) => v.interlocks.map((i) => ({ ...i, station: v.id })));

  if (!jobs.length && !off.length && !locks.length) return null;
  return html`<section>
    <h2>${t('held_back')}</h2>
    <${Table} label=${t('held_back')} head=${[t('what'), t('state'), t('since'), t('why')]}>
      ${jobs.map((j) => html`<tr key=${j.id}><td class="num">${t('order')} <a href="/jobs/${j.id}">${j.external_ref || j.id}</a></td><td><${Badge} look=${jobLook(j)} /></td><td><${Time} at=${j.hold?.at} /></td><td class="why">${j.hold && `${t('by', { name: j.hold.by })}: ${j.hold.reason}`}</td></tr>`)}
      ${off.map((v) => html`<tr key=${v.id}><td class="num">${t('station')} <a href="/stations/${enc(v.id)}">${v.id}</a></td><td><${Badge} look=${stationLook(v)} /></td><td><${Time} at=${v.since} /></td><td class="why" lang="en">${v.message}</td></tr>`)}
      ${locks.map((i) => html`<tr key="${i.station} ${i.interlock}"><td class="num">${t('station')} <a href="/stations/${enc(i.station)}">${i.station}</a></td><td>${INTERLOCK_NAME[i.interlock]}</td><td>${i.until ? t('until_time', { time: localTime(i.until) }) : '–'}</td><td class="why" lang="en">${i.message}${i.released_by && ` (${t('released_by', { name: i.released_by, reason: i.reason })})`}</td></tr>`)}
    <//>
  </section>`;
}

function Orders({ jobs }) {
  const head = [t('state'), t('order'), t('recipe'), t('made'), t('failed'), t('deadline')];

  return html`<section>
    <h2>${t('orders_of_the_shift')}</h2>
    ${!jobs.length && html`<p class="muted">${t('none_of_it')}</p>`}
    ${jobs.length > 0 &&
    html`<${Table} label=${t('orders_of_the_shift')} head=${head}>
      ${jobs.map(
        (j) =>
          html`<tr key=${j.id}>
            <td><a class="plain" href="/jobs/${j.id}"><${Badge} look=${jobLook(j)} /></a></td>
            <td>${j.external_ref ? html`<a href="/jobs/${j.id}">${j.external_ref}</a>` : html`<${Id} id=${j.id} href="/jobs/${j.id}" />`}</td>
            <td><${Recipe} name=${j.recipe} version=${j.version} /></td>
            <td class="num">${number(j.made)} / ${number(j.due)}</td>
            <td class="num ${j.failed ? 'text-fail' : ''}">${number(j.failed)}</td>
            <td>${j.deadline ? html`<${Time} at=${j.deadline} full />` : '–'}</td>
          </tr>`,
      )}
    <//>`}
  </section>`;
}

/** at: a moment of the shift; null: now. */
const go = (at) => setQuery({ at: at && at <= serverNow() ? new Date(at).toISOString() : '' });

function Others({ shift }) {
  const { from, to } = timesOf(shift, 0);

  return html`<div class="buttons">
    <button type="button" onClick=${() => go(from - 1000)}>${t('shift_before')}</button>
    ${to <= serverNow() && html`<button type="button" onClick=${() => go(to)}>${t('shift_after')}</button>`}
    ${to <= serverNow() && html`<button type="button" onClick=${() => go(null)}>${t('shift_now')}</button>`}
  </div>`;
}

function Whole({ shift }) {
  const window = { from: shift.from, to: shift.to };
  const all = useResource(`/reports/yield?${queryOf(window)}&by=hour`, concerns);

  return html`
    <${Tiles} shift=${shift} all=${all.data} />
    <${Waiting} />
    <${Held} shift=${shift} />
    <${Loaded} resource=${all}>${(y) => html`<div class="columns charts"><${Made} shift=${shift} all=${y} /><${Trend} all=${y} by="hour" /></div>`}<//>
    <${Causes} filter=${window} outcome="failed" title=${t('what_failed_units')} />
    <${Orders} jobs=${shift.jobs} />
  `;
}

export function Shift({ query }) {
  const at = query.get('at');
  const shift = useResource(`/reports/shift${at ? `?${queryOf({ at })}` : ''}`, ofJobs);

  return html`<${Loaded} resource=${shift}>
    ${(s) => html`
      <${PageHead} title=${s.name ? t('shift_name', { name: s.name }) : t('day_without_shifts')} aside=${html`<${Others} shift=${s} />`}>
        <p class="muted">${t('from_to', { from: localTime(s.from, { dateIfToday: true }), to: localTime(s.to, { dateIfToday: true }) })}</p>
      <//>
      <${Whole} key=${s.from} shift=${s} />
    `}
  <//>`;
}
