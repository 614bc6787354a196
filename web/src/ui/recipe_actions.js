// SPDX-License-Identifier: Apache-2.0
import { enc, post, remove } from '../lib/api.js';
import { html } from '../lib/html.js';
import { t } from '../lib/lang.js';
import { may } from '../lib/state.js';
import { useSession } from '../lib/store.js';
import { ActionButton } from './confirm.js';

export function RecipeActions({ recipe, done }) {
  const session = useSession();
  const path = `/recipes/${enc(recipe.name)}/versions/${recipe.version}`;
  const name = `${recipe.name}@${recipe.version}`;
  const act = (f) => async () => {
    await f();
    done();
  };

  return html`<div class="buttons">
    ${recipe.state === 'draft' && may(session, 'release') &&
    html`<${ActionButton} label=${t('approve')} icon="check" what="${t('approve')} ${name}"
      ask=${t('its_artifacts_are_resolved_to_digests_after')}
      act=${act(() => post(`${path}/actions/approve`))} />`}
    ${recipe.state === 'draft' && may(session, 'write') &&
    html`<${ActionButton} label=${t('delete')} icon="cross" kind="danger-text" what="${t('delete')} ${name}" ask=${t('the_draft_is_gone_for_good')}
      act=${act(() => remove(path))} />`}
    ${recipe.state === 'approved' && may(session, 'order') &&
    html`<a class="button" href="/jobs/new?recipe=${enc(name)}">${t('order_verb')}</a>`}
    ${recipe.state === 'approved' && may(session, 'release') &&
    html`<${ActionButton} label=${t('retire')} icon="power" kind="danger-text" what="${t('retire')} ${name}"
      ask=${t('no_new_job_may_use_it_jobs')} act=${act(() => post(`${path}/actions/retire`))} />`}
  </div>`;
}
