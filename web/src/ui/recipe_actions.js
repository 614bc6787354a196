// SPDX-License-Identifier: Apache-2.0
import { enc, post, remove } from '../lib/api.js';
import { html } from '../lib/html.js';
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
    html`<${ActionButton} label="Approve" icon="check" what="Approve ${name}"
      ask="Its artifacts are resolved to digests. After that, this version never changes."
      act=${act(() => post(`${path}/actions/approve`))} />`}
    ${recipe.state === 'draft' && may(session, 'write') &&
    html`<${ActionButton} label="Delete" icon="cross" kind="danger-text" what="Delete draft ${name}" ask="The draft is gone for good."
      act=${act(() => remove(path))} />`}
    ${recipe.state === 'approved' && may(session, 'order') &&
    html`<a class="button" href="/jobs/new?recipe=${enc(name)}">Order</a>`}
    ${recipe.state === 'approved' && may(session, 'release') &&
    html`<${ActionButton} label="Retire" icon="power" kind="danger-text" what="Retire ${name}"
      ask="No new job may use it. Jobs that exist go on." act=${act(() => post(`${path}/actions/retire`))} />`}
  </div>`;
}
