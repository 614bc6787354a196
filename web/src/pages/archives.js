// SPDX-License-Identifier: Apache-2.0
// Months of runs that left the database for files.
import { bytes, number } from '../lib/format.js';
import { html } from '../lib/html.js';
import { t, tx } from '../lib/lang.js';
import { usePages } from '../lib/use.js';
import { Empty, Id, Loading, More, PageHead, Time, Trouble } from '../ui/parts.js';
import { Table } from '../ui/tables.js';

const KEY = 'archive';
const HEAD = [t('month'), t('records'), t('file'), t('size'), t('digest'), t('written_at'), t('state')];

function Row({ a }) {
  const whole = a.to - a.from + 1;
  const cleared = a.cleared - a.from + 1;

  return html`<tr>
    <td><b>${a.month}</b></td>
    <td class="num">${t('from_to', { from: number(a.from), to: number(a.to) })}</td>
    <td class="mono">${a.file}</td>
    <td class="num">${bytes(a.bytes)}</td>
    <td><${Id} id=${a.sha256} /></td>
    <td><${Time} at=${a.at} full /></td>
    <td>${cleared >= whole ? t('in_the_file_alone') : t('n_of_moved', { n: cleared, whole })}</td>
  </tr>`;
}

export function Archives() {
  const list = usePages('/records/archives?limit=100', (e) => e.type === 'records-archived');

  return html`
    <${PageHead} above=${t('runs')} title=${t('archives')}><p class="muted">${t('archives_are')}</p><//>
    <${Trouble} problem=${list.problem} retry=${list.reload} />
    ${list.loading && html`<${Loading} />`}
    ${list.items?.length === 0 &&
    html`<${Empty} title=${t('no_month_is_archived')}>
      <p>${tx('archive_in_configuration', { key: html`<code>${KEY}</code>`, file: html`<code>provd.yaml</code>` })}</p>
    <//>`}
    ${list.items?.length > 0 &&
    html`<${Table} label=${t('archives')} head=${HEAD}>${list.items.map((a) => html`<${Row} key=${a.seq} a=${a} />`)}<//>
      <p class="after muted">${tx('verify_one_with', { command: html`<code>provctl record verify</code>` })}</p>`}
    <${More} list=${list} />
  `;
}
