// SPDX-License-Identifier: Apache-2.0
import { enc } from '../lib/api.js';
import { html } from '../lib/html.js';
import { isGood, lookUp, OUTCOME, stationLook } from '../lib/state.js';
import { useStation, useStationsKnown } from '../lib/store.js';
import { usePages } from '../lib/use.js';
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
    </div>
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
