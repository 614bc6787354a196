// SPDX-License-Identifier: Apache-2.0
// Filters of a list; they live in the address, so that a list can be sent to someone.
import { html } from '../lib/html.js';
import { t } from '../lib/lang.js';
import { setQuery } from '../lib/router.js';

/** words: the table that has the word for each option. */
export function SelectFilter({ name, label, value, options, words = {} }) {
  return html`<label class="filter">
    <span>${label}</span>
    <select value=${value || ''} onChange=${(ev) => setQuery({ [name]: ev.target.value })}>
      <option value="">${t('all')}</option>
      ${options.map((o) => html`<option key=${o} value=${o} selected=${o === value}>${words[o]?.word || o}</option>`)}
    </select>
  </label>`;
}

export function TextFilter({ name, label, value }) {
  return html`<label class="filter">
    <span>${label}</span>
    <input value=${value || ''} spellcheck=${false} onChange=${(ev) => setQuery({ [name]: ev.target.value.trim() })} />
  </label>`;
}

/** The query of a request: only what is set. */
export function queryOf(values) {
  return Object.entries(values)
    .filter(([, v]) => v)
    .map(([k, v]) => `${k}=${encodeURIComponent(v)}`)
    .join('&');
}
