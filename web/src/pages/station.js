// SPDX-License-Identifier: Apache-2.0
import { enc, post } from '../lib/api.js';
import { html } from '../lib/html.js';
import { INTERLOCK, INTERLOCK_NAME, isGood, lookUp, may, OUTCOME, stationLook } from '../lib/state.js';
import { useSession, useStation, useStationsKnown } from '../lib/store.js';
import { usePages, useResource } from '../lib/use.js';
import { ActionButton } from '../ui/confirm.js';
import { LogTail } from '../ui/log.js';
import { Badge, Empty, Facts, Failure, Id, Loading, More, PageHead, Time, Trouble } from '../ui/parts.js';
import { PromptForm } from '../ui/prompt_form.js';
import { RunHead, RunNow, StationActions, Today } from '../ui/station_parts.js';
import { RunTable, Table } from '../ui/tables.js';

function Now({ view }) {
  return html`<section class="panel tone-${stationLook(view).tone} edge">
    <h2>Now</h2>
    ${view.message && html`<${Failure} last=${{ code: view.code, message: view.message }} />`}
    ${view.run
      ? html`<${RunHead} run=${view.run} />
          ${view.prompt && html`<${PromptForm} station=${view.id} prompt=${view.prompt} focus />`}
          <${RunNow} run=${view.run} />
          <${LogTail} run=${view.run.id} />`
      : html`<p class="muted">No run since <${Time} at=${view.since} />.</p>`}
    <${StationActions} view=${view} />
    <${Today} today=${view.today} words />
  </section>`;
}

function Last({ last }) {
  return html`<section class="panel">
    <h2>Last result</h2>
    <${Badge} look=${lookUp(OUTCOME, last.outcome)} large />
    ${!isGood(last.outcome) && html`<${Failure} last=${last} />`}
    <${Facts}
      rows=${[
        ['Serial', last.serial && html`<a class="mono" href="/units/${enc(last.serial)}">${last.serial}</a>`],
        ['Run', html`<${Id} id=${last.run_id} href="/runs/${last.run_id}" />`],
        ['Ended', html`<${Time} at=${last.ended_at} />`],
      ]}
    />
  </section>`;
}

function presence(port) {
  if (port.wrong_device) return { word: 'Wrong device', icon: 'triangle', tone: 'line' };
  return port.present ? { word: 'Present', icon: 'plug', tone: 'ready' } : { word: 'Absent', icon: 'socket', tone: 'idle' };
}

function Ports({ ports }) {
  if (!ports.length) return html`<p class="muted">This station has no ports configured.</p>`;
  return html`<${Table} label="Ports" head=${['Role', 'Kind', 'State', 'Node', 'Path', 'USB', 'USB serial']}>
    ${ports.map(
      (p) =>
        html`<tr key=${p.role}>
          <td>${p.role}</td>
          <td>${p.kind}</td>
          <td><${Badge} look=${presence(p)} /></td>
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
    <h2>Interlocks</h2>
    <${Table} label="Interlocks" head=${['Interlock', 'State', 'Until', 'Why', '']}>
      ${view.interlocks.map(
        (i) =>
          html`<tr key=${i.interlock}>
            <td>${INTERLOCK_NAME[i.interlock]}</td>
            <td><${Badge} look=${lookUp(INTERLOCK, i.state)} /> ${!i.blocks && html`<span class="muted">warns only</span>`}</td>
            <td>${i.until ? html`<${Time} at=${i.until} />` : '–'}</td>
            <td>${i.message}${i.released_by && html`<br /><span class="muted">Released by ${i.released_by}: ${i.reason}</span>`}</td>
            <td>
              ${i.state === 'due' &&
              i.blocks &&
              may(session, 'release') &&
              RELEASES.map(
                (length) =>
                  html`<${ActionButton}
                    key=${length}
                    label="Release for ${length.replace('h', ' h')}"
                    what="Release for ${length.replace('h', ' h')}: ${INTERLOCK_NAME[i.interlock]} of station ${view.id}"
                    ask="The station takes units although this is due. Your name and the reason go on record."
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
    <h2>Fixture ${id}</h2>
    <${Facts}
      rows=${[
        ['Units in all', f.contacts],
        ['Units since its last service', f.since_service],
        ['Serviced', f.serviced_at && html`<${Time} at=${f.serviced_at} /> by ${f.serviced_by}: ${f.serviced_reason}`],
        ['Calibration holds until', f.calibrated_until && html`<${Time} at=${f.calibrated_until} />`],
        ['Golden unit', f.golden_at && html`<a href="/runs/${f.golden_run}">${f.golden_outcome}</a>, <${Time} at=${f.golden_at} />`],
      ]}
    />
    ${may(session, 'release') &&
    html`<${ActionButton}
      label="Serviced"
      what="Serviced: fixture ${id}"
      ask="Its contacts are new: units are counted from zero."
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
      ? html`<${PageHead} title="Station ${id}" />
          <${Empty} title="There is no station ${id}">
            <p>It is not in the configuration. <a href="/">All stations</a></p>
          <//>`
      : html`<${Loading} />`;
  return html`
    <${PageHead} title="Station ${id}" aside=${html`<${Badge} look=${stationLook(view)} solid large />`}>
      <p class="muted">${view.title}</p>
    <//>
    <div class="columns">
      <${Now} view=${view} />
      ${view.last && html`<${Last} last=${view.last} />`}
      <${Fixture} id=${view.fixture} />
    </div>
    ${view.interlocks.length > 0 && html`<${Interlocks} view=${view} />`}
    <section>
      <h2>Ports</h2>
      <${Ports} ports=${view.ports} />
    </section>
    <section>
      <h2>Runs</h2>
      <${Trouble} problem=${runs.problem} retry=${runs.reload} />
      ${runs.items?.length === 0 && html`<p class="muted">Nothing was run here yet.</p>`}
      ${runs.items?.length > 0 && html`<${RunTable} runs=${runs.items} without=${['Station']} />`}
      <${More} list=${runs} />
    </section>
  `;
}
