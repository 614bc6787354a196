// SPDX-License-Identifier: Apache-2.0
// The report of a run, made for paper: A4, black on white, whole digests.
import { enc } from '../lib/api.js';
import { duration, localTime, utcTitle } from '../lib/format.js';
import { html } from '../lib/html.js';
import { t } from '../lib/lang.js';
import { lookUp, OUTCOME, VERDICT } from '../lib/state.js';
import { useResource } from '../lib/use.js';
import { Icon } from '../ui/icons.js';
import { Badge, Facts, Loaded, PageHead } from '../ui/parts.js';
import { limitText, valueText } from '../ui/steps.js';

const both = (iso) => (iso ? html`${localTime(iso, { dateIfToday: true })} <small>(${utcTitle(iso)})</small>` : null);

function Steps({ steps }) {
  return html`<table>
    <thead>
      <tr><th scope="col">n</th><th scope="col">${t('step')}</th><th scope="col">${t('action')}</th><th scope="col">${t('attempt')}</th><th scope="col">${t('took')}</th><th scope="col">${t('outcome')}</th></tr>
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

  if (!all.length) return html`<p class="muted">${t('nothing_was_measured')}</p>`;
  return html`<table>
    <thead>
      <tr><th scope="col">${t('step')}</th><th scope="col">${t('measured')}</th><th scope="col">${t('value')}</th><th scope="col">${t('limits')}</th><th scope="col">${t('verdict')}</th></tr>
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
      [t('recipe'), code(report.recipe.sha256)],
      ...artifacts.map(([name, ref]) => [t('artifact_name', { name }), code(ref)]),
      [t('record_before'), code(report.prev_hash)],
      [t('this_record'), code(report.hash)],
    ]}
  />`;
}

function Sheet({ report }) {
  const look = lookUp(OUTCOME, report.outcome || 'open');

  return html`<article class="sheet">
    <header>
      <div>
        <p class="sheet-kind">${t('provisioning_report')}</p>
        <p class="sheet-serial">${report.serial_number || t('no_serial_number')}</p>
        <p>${report.model || ''}</p>
      </div>
      <p class="sheet-outcome tone-${look.tone}"><${Icon} name=${look.icon} />${look.word}</p>
    </header>
    ${report.code && html`<p class="sheet-why"><code>${report.code}</code> ${t('in_step', { step: report.step || '–' })}: <span lang="en">${report.message}</span></p>`}
    <${Facts}
      rows=${[
        [t('recipe'), report.recipe.name && t('name_version', { name: report.recipe.name, version: String(report.recipe.version) })],
        [t('firmware'), report.firmware_version],
        [t('station'), report.station],
        [t('started'), both(report.started_at || report.attached_at)],
        [t('ended'), both(report.ended_at)],
        [t('took'), report.duration_ms !== null && duration(report.duration_ms)],
        [t('job'), report.job && html`<code class="whole">${report.job}</code>`],
        [t('run'), html`<code class="whole">${report.id}</code>`],
      ]}
    />
    <h2>${t('steps')}</h2>
    <${Steps} steps=${report.steps} />
    <h2>${t('measurements')}</h2>
    <${Measured} steps=${report.steps} />
    <h2>${t('digests_sha_256')}</h2>
    <${Digests} report=${report} />
  </article>`;
}

export function Report({ id }) {
  const report = useResource(`/runs/${enc(id)}/report`, (e) => e.run === id);

  return html`<${Loaded} resource=${report}>
    ${(r) => html`
      <div class="no-print">
        <${PageHead}
          title=${t('report_of', { serial: r.serial_number || '' })}
          aside=${html`
            <a class="button" href="/runs/${id}">${t('run')}</a>
            <a class="button" href="/api/v1/runs/${id}/report" download="${r.serial_number || id}.json">JSON</a>
            <button type="button" class="primary" onClick=${() => window.print()}><${Icon} name="print" />${t('print')}</button>
          `}
        />
      </div>
      <${Sheet} report=${r} />
    `}
  <//>`;
}
