// SPDX-License-Identifier: Apache-2.0
import { enc, post } from '../lib/api.js';
import { html } from '../lib/html.js';
import { t } from '../lib/lang.js';
import { ACT, CERTIFICATE, lookUp, may, UNIT, VALUE } from '../lib/state.js';
import { useSession } from '../lib/store.js';
import { usePages, useResource } from '../lib/use.js';
import { ActionButton } from '../ui/confirm.js';
import { Badge, Facts, Id, Loaded, More, PageHead, Time, Trouble } from '../ui/parts.js';
import { RunTable, Table } from '../ui/tables.js';

function Verdicts({ unit, reload }) {
  const session = useSession();
  const act = (verb) => async (reason) => {
    await post(`/units/${enc(unit.id)}/actions/${verb}`, { reason });
    reload();
  };

  if (!may(session, 'release') || unit.state === 'scrapped') return null;
  return html`<div class="buttons">
    ${unit.state === 'suspect' &&
    html`<${ActionButton} label=${t('release')} icon="check" what=${t('release_unit', { unit: unit.serial || unit.id })} reason
      ask=${t('the_unit_may_be_run_again_it')} act=${act('release')} />`}
    <${ActionButton} label=${t('scrap')} icon="cross" kind="danger-text" what=${t('scrap_unit', { unit: unit.serial || unit.id })} reason
      ask=${t('the_unit_is_taken_out_of_production')} act=${act('scrap')} />
  </div>`;
}

const isOpen = (act) => act.state === 'intent' || act.state === 'suspect';

/** Why nobody knows what the unit holds: its acts without an end, its last run. */
function Suspicion({ acts, last }) {
  const open = (acts || []).filter(isOpen);

  return html`<div class="note tone-hold">
    <p><strong>${t('what_this_unit_holds_is_not_certain')}</strong> ${
      open.length > 0
        ? t('provd_was_about_to_do_what_cannot')
        : t('a_run_of_it_ended_after_a')
    }</p>
    ${open.length > 0 &&
    html`<ul>
      ${open.map(
        (a) => html`<li key=${a.run_id}>${a.what} (<code>${a.action}</code>), <${Time} at=${a.intended_at} full />${
          a.observed && `: ${a.observed}`
        }</li>`,
      )}
    </ul>`}
    ${last?.message && html`<p>${t('its_last_run')} <a href="/runs/${last.id}"><code>${last.code}</code></a> ${last.message}</p>`}
    <p>${t('look_at_the_unit_then_release_it')}</p>
  </div>`;
}

function Values({ unit }) {
  const concerns = (e) => e.type.startsWith('serial-') || e.type === 'run-finished';
  const list = usePages(`/serials?unit_id=${enc(unit.id)}&limit=100`, concerns);

  return html`<section>
    <h2>${t('values')}</h2>
    <${Trouble} problem=${list.problem} retry=${list.reload} />
    ${list.items?.length === 0 && html`<p class="muted">${t('it_has_none_of_a_pool')}</p>`}
    ${list.items?.length > 0 &&
    html`<${Table} label=${t('values')} head=${[t('state'), t('name'), t('value'), t('kind'), t('pool'), t('since'), t('why')]}>
      ${list.items.map(
        (v) =>
          html`<tr key=${v.value}>
            <td><${Badge} look=${lookUp(VALUE, v.state)} /></td>
            <td>${v.slot || v.kind}</td>
            <td class="mono">${v.value}</td>
            <td>${v.kind}</td>
            <td>${v.pool ? html`<a href="/pools/${enc(v.pool)}">${v.pool}</a>` : '–'}</td>
            <td><${Time} at=${v.settled_at || v.reserved_at} /></td>
            <td>${v.reason || '–'}</td>
          </tr>`,
      )}
    <//>`}
    <${More} list=${list} />
  </section>`;
}

/** RFC 5280, 4.1.2.5: the time of a certificate that never expires. */
const NO_END = '9999-12-31';
const pemLink = (c) => `data:application/x-pem-file,${encodeURIComponent(c.pem + (c.chain || ''))}`;

function Certificates({ unit }) {
  const concerns = (e) => e.type.startsWith('certificate-');
  const list = useResource(`/units/${enc(unit.id)}/certificates`, concerns);

  return html`<section>
    <h2>${t('certificates')}</h2>
    <${Trouble} problem=${list.problem} retry=${list.reload} />
    ${list.data?.items.length === 0 && html`<p class="muted">${t('none_was_made_for_this_unit')}</p>`}
    ${list.data?.items.length > 0 &&
    html`<${Table} label=${t('certificates')} head=${[t('state'), t('key'), t('subject_and_serial_number'), t('issuer'), t('profile'), t('valid_until'), t('run'), t('since'), t('file')]} kind="top">
      ${list.data.items.map(
        (c) =>
          html`<tr key=${c.id}>
            <td><${Badge} look=${lookUp(CERTIFICATE, c.state)} />${c.reason && html`<br />${c.reason}`}</td>
            <td>${c.key}</td>
            <td class="mono">${c.subject || '–'}${c.serial && html`<br /><span class="muted">${c.serial}</span>`}</td>
            <td>${c.issuer}</td>
            <td title=${c.profile_digest}>${c.profile}</td>
            <td>${c.not_after?.startsWith(NO_END) ? t('no_end') : html`<${Time} at=${c.not_after} full />`}</td>
            <td><${Id} id=${c.run} href="/runs/${c.run}" /></td>
            <td><${Time} at=${c.settled_at || c.issued_at || c.ordered_at} /></td>
            <td>${c.pem ? html`<a href=${pemLink(c)} download="${unit.serial || unit.id}-${c.key}.pem">PEM</a>` : '–'}</td>
          </tr>`,
      )}
    <//>`}
  </section>`;
}

function Journal({ acts }) {
  return html`<section>
    <h2>${t('what_cannot_be_undone')}</h2>
    <${Trouble} problem=${acts.problem} retry=${acts.reload} />
    ${acts.data?.items.length === 0 && html`<p class="muted">${t('nothing_of_that_kind_was_done_to')}</p>`}
    ${acts.data?.items.length > 0 &&
    html`<${Table} label=${t('journal')} head=${[t('state'), t('what'), t('action'), t('run'), t('station'), t('ordered_by'), t('seen'), t('begun'), t('known_since')]} kind="top">
      ${acts.data.items.map(
        (a) =>
          html`<tr key="${a.run_id} ${a.step_n}">
            <td><${Badge} look=${lookUp(ACT, a.state)} /></td>
            <td>${a.what}</td>
            <td><code>${a.action}</code></td>
            <td><${Id} id=${a.run_id} href="/runs/${a.run_id}" /></td>
            <td>${a.station}</td>
            <td>${a.who}</td>
            <td>${a.observed || '–'}${a.settled_by && a.settled_by !== a.run_id && html` <span class="muted">(${t('by', { name: a.settled_by })})</span>`}</td>
            <td><${Time} at=${a.intended_at} /></td>
            <td><${Time} at=${a.settled_at} /></td>
          </tr>`,
      )}
    <//>`}
  </section>`;
}

export function Unit({ serial }) {
  const concerns = (e) => e.type.startsWith('unit-') || e.type === 'run-finished' || e.type === 'run-started';
  const unit = useResource(`/units/${enc(serial)}`, concerns);
  const runs = usePages(`/units/${enc(serial)}/history?limit=100`, concerns);
  const acts = useResource(`/units/${enc(serial)}/journal`, concerns);

  return html`<${Loaded} resource=${unit}>
    ${(u) => html`
      <${PageHead}
        above=${t('unit')}
        title=${u.serial || t('unit_without_a_serial')}
        aside=${html`<${Badge} look=${lookUp(UNIT, u.state)} solid large /><${Verdicts} unit=${u} reload=${unit.reload} />`}
      />
      ${u.state === 'suspect' && html`<${Suspicion} acts=${acts.data?.items} last=${runs.items?.[0]} />`}
      <section class="panel">
        <h2>${t('identity')}</h2>
        <${Facts}
          rows=${[
            [t('serial'), u.serial && html`<span class="mono">${u.serial}</span>`],
            [t('chip'), u.chip_id && html`<span class="mono">${u.chip_id}</span>`],
            [t('model'), u.model],
            [t('unit'), html`<${Id} id=${u.id} />`],
            [t('first_seen'), html`<${Time} at=${u.created_at} full />`],
            [t('changed'), html`<${Time} at=${u.updated_at} full />`],
            [
              t('to_print'),
              html`<a href="/units/${enc(serial)}/genealogy">${t('genealogy')}</a>${
                u.state === 'passed' &&
                html`, <a href="/api/v1/units/${enc(u.id)}/certificate-of-conformance" target="_blank" rel="noopener">${t('certificate_of_conformance')}</a>`
              }`,
            ],
          ]}
        />
      </section>
      <${Values} unit=${u} />
      <${Certificates} unit=${u} />
      <${Journal} acts=${acts} />
      <section>
        <h2>${t('runs')}</h2>
        <${Trouble} problem=${runs.problem} retry=${runs.reload} />
        ${runs.items?.length === 0 && html`<p class="muted">${t('no_run_belongs_to_this_unit')}</p>`}
        ${runs.items?.length > 0 && html`<${RunTable} runs=${runs.items} without=${[t('serial')]} />`}
        <${More} list=${runs} />
      </section>
    `}
  <//>`;
}
