// SPDX-License-Identifier: Apache-2.0
import { enc } from '../lib/api.js';
import { html } from '../lib/html.js';
import { t } from '../lib/lang.js';
import { lookUp, RECIPE } from '../lib/state.js';
import { useResource } from '../lib/use.js';
import { RecipeActions } from '../ui/recipe_actions.js';
import { Badge, Facts, Id, Loaded, PageHead, Time } from '../ui/parts.js';
import { Values } from '../ui/steps.js';
import { Table } from '../ui/tables.js';

const PHASES = ['setup', 'steps', 'teardown'];

function retryText(retry) {
  if (!retry) return '';
  const n = retry.attempts ?? 1;

  return retry.on?.length ? t('attempts_on', { n, codes: retry.on.join(', ') }) : t('attempts', { n });
}

const itemText = (item) => (typeof item === 'object' ? Object.entries(item).map(([k, v]) => `${k}=${v}`).join(' ') : String(item));

/** What a loop goes over: a list, or the parameter that has it. */
const listText = (list) => (Array.isArray(list) ? list.map(itemText).join(', ') : String(list));

/** The steps as they are written; those of a loop have its list. */
const rowsOf = (list, phase, each) =>
  (list || []).flatMap((s) =>
    s.steps ? rowsOf(s.steps, phase, s.for_each) : [{ ...s, phase, for_each: s.for_each ?? each }],
  );

const withOf = (s) => (s.use ? { ...s.ports, ...s.artifacts, ...s.with } : s.with);

function Steps({ recipe }) {
  const rows = PHASES.flatMap((phase) => rowsOf(recipe[phase], phase));

  return html`<${Table} label=${t('actions')} head=${['n', t('phase'), t('step'), t('action'), t('with'), t('timeout'), t('retry'), t('on_failure'), t('when')]} kind="top">
    ${rows.map(
      (s, i) =>
        html`<tr key=${i}>
          <td class="num">${i + 1}</td>
          <td class="muted">${s.phase}</td>
          <td><b>${s.id || ''}</b></td>
          <td class="mono">${s.use ? t('uses_recipe', { name: s.use }) : s.action}</td>
          <td>
            ${s.for_each && html`<p class="muted">${t('for_each_of', { list: listText(s.for_each) })}</p>`}
            <${Values} of=${withOf(s)} />
          </td>
          <td>${s.timeout || ''}</td>
          <td>${retryText(s.retry)}</td>
          <td>${s.on_fail || 'stop'}</td>
          <td class="mono">${s.when || ''}</td>
        </tr>`,
    )}
  <//>`;
}

const section = (title, of) =>
  Object.keys(of || {}).length > 0 && html`<section class="panel"><h2>${title}</h2><${Values} of=${of} /></section>`;

export function RecipePage({ name, version }) {
  const one = useResource(`/recipes/${enc(name)}/versions/${enc(version)}`, (e) => e.type.startsWith('recipe-'));

  return html`<${Loaded} resource=${one}>
    ${(r) => html`
      <${PageHead}
        above=${t('recipe')}
        title="${r.name}@${r.version}"
        aside=${html`<${Badge} look=${lookUp(RECIPE, r.state)} solid large /><${RecipeActions} recipe=${r} done=${one.reload} />`}
      >
        <p class="muted">${r.recipe.title || ''}</p>
      <//>
      <div class="columns">
        <section class="panel">
          <h2>${t('version')}</h2>
          <${Facts}
            rows=${[
              [t('digest'), html`<${Id} id=${r.sha256} />`],
              [t('model'), r.recipe.unit?.model],
              [t('written'), html`<${Time} at=${r.created_at} full /> ${t('by', { name: r.created_by })}`],
              [t('approved'), r.approved_at && html`<${Time} at=${r.approved_at} full /> ${t('by', { name: r.approved_by })}`],
            ]}
          />
        </section>
        ${section(t('serial_number'), r.recipe.unit?.serial)} ${section(t('ports'), r.recipe.ports)}
        ${section(t('artifacts'), r.recipe.artifacts)} ${section(t('parameters'), r.recipe.params)}
      </div>
      <section>
        <h2>${t('actions')}</h2>
        <${Steps} recipe=${r.recipe} />
      </section>
      ${r.source &&
      html`<section>
        <h2>${t('source')}</h2>
        <pre class="source" tabindex="0">${r.source}</pre>
      </section>`}
    `}
  <//>`;
}
