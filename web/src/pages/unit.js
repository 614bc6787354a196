// SPDX-License-Identifier: Apache-2.0
import { enc, post } from '../lib/api.js';
import { html } from '../lib/html.js';
import { lookUp, may, UNIT } from '../lib/state.js';
import { useSession } from '../lib/store.js';
import { usePages, useResource } from '../lib/use.js';
import { ActionButton } from '../ui/confirm.js';
import { Badge, Facts, Id, Loaded, More, PageHead, Time, Trouble } from '../ui/parts.js';
import { RunTable } from '../ui/tables.js';

function Verdicts({ unit, reload }) {
  const session = useSession();
  const act = (verb) => async (reason) => {
    await post(`/units/${enc(unit.id)}/actions/${verb}`, { reason });
    reload();
  };

  if (!may(session, 'release') || unit.state === 'scrapped') return null;
  return html`<div class="buttons">
    ${unit.state === 'suspect' &&
    html`<${ActionButton} label="Release" icon="check" what="Release unit ${unit.serial || unit.id}" reason
      ask="The unit may be run again; it must pass." act=${act('release')} />`}
    <${ActionButton} label="Scrap" icon="cross" kind="danger-text" what="Scrap unit ${unit.serial || unit.id}" reason
      ask="The unit is taken out of production." act=${act('scrap')} />
  </div>`;
}

export function Unit({ serial }) {
  const concerns = (e) => e.type.startsWith('unit-') || e.type === 'run-finished' || e.type === 'run-started';
  const unit = useResource(`/units/${enc(serial)}`, concerns);
  const runs = usePages(`/units/${enc(serial)}/history?limit=100`, concerns);

  return html`<${Loaded} resource=${unit}>
    ${(u) => html`
      <${PageHead}
        above="Unit"
        title=${u.serial || 'Unit without a serial'}
        aside=${html`<${Badge} look=${lookUp(UNIT, u.state)} solid large /><${Verdicts} unit=${u} reload=${unit.reload} />`}
      />
      ${u.state === 'suspect' &&
      html`<p class="note tone-hold">An irreversible step of this unit was interrupted, and provd could not read back
        whether it took effect. Check the unit, then release or scrap it.</p>`}
      <section class="panel">
        <h2>Identity</h2>
        <${Facts}
          rows=${[
            ['Serial', u.serial && html`<span class="mono">${u.serial}</span>`],
            ['Chip', u.chip_id && html`<span class="mono">${u.chip_id}</span>`],
            ['Model', u.model],
            ['Unit', html`<${Id} id=${u.id} />`],
            ['First seen', html`<${Time} at=${u.created_at} full />`],
            ['Changed', html`<${Time} at=${u.updated_at} full />`],
          ]}
        />
      </section>
      <section>
        <h2>Runs</h2>
        <${Trouble} problem=${runs.problem} retry=${runs.reload} />
        ${runs.items?.length === 0 && html`<p class="muted">No run belongs to this unit.</p>`}
        ${runs.items?.length > 0 && html`<${RunTable} runs=${runs.items} without=${['Serial']} />`}
        <${More} list=${runs} />
      </section>
    `}
  <//>`;
}
