// SPDX-License-Identifier: Apache-2.0
// What a unit is made of, where it was, and its runs: for paper, A4, black on white.
import { enc } from '../lib/api.js';
import { localTime, utcTitle } from '../lib/format.js';
import { html } from '../lib/html.js';
import { t } from '../lib/lang.js';
import { ACT, CERTIFICATE, lookUp, OUTCOME, UNIT } from '../lib/state.js';
import { useResource } from '../lib/use.js';
import { Icon } from '../ui/icons.js';
import { Badge, Facts, Loaded, PageHead } from '../ui/parts.js';

const when = (iso) => (iso ? html`<time datetime=${iso} title=${utcTitle(iso)}>${localTime(iso, { dateIfToday: true })}</time>` : '–');
const short = (digest) => html`<code title=${digest}>${digest ? digest.slice(0, 16) : '–'}</code>`;
const run = (id) => (id ? html`<a class="mono" href="/runs/${id}">${id.slice(0, 13)}</a>` : '–');
const number = (n) => html`<span class="num">${n}</span>`;

/** A list of it, left out where there is nothing. columns: a name, and what of a row is in it. */
function Part({ title, rows, columns }) {
  if (!rows?.length) return null;
  return html`<section>
    <h2>${title}</h2>
    <div class="sheet-table" role="region" aria-label=${title} tabindex="0">
      <table>
        <thead><tr>${columns.map(([name]) => html`<th key=${name} scope="col">${name}</th>`)}</tr></thead>
        <tbody>${rows.map((r, i) => html`<tr key=${i}>${columns.map(([name, cell]) => html`<td key=${name}>${cell(r)}</td>`)}</tr>`)}</tbody>
      </table>
    </div>
  </section>`;
}

const PARTS = [
  ['parts', t('parts'), [[t('value'), (p) => html`<b class="mono">${p.value}</b>`], [t('question'), (p) => p.what || p.step], [t('by_whom'), (p) => p.by || '–'], [t('station'), (p) => p.station], [t('run'), (p) => run(p.run)], [t('at'), (p) => when(p.at)]]],
  ['values', t('values'), [[t('name'), (v) => v.slot || v.kind], [t('value'), (v) => html`<span class="mono">${v.value}</span>`], [t('pool'), (v) => v.pool || '–'], [t('run'), (v) => run(v.run)]]],
  ['artifacts', t('artifacts'), [[t('name'), (a) => a.name || a.as || '–'], [t('digest'), (a) => short(a.sha256)], [t('runs'), (a) => number(a.runs)]]],
  ['certificates', t('certificates'), [[t('key'), (c) => c.key], [t('subject_and_serial_number'), (c) => html`${c.subject || '–'} <code>${c.serial || ''}</code>`], [t('issuer'), (c) => c.issuer], [t('state'), (c) => html`<${Badge} look=${lookUp(CERTIFICATE, c.state)} />`], [t('run'), (c) => run(c.run)]]],
  ['recipes', t('recipes'), [[t('recipe'), (r) => t('name_version', { name: r.name, version: String(r.version) })], [t('digest'), (r) => short(r.sha256)], [t('runs'), (r) => number(r.runs)]]],
  ['tools', t('tool'), [[t('name'), (x) => x.name], [t('runs'), (x) => number(x.runs)]]],
  ['orders', t('jobs'), [[t('job'), (o) => html`<code title=${o.id}>${o.number || o.external_ref || o.id.slice(0, 13)}</code>`], [t('recipe'), (o) => t('name_version', { name: o.recipe, version: String(o.version) })], [t('kind'), (o) => o.kind || '–'], [t('runs'), (o) => number(o.runs)]]],
  ['stations', t('where_it_was'), [[t('station'), (s) => s.station], [t('fixture'), (s) => s.fixture || '–'], [t('from'), (s) => when(s.first_at)], [t('until'), (s) => when(s.last_at)], [t('runs'), (s) => number(s.runs)]]],
  ['acts', t('what_cannot_be_undone'), [[t('what'), (a) => a.what], [t('action'), (a) => html`<code>${a.action}</code>`], [t('state'), (a) => html`<${Badge} look=${lookUp(ACT, a.state)} />`], [t('station'), (a) => a.station], [t('run'), (a) => run(a.run)], [t('at'), (a) => when(a.at)]]],
  ['wear', t('flash_wear'), [[t('name'), (w) => w.region], [t('erased'), (w) => number(w.erases)]]],
  ['runs', t('runs'), [[t('outcome'), (r) => html`<${Badge} look=${lookUp(OUTCOME, r.outcome || 'open')} />`], [t('run'), (r) => run(r.id)], [t('station'), (r) => r.station], [t('recipe'), (r) => (r.recipe ? t('name_version', { name: r.recipe, version: String(r.version) }) : '–')], [t('why'), (r) => (r.code && r.code !== 'none' ? html`<code>${r.code}</code> ${r.step || ''}` : '')], [t('ended'), (r) => when(r.ended_at)]]],
]; // prettier-ignore

function Sheet({ g }) {
  const look = lookUp(UNIT, g.unit.state);

  return html`<article class="sheet">
    <header>
      <div>
        <p class="sheet-kind">${t('genealogy')}</p>
        <p class="sheet-serial">${g.unit.serial || t('no_serial_number')}</p>
        <p>${g.unit.model || ''}</p>
      </div>
      <p class="sheet-outcome tone-${look.tone}"><${Icon} name=${look.icon} />${look.word}</p>
    </header>
    <${Facts}
      rows=${[
        [t('chip'), g.unit.chip_id && html`<span class="mono">${g.unit.chip_id}</span>`],
        [t('unit'), html`<code class="whole">${g.unit.id}</code>`],
        [t('first_seen'), when(g.unit.created_at)],
        [t('changed'), when(g.unit.updated_at)],
      ]}
    />
    ${!g.parts?.length && html`<p class="muted">${t('no_part_was_scanned')}</p>`}
    ${PARTS.map(([key, title, columns]) => html`<${Part} key=${key} title=${title} rows=${g[key]} columns=${columns} />`)}
    ${g.truncated && html`<p class="muted">${t('only_the_newest_runs')}</p>`}
  </article>`;
}

export function Genealogy({ serial }) {
  const concerns = (e) => e.type === 'run-finished' || e.type.startsWith('unit-');
  const g = useResource(`/units/${enc(serial)}/genealogy`, concerns);

  return html`<${Loaded} resource=${g}>
    ${(of) => html`
      <div class="no-print">
        <${PageHead}
          title=${t('genealogy_of', { serial: of.unit.serial || '' })}
          aside=${html`
            <a class="button" href="/units/${enc(serial)}">${t('unit')}</a>
            <a class="button" href="/api/v1/units/${enc(serial)}/genealogy" download="${of.unit.serial || of.unit.id}-genealogy.json">JSON</a>
            <button type="button" class="primary" onClick=${() => window.print()}><${Icon} name="print" />${t('print')}</button>
          `}
        />
      </div>
      <${Sheet} g=${of} />
    `}
  <//>`;
}
