// SPDX-License-Identifier: Apache-2.0
// What is plugged, and the lines of YAML that would give an unbound port to a station.
import { html, useEffect } from '../lib/html.js';
import { t, tx } from '../lib/lang.js';
import { useStations } from '../lib/store.js';
import { useResource } from '../lib/use.js';
import { Copy, Empty, Facts, Loaded, PageHead } from '../ui/parts.js';
import { Table } from '../ui/tables.js';

function Unbound({ port }) {
  return html`<section class="panel">
    <h3 class="mono">${port.node}</h3>
    <${Facts}
      rows=${[
        [t('path'), html`<span class="mono">${port.path}</span>`],
        ['USB', port.vid && html`<span class="mono">${port.vid}:${port.pid}</span>`],
        [t('usb_serial'), port.serial && html`<span class="mono">${port.serial}</span>`],
        [t('kind'), port.subsystem],
      ]}
    />
    <div class="yaml">
      <pre tabindex="0">${port.yaml}</pre>
      <${Copy} text=${port.yaml} />
    </div>
  </section>`;
}

function Bound({ ports }) {
  return html`<${Table} label=${t('bound_ports')} head=${[t('station'), t('role'), t('node'), t('path'), 'USB', t('usb_serial')]}>
    ${ports.map(
      (p) =>
        html`<tr key=${p.node + p.path}>
          <td><a href="/stations/${encodeURIComponent(p.station)}">${p.station}</a></td>
          <td>${p.port}</td>
          <td class="mono">${p.node}</td>
          <td class="mono">${p.path}</td>
          <td class="mono">${p.vid ? `${p.vid}:${p.pid}` : '–'} ${p.wrong_device && html`<b class="text-error">${t('wrong_device')}</b>`}</td>
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
    <${PageHead} title=${t('ports')}><p class="muted">${t('looked_up_again_every_five_seconds')}</p><//>
    <${Loaded} resource=${list}>
      ${({ items }) => {
        const unbound = items.filter((p) => !p.station);
        const bound = items.filter((p) => p.station);

        return html`
          <section>
            <h2>${t('unbound')}</h2>
            ${unbound.length
              ? html`<p>${tx('put_the_lines', { folder: html`<code>/etc/provd/stations.d/</code>` })}</p>
                  <div class="columns">${unbound.map((p) => html`<${Unbound} key=${p.node + p.path} port=${p} />`)}</div>`
              : html`<${Empty} title=${t('every_plugged_port_belongs_to_a_station')}>
                  <p>${t('plug_a_device_into_the_port_that')}</p>
                <//>`}
          </section>
          <section>
            <h2>${t('bound')}</h2>
            ${bound.length ? html`<${Bound} ports=${bound} />` : html`<p class="muted">${t('no_configured_port_has_a_device')}</p>`}
          </section>
        `;
      }}
    <//>
  `;
}
