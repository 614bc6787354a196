// SPDX-License-Identifier: Apache-2.0
// A question of a run, with the form that answers it. The answer is on disk before the form gets its reply.
import { enc, post } from '../lib/api.js';
import { html, useEffect, useRef, useState } from '../lib/html.js';
import { t, tx } from '../lib/lang.js';
import { may } from '../lib/state.js';
import { useSession } from '../lib/store.js';
import { useAction } from '../lib/use.js';
import { Trouble } from './parts.js';

function Choices({ answers, send, busy }) {
  return html`<div class="prompt-choices">
    ${answers.map(
      ([value, label, kind]) =>
        html`<button key=${value} type="button" class=${kind} disabled=${busy} onClick=${() => send(value)}>
          ${label}
        </button>`,
    )}
  </div>`;
}

function TextAnswer({ prompt, send, busy, focus }) {
  const [text, set] = useState('');
  const input = useRef(null);
  const scan = prompt.kind === 'scan';

  useEffect(() => {
    if (focus) input.current?.focus();
  }, [prompt.id]);
  return html`<form
    class="prompt-text-form"
    onSubmit=${(ev) => {
      ev.preventDefault();
      send(text.trim());
    }}
  >
    <label>
      <span class="hidden">${scan ? t('scanned_code') : t('answer')}: ${prompt.text}</span>
      <input
        ref=${input}
        class="prompt-input"
        value=${text}
        required
        maxlength="255"
        autocomplete="off"
        spellcheck=${false}
        placeholder=${scan ? t('scan_or_type_the_code') : t('answer')}
        onInput=${(ev) => set(ev.target.value)}
      />
    </label>
    <button type="submit" class="primary" disabled=${busy}>${t('send')}</button>
    ${prompt.pattern && html`<p class="prompt-hint" title=${t('must_match', { pattern: prompt.pattern })}>${tx('must_match', { pattern: html`<code>${prompt.pattern}</code>` })}</p>`}
  </form>`;
}

/** What the person is to look at. Where it cannot be shown, what it shows is said. */
function Picture({ prompt }) {
  const [missing, set] = useState(false);

  if (missing) return html`<p class="prompt-hint">${t('picture_not_shown', { text: prompt.picture_text })}</p>`;
  return html`<img class="prompt-picture" src="/api/v1/prompts/${enc(prompt.id)}/picture" alt=${prompt.picture_text} onError=${() => set(true)} />`;
}

/** focus: the input takes the keyboard, for a scanner that types (not on the wall: which of many? There a picture has no room
 * either, and the question leads to it). */
export function PromptForm({ station, prompt, focus = false }) {
  const session = useSession();
  const { busy, problem, run } = useAction();
  const send = (answer) => run(() => post(`/prompts/${enc(prompt.id)}/answer`, { answer }));
  const common = { send, busy };
  let form;

  if (!may(session, 'operate')) form = html`<p class="muted">${t('an_operator_answers_this')}</p>`;
  else if (prompt.kind === 'confirm')
    form = html`<${Choices} ...${common} answers=${[
      ['yes', t('yes'), 'primary'],
      ['no', t('no'), ''],
    ]} />`;
  else if (prompt.kind === 'choice')
    form = html`<${Choices} ...${common} answers=${(prompt.choices || []).map((c) => [c, c, ''])} />`;
  else form = html`<${TextAnswer} key=${prompt.id} prompt=${prompt} focus=${focus} ...${common} />`;
  return html`<section class="prompt" aria-label=${t('question_at', { station })}>
    <p class="prompt-text" title=${prompt.text}>${
      prompt.picture_text && !focus
        ? html`<a href="/stations/${enc(station)}" title=${t('with_a_picture', { text: prompt.picture_text })}>${prompt.text}</a>`
        : prompt.text
    }</p>
    ${prompt.picture_text && focus && html`<${Picture} key=${prompt.id} prompt=${prompt} />`}
    ${form}
    <${Trouble} problem=${problem} />
  </section>`;
}
