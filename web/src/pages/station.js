// SPDX-License-Identifier: Apache-2.0
import { enc, post } from '../lib/api.js';
import { megabits, number } from '../lib/format.js';
import { html } from '../lib/html.js';
import { t, tx } from '../lib/lang.js';
import { INTERLOCK, INTERLOCK_NAME, isGood, lookUp, may, OUTCOME, stationLook } from '../lib/state.js';
import { useSession, useStation, useStationsKnown } from '../lib/store.js';
import { usePages, useResource } from '../lib/use.js';
import { ActionButton } from '../ui/confirm.js';
import { Icon } from '../ui/icons.js';
import { LogTail } from '../ui/log.js';
import { Badge, Empty, Facts, Failure, Id, Loading, More, PageHead, Time, Trouble } from '../ui/parts.js';
import { PromptForm } from '../ui/prompt_form.js';
import { RunHead, RunNow, StationActions, Today } from '../ui/station_parts.js';
import { RunTable, Table } from '../ui/tables.js';
import { Verdict } from '../ui/verdict.js';

function Now({ view }) {
  return html`<section class="panel tone-${stationLook(view).tone} edge">
    <h2>${t('now')}</h2>
    ${view.message && html`<${Failure} last=${{ code: view.code, message: view.message }} />`}
    ${view.run
      ? html`<${RunHead} run=${view.run} />
          ${view.prompt && html`<${PromptForm} station=${view.id} prompt=${view.prompt} focus />`}
          <${RunNow} run=${view.run} />
          <${LogTail} run=${view.run.id} />`
      : html`<p class="muted">${tx('no_run_since', { time: html`<${Time} at=${view.since} />` })}</p>`}
    <${StationActions} view=${view} />
    <${Today} today=${view.today} words />
  </section>`;
}

function Last({ last }) {
  return html`<section class="panel">
    <h2>${t('last_result')}</h2>
    <${Badge} look=${lookUp(OUTCOME, last.outcome)} large />
    ${!isGood(last.outcome) && html`<${Failure} last=${last} />`}
    <${Facts}
      rows=${[
        [t('serial'), last.serial && html`<a class="mono" href="/units/${enc(last.serial)}">${last.serial}</a>`],
        [t('run'), html`<${Id} id=${last.run_id} href="/runs/${last.run_id}" />`],
        [t('ended'), html`<${Time} at=${last.ended_at} />`],
      ]}
    />
  </section>`;
}

function presence(port) {
  if (port.wrong_device) return { word: t('wrong_device'), icon: 'triangle', tone: 'line' };
  return port.present ? { word: t('present'), icon: 'plug', tone: 'ready' } : { word: t('absent'), icon: 'socket', tone: 'idle' };
}

function Ports({ ports }) {
  if (!ports.length) return html`<p class="muted">${t('this_station_has_no_ports_configured')}</p>`;
  return html`<${Table} label=${t('ports')} head=${[t('role'), t('kind'), t('state'), t('speed'), t('came'), t('lost_in_runs'), t('node'), t('path'), 'USB', t('usb_serial')]}>
    ${ports.map(
      (p) =>
        html`<tr key=${p.role}>
          <td>${p.role}</td>
          <td>${p.kind}</td>
          <td><${Badge} look=${presence(p)} /></td>
          <td class="num">${p.speed_kbps ? megabits(p.speed_kbps / 1000) : '–'}</td>
          <td class="num">${number(p.came)}</td>
          <td class="num ${p.lost ? 'text-error' : ''}">${p.lost ? html`<b><${Icon} name="triangle" />${number(p.lost)}</b>` : '0'}</td>
          <td class="mono">${p.node || '–'}</td>
          <td class="mono">${p.path || '–'}</td>
          <td class="mono">${p.vid ? `${p.vid}:${p.pid}` : '–'}</td>
          <td class="mono">${p.serial || '–'}</td>
        </tr>`,
    )}
  <//>`;
}

const RELEASES = ['1h', '8h'];

/** What keeps the station from the next unit, or will, and a supervisor's word on it. */
function Interlocks({ view }) {
  const session = useSession();
  const release = (i, length) => (reason) =>
    post(`/stations/${enc(view.id)}/interlocks/${i.interlock}/release`, { for: length, reason });

  return html`<section>
    <h2>${t('interlocks')}</h2>
    <${Table} label=${t('interlocks')} head=${[t('interlock'), t('state'), t('until'), t('why'), '']}>
      ${view.interlocks.map(
        (i) =>
          html`<tr key=${i.interlock}>
            <td>${INTERLOCK_NAME[i.interlock]}</td>
            <td><${Badge} look=${lookUp(INTERLOCK, i.state)} /> ${!i.blocks && html`<span class="muted">${t('warns_only')}</span>`}</td>
            <td>${i.until ? html`<${Time} at=${i.until} />` : '–'}</td>
            <td>${i.message}${i.released_by && html`<br /><span class="muted">${t('released_by', { name: i.released_by, reason: i.reason })}</span>`}</td>
            <td>
              ${i.state === 'due' &&
              i.blocks &&
              may(session, 'release') &&
              RELEASES.map(
                (length) =>
                  html`<${ActionButton}
                    key=${length}
                    label=${t('release_for', { length: length.replace('h', ' h') })}
                    what=${t('release_for_what', { length: length.replace('h', ' h'), interlock: INTERLOCK_NAME[i.interlock], station: view.id })}
                    ask=${t('the_station_takes_units_although_this_is')}
                    reason
                    act=${release(i, length)}
                  />`,
              )}
            </td>
          </tr>`,
      )}
    <//>
  </section>`;
}

function Fixture({ id }) {
  const session = useSession();
  const fixture = useResource(`/fixtures/${enc(id)}`, (e) => e.type.startsWith('fixture-') || e.type === 'run-finished');
  const f = fixture.data;
  const serviced = (reason) => post(`/fixtures/${enc(id)}/serviced`, { reason });

  if (!f) return null;
  return html`<section class="panel">
    <h2>${t('fixture_name', { id })}</h2>
    <${Facts}
      rows=${[
        [t('units_in_all'), number(f.contacts)],
        [t('units_since_its_last_service'), number(f.since_service)],
        [t('serviced'), f.serviced_at && html`<${Time} at=${f.serviced_at} /> ${t('by', { name: f.serviced_by })}: ${f.serviced_reason}`],
        [t('calibration_holds_until'), f.calibrated_until && html`<${Time} at=${f.calibrated_until} />`],
        [t('golden_unit'), f.golden_at && html`<a href="/runs/${f.golden_run}">${f.golden_outcome}</a>, <${Time} at=${f.golden_at} />`],
      ]}
    />
    ${may(session, 'release') &&
    html`<${ActionButton}
      label=${t('serviced')}
      what=${t('serviced_what', { id })}
      ask=${t('its_contacts_are_new_units_are_counted')}
      reason
      act=${serviced}
    />`}
  </section>`;
}

export function StationPage({ id }) {
  const view = useStation(id);
  const known = useStationsKnown();
  const runs = usePages(`/runs?station=${enc(id)}&limit=50`, (e) => e.station === id && e.type.startsWith('run-'));

  if (!view)
    return known
      ? html`<${PageHead} title=${t('station_name', { id })} />
          <${Empty} title=${t('no_station', { id })}>
            <p>${t('it_is_not_in_the_configuration')} <a href="/">${t('all_stations')}</a></p>
          <//>`
      : html`<${Loading} />`;
  return html`
    <${Verdict} view=${view} />
    <${PageHead} title=${t('station_name', { id })} aside=${html`<${Badge} look=${stationLook(view)} solid large />`}>
      <p class="muted">${view.title}</p>
    <//>
    <div class="columns">
      <${Now} view=${view} />
      ${view.last && html`<${Last} last=${view.last} />`}
      <${Fixture} id=${view.fixture} />
    </div>
    ${view.interlocks.length > 0 && html`<${Interlocks} view=${view} />`}
    <section>
      <h2>${t('ports')}</h2>
      <${Ports} ports=${view.ports} />
      ${view.power && html`<p class="muted">${t('power_from', { place: view.power.place, kind: view.power.kind })}</p>`}
      <p class="muted after">${t('counted_since_start')}</p>
    </section>
    <section>
      <h2>${t('runs')}</h2>
      <${Trouble} problem=${runs.problem} retry=${runs.reload} />
      ${runs.items?.length === 0 && html`<p class="muted">${t('nothing_was_run_here_yet')}</p>`}
      ${runs.items?.length > 0 && html`<${RunTable} runs=${runs.items} without=${[t('station')]} />`}
      <${More} list=${runs} />
    </section>
  `;
}
