// SPDX-License-Identifier: Apache-2.0
// What is attached to a run: pictures small, texts when they are opened, waveforms as curves, everything to fetch.
import { enc, text } from '../lib/api.js';
import { bytes } from '../lib/format.js';
import { html, useEffect, useState } from '../lib/html.js';
import { t } from '../lib/lang.js';
import { useResource } from '../lib/use.js';
import { readWave } from '../lib/wave.js';
import { lazily } from './lazily.js';
import { Loading, Trouble } from './parts.js';
import { Table } from './tables.js';

const TEXT_MAX = 512 * 1024;
const WAVE_MAX = 8 * 1024 * 1024;
const WAVES = ['text/csv', 'application/json'];
const isText = (a) => a.media.startsWith('text/') || a.media === 'application/json';
const Wave = lazily(() => import('./curves.js').then((m) => m.Wave));

const path = (run, a) => `/runs/${enc(run)}/attachments/${enc(a.name)}?n=${a.n}`;

function Picture({ run, a }) {
  const [large, set] = useState(false);
  const what = t('picture_of', { name: a.name, step: a.step });

  return html`<button type="button" class="thumb ${large ? 'large' : ''}" aria-pressed=${large} aria-label=${what} onClick=${() => set(!large)}>
    <img src="/api/v1${path(run, a)}" alt=${what} loading="lazy" />
  </button>`;
}

function Content({ run, a }) {
  const [got, set] = useState({});

  useEffect(() => {
    text(path(run, a)).then((said) => set({ said, wave: WAVES.includes(a.media) ? readWave(said, a.media) : null }), (problem) => set({ problem }));
  }, [run, a.sha256]);
  if (got.problem) return html`<${Trouble} problem=${got.problem} />`;
  if (got.said === undefined) return html`<${Loading} />`;
  if (got.wave) return html`<${Wave} name=${a.name} wave=${got.wave} />`;
  return a.size <= TEXT_MAX ? html`<pre class="attached-text">${got.said}</pre>` : html`<p class="muted">${t('too_large_to_show')}</p>`;
}

function Text({ run, a }) {
  const [open, set] = useState(false);

  if (a.size > (WAVES.includes(a.media) ? WAVE_MAX : TEXT_MAX)) return html`<p class="muted">${t('too_large_to_show')}</p>`;
  return html`<details onToggle=${(ev) => set(ev.target.open)}>
    <summary>${t('show_it')}<span class="hidden"> ${a.name}</span></summary>
    ${open && html`<${Content} run=${run} a=${a} />`}
  </details>`;
}

function Preview({ run, a }) {
  if (a.media.startsWith('image/')) return html`<${Picture} run=${run} a=${a} />`;
  return isText(a) ? html`<${Text} run=${run} a=${a} />` : '–';
}

export function Attachments({ run }) {
  const list = useResource(`/runs/${enc(run)}/attachments`, (e) => e.run === run);

  if (!list.problem && !list.data?.items.length) return null;
  return html`<section class="attachments">
    <h2>${t('attached_files')}</h2>
    <${Trouble} problem=${list.problem} retry=${list.reload} />
    ${list.data?.items.length > 0 &&
    html`<${Table} label=${t('attached_files')} head=${[t('name'), t('step'), t('size'), t('content')]} kind="top">
      ${list.data.items.map(
        (a) =>
          html`<tr key="${a.n} ${a.name}">
            <td><a href="/api/v1${path(run, a)}" download=${a.name} title=${a.sha256}>${a.name}</a></td>
            <td><span class="num">${a.n}</span> ${a.step}</td>
            <td class="num">${bytes(a.size)}</td>
            <td class="attached"><${Preview} run=${run} a=${a} /></td>
          </tr>`,
      )}
    <//>`}
  </section>`;
}
