// SPDX-License-Identifier: Apache-2.0
// Fields of a form, with the mistakes that the server found at them.
import { html } from '../lib/html.js';
import { Icon } from './icons.js';

/** Names the fields that have mistakes: pointer -> texts. Those of a list or of members go to the nearest field. */
export function placeErrors(errors, fields) {
  const placed = new Map();

  for (const e of errors) {
    let at = e.pointer || '';
    while (at && !fields.includes(at)) at = at.slice(0, at.lastIndexOf('/'));
    placed.set(at, [...(placed.get(at) || []), e.detail]);
  }
  return placed;
}

const idOf = (pointer) => `field${pointer.replaceAll('/', '-').replaceAll(/[^\w-]/g, '_')}`;

export function Mistakes({ id, list }) {
  if (!list?.length) return null;
  return html`<ul class="field-error" id=${id}>
    ${list.map((t, i) => html`<li key=${i}><${Icon} name="triangle" />${t}</li>`)}
  </ul>`;
}

/** children(attributes) makes the control; the attributes tie it to its label, help and mistakes. */
export function Field({ pointer, label, help, errors, children }) {
  const id = idOf(pointer);
  const list = errors.get(pointer);
  const about = [help && `${id}-help`, list && `${id}-error`].filter(Boolean).join(' ');

  return html`<div class="field ${list ? 'wrong' : ''}">
    <label for=${id}>${label}</label>
    ${children({ id, 'aria-invalid': list ? 'true' : undefined, 'aria-describedby': about || undefined })}
    ${help && html`<p class="field-help" id="${id}-help">${help}</p>`}
    <${Mistakes} id="${id}-error" list=${list} />
  </div>`;
}

/** Several controls under one name. */
export function FieldSet({ pointer, label, help, errors, children }) {
  const id = idOf(pointer);
  const list = errors.get(pointer);

  return html`<fieldset class="field ${list ? 'wrong' : ''}" aria-describedby=${list ? `${id}-error` : undefined}>
    <legend>${label}</legend>
    ${children}
    ${help && html`<p class="field-help">${help}</p>`}
    <${Mistakes} id="${id}-error" list=${list} />
  </fieldset>`;
}
