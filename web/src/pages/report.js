// SPDX-License-Identifier: Apache-2.0
// The report of a run, made for paper: A4, black on white, whole digests.
import { enc } from '../lib/api.js';
import { duration, localTime, utcTitle } from '../lib/format.js';
import { html } from '../lib/html.js';
import { lookUp, OUTCOME, VERDICT } from '../lib/state.js';
import { useResource } from '../lib/use.js';
import { Icon } from '../ui/icons.js';
import { Badge, Facts, Loaded, PageHead } from '../ui/parts.js';
import { limitText, valueText } from '../ui/steps.js';

const both = (iso) => (iso ? html`${localTime(iso, { dateIfToday: true })} <small>(${utcTitle(iso)})</small>` : null);

function Steps({ steps }) {
  return html`<table>
    <thead>
      <tr><th scope="col">n</th><th scope="col">Step</th><th scope="col">Action</th><th scope="col">Attempt</th><th scope="col">Took</th><th scope="col">Outcome</th></tr>
    </thead>
    <tbody>
      ${steps.map(
        (s) =>
          html`<tr key=${s.n}>
            <td class="num">${s.n}</td>
            <td>${s.id}</td>
            <td class="mono">${s.action}</td>
            <td class="num">${s.attempt}</td>
            <td class="num">${duration(s.duration_ms)}</td>
            <td><${Badge} look=${lookUp(OUTCOME, s.outcome || 'open')} />${s.code && html` <code>${s.code}</code>`}</td>
          </tr>`,
      )}
    </tbody>
  </table>`;
}

function Measured({ steps }) {
  const all = steps.flatMap((s) => s.measurements.map((m) => ({ ...m, step: s.id })));

  if (!all.length) return html`<p class="muted">Nothing was measured.</p>`;
  return html`<table>
    <thead>
      <tr><th scope="col">Step</th><th scope="col">Measured</th><th scope="col">Value</th><th scope="col">Limits</th><th scope="col">Verdict</th></tr>
    </thead>
    <tbody>
      ${all.map(
        (m, i) =>
          html`<tr key=${i}>
            <td>${m.step}</td>
            <td>${m.name}</td>
            <td class="num"><b>${valueText(m)}</b> ${m.unit || ''}</td>
            <td class="num">${limitText(m)}</td>
            <td><${Badge} look=${lookUp(VERDICT, m.verdict)} /></td>
          </tr>`,
      )}
    </tbody>
  </table>`;
}

function Digests({ report }) {
  const artifacts = Object.entries(report.firmware?.artifacts || {});
  const code = (s) => s && html`<code class="whole">${s}</code>`;

  return html`<${Facts}
    rows=${[
      ['Recipe', code(report.recipe.sha256)],
      ...artifacts.map(([name, ref]) => [`Artifact ${name}`, code(ref)]),
      ['Record before', code(report.prev_hash)],
      ['This record', code(report.hash)],
    ]}
  />`;
}

function Sheet({ report }) {
  const look = lookUp(OUTCOME, report.outcome || 'open');

  return html`<article class="sheet">
    <header>
      <div>
        <p class="sheet-kind">Provisioning report</p>
        <p class="sheet-serial">${report.serial_number || 'no serial number'}</p>
        <p>${report.model || ''}</p>
      </div>
      <p class="sheet-outcome tone-${look.tone}"><${Icon} name=${look.icon} />${look.word}</p>
    </header>
    ${report.code && html`<p class="sheet-why"><code>${report.code}</code> in step ${report.step || '–'}: ${report.message}</p>`}
    <${Facts}
      rows=${[
        ['Recipe', report.recipe.name && `${report.recipe.name} version ${report.recipe.version}`],
        ['Firmware', report.firmware_version],
        ['Station', report.station],
        ['Started', both(report.started_at || report.attached_at)],
        ['Ended', both(report.ended_at)],
        ['Took', report.duration_ms !== null && duration(report.duration_ms)],
        ['Job', report.job && html`<code class="whole">${report.job}</code>`],
        ['Run', html`<code class="whole">${report.id}</code>`],
      ]}
    />
    <h2>Steps</h2>
    <${Steps} steps=${report.steps} />
    <h2>Measurements</h2>
    <${Measured} steps=${report.steps} />
    <h2>Digests (SHA-256)</h2>
    <${Digests} report=${report} />
  </article>`;
}

export function Report({ id }) {
  const report = useResource(`/runs/${enc(id)}/report`, (e) => e.run === id);

  return html`<${Loaded} resource=${report}>
    ${(r) => html`
      <div class="no-print">
        <${PageHead}
          title="Report ${r.serial_number || ''}"
          aside=${html`
            <a class="button" href="/runs/${id}">Run</a>
            <a class="button" href="/api/v1/runs/${id}/report" download="${r.serial_number || id}.json">JSON</a>
            <button type="button" class="primary" onClick=${() => window.print()}><${Icon} name="print" />Print</button>
          `}
        />
      </div>
      <${Sheet} report=${r} />
    `}
  <//>`;
}
