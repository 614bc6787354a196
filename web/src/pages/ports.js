// SPDX-License-Identifier: Apache-2.0
// What is plugged, and the lines of YAML that would give an unbound port to a station.
import { html, useEffect } from '../lib/html.js';
import { useStations } from '../lib/store.js';
import { useResource } from '../lib/use.js';
import { Copy, Empty, Facts, Loaded, PageHead } from '../ui/parts.js';
import { Table } from '../ui/tables.js';

function Unbound({ port }) {
  return html`<section class="panel">
    <h3 class="mono">${port.node}</h3>
    <${Facts}
      rows=${[
        ['Path', html`<span class="mono">${port.path}</span>`],
        ['USB', port.vid && html`<span class="mono">${port.vid}:${port.pid}</span>`],
        ['USB serial', port.serial && html`<span class="mono">${port.serial}</span>`],
        ['Kind', port.subsystem],
      ]}
    />
    <div class="yaml">
      <pre tabindex="0">${port.yaml}</pre>
      <${Copy} text=${port.yaml} />
    </div>
  </section>`;
}

function Bound({ ports }) {
  return html`<${Table} label="Bound ports" head=${['Station', 'Role', 'Node', 'Path', 'USB', 'USB serial']}>
    ${ports.map(
      (p) =>
        html`<tr key=${p.node + p.path}>
          <td><a href="/stations/${encodeURIComponent(p.station)}">${p.station}</a></td>
          <td>${p.port}</td>
          <td class="mono">${p.node}</td>
          <td class="mono">${p.path}</td>
          <td class="mono">${p.vid ? `${p.vid}:${p.pid}` : '–'} ${p.wrong_device && html`<b class="text-error">wrong device</b>`}</td>
          <td class="mono">${p.serial || '–'}</td>
        </tr>`,
    )}
  <//>`;
}

export function Ports() {
  const list = useResource('/ports', (e) => e.type === 'caught-up');
  const plugged = [...useStations().values()].map((v) => `${v.id}${v.ports.map((p) => p.present)}`).join();

  // A plug event of a bound port shows in its station's view; an unbound one makes no event at all.
  useEffect(() => {
    list.reload();
    const timer = setInterval(list.reload, 5000);
    return () => clearInterval(timer);
  }, [plugged]);
  return html`
    <${PageHead} title="Ports"><p class="muted">Looked up again every five seconds.</p><//>
    <${Loaded} resource=${list}>
      ${({ items }) => {
        const unbound = items.filter((p) => !p.station);
        const bound = items.filter((p) => p.station);

        return html`
          <section>
            <h2>Unbound</h2>
            ${unbound.length
              ? html`<p>Put the lines into a file below <code>/etc/provd/stations.d/</code>, give the station a name, and reload
                  provd.</p>
                  <div class="columns">${unbound.map((p) => html`<${Unbound} key=${p.node + p.path} port=${p} />`)}</div>`
              : html`<${Empty} title="Every plugged port belongs to a station">
                  <p>Plug a device into the port that a new station is to own: it appears here.</p>
                <//>`}
          </section>
          <section>
            <h2>Bound</h2>
            ${bound.length ? html`<${Bound} ports=${bound} />` : html`<p class="muted">No configured port has a device.</p>`}
          </section>
        `;
      }}
    <//>
  `;
}
