// SPDX-License-Identifier: Apache-2.0
import { html } from '../lib/html.js';
import { t, tx } from '../lib/lang.js';
import { lookUp, RECIPE } from '../lib/state.js';
import { useResource } from '../lib/use.js';
import { RecipeActions } from '../ui/recipe_actions.js';
import { Badge, Empty, Id, Loaded, PageHead, Recipe, Time } from '../ui/parts.js';
import { Table } from '../ui/tables.js';

export function Recipes() {
  const list = useResource('/recipes', (e) => e.type.startsWith('recipe-'));

  return html`
    <${PageHead} title=${t('recipes')}><p class="muted">${t('what_a_version_approved_once_says_never')}</p><//>
    <${Loaded} resource=${list}>
      ${({ items }) =>
        items.length
          ? html`<${Table} label=${t('recipes')} head=${[t('state'), t('recipe'), t('digest'), t('written'), t('approved'), t('actions')]}>
              ${items.map(
                (r) =>
                  html`<tr key="${r.name}@${r.version}">
                    <td><${Badge} look=${lookUp(RECIPE, r.state)} /></td>
                    <td><${Recipe} name=${r.name} version=${r.version} /></td>
                    <td><${Id} id=${r.sha256} /></td>
                    <td><${Time} at=${r.created_at} /> <span class="muted">${r.created_by}</span></td>
                    <td>${r.approved_at && html`<${Time} at=${r.approved_at} /> <span class="muted">${r.approved_by}</span>`}</td>
                    <td><${RecipeActions} recipe=${r} done=${list.reload} /></td>
                  </tr>`,
              )}
            <//>`
          : html`<${Empty} title=${t('no_recipe_yet')}>
              <p>${tx('write_one', { check: html`<code>provctl recipe check FILE</code>`, put: html`<code>provctl recipe put FILE</code>` })}</p>
            <//>`}
    <//>
  `;
}
