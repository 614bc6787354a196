// SPDX-License-Identifier: Apache-2.0
// The small parts that all pages are made of.
import { serverNow } from '../lib/api.js';
import { ago, duration, localTime, percent, shortId, utcTitle } from '../lib/format.js';
import { html, useEffect, useRef, useState } from '../lib/html.js';
import { t, tx } from '../lib/lang.js';
import { Icon } from './icons.js';

/** A state: icon and word, in its tone. */
export function Badge({ look, solid = false, large = false }) {
  const kind = `${solid ? 'solid' : ''} ${large ? 'large' : ''}`;

  return html`<span class="badge tone-${look.tone} ${kind}"><${Icon} name=${look.icon} />${look.word}</span>`;
}

/** A time of the record: local, with the UTC in its title. */
export function Time({ at, relative = false, full = false }) {
  if (!at) return '–';
  return html`<time datetime=${at} title=${utcTitle(at)}>
    ${relative ? ago(serverNow() - Date.parse(at)) : localTime(at, { dateIfToday: full })}
  </time>`;
}

export function Id({ id, href }) {
  const text = html`<code title=${id}>${shortId(id)}</code>`;

  return href && id ? html`<a href=${href}>${text}</a>` : text;
}

export function Recipe({ name, version }) {
  if (!name) return '–';
  return html`<a class="recipe" title="${name}@${version}" href="/recipes/${encodeURIComponent(name)}/${version}">
    ${name}<span class="at">@${version}</span>
  </a>`;
}

export function Loading() {
  const [show, set] = useState(false);

  // What comes at once needs no sign.
  useEffect(() => {
    const t = setTimeout(() => set(true), 300);
    return () => clearTimeout(t);
  }, []);
  return html`<p class="loading" role="status">${show ? t('loading') : ''}</p>`;
}

/** Nothing here, and what to do about it. */
export function Empty({ title, children }) {
  return html`<div class="empty-state">
    <h2>${title}</h2>
    <div>${children}</div>
  </div>`;
}

const ADVICE = {
  0: t('the_page_tries_again_when_the_connection'),
  403: t('sign_in_with_a_token_whose_role'),
  404: t('it_may_have_been_deleted_or_the'),
  409: t('something_changed_meanwhile_look_at_the_present'),
  429: t('wait_a_moment_then_try_again'),
};

export function Trouble({ problem, retry }) {
  if (!problem || problem.status === 401) return null;
  const advice = ADVICE[problem.status] || (problem.status >= 500 ? t('see_the_journal_of_provd') : '');

  return html`<div class="trouble" role="alert">
    <${Icon} name="triangle" />
    <div>
      <strong lang=${problem.status ? 'en' : undefined}>${problem.message}</strong>
      ${advice && html`<p>${advice}</p>`}
      ${problem.requestId && html`<p class="muted">${t('request')} <code>${problem.requestId}</code></p>`}
    </div>
    ${retry && html`<button type="button" onClick=${retry}>${t('try_again')}</button>`}
  </div>`;
}

/** A resource's page: trouble, loading, or what children(data) makes. */
export function Loaded({ resource, children }) {
  const { data, problem, loading, reload } = resource;

  if (data)
    return html`${problem && html`<${Trouble} problem=${problem} retry=${reload} />`}${children(data)}`;
  if (problem) return html`<${Trouble} problem=${problem} retry=${reload} />`;
  return loading ? html`<${Loading} />` : null;
}

export function PageHead({ title, above, children, aside }) {
  const h1 = useRef(null);

  useEffect(() => {
    document.title = `${title} · provd`;
  }, [title]);
  // A screen reader says that the page has changed.
  useEffect(() => {
    if (document.activeElement === document.body || document.activeElement?.closest?.('nav')) h1.current?.focus();
  }, []);
  return html`<div class="page-head">
    <div>
      ${above && html`<p class="above">${above}</p>`}
      <h1 tabindex="-1" ref=${h1}>${title}</h1>
      ${children}
    </div>
    ${aside && html`<div class="page-aside">${aside}</div>`}
  </div>`;
}

/** Facts as a definition list; rows without a value are left out. */
export function Facts({ rows }) {
  return html`<dl class="facts">
    ${rows
      .filter(([, v]) => v !== null && v !== undefined && v !== '' && v !== false)
      .map(([k, v]) => html`<div key=${k}><dt>${k}</dt><dd>${v}</dd></div>`)}
  </dl>`;
}

export function More({ list }) {
  if (!list.more) return null;
  return html`<p class="more">
    <button type="button" disabled=${list.busy} onClick=${list.loadMore}>${list.busy ? t('loading') : t('show_more')}</button>
  </p>`;
}

/** Why something did not pass: code, step, sentence, what to do. */
export function Failure({ last, compact = false }) {
  return html`<div class="failure">
    <p class="failure-code" title="${last.code}${last.step ? ` ${t('in_step', { step: last.step })}` : ''}"><code>${last.code}</code>${last.step && html` ${tx('in_step', { step: html`<code>${last.step}</code>` })}`}</p>
    <p class="failure-text" lang="en" title=${compact ? last.message : undefined}>${last.message}</p>
    ${last.hint && last.hint !== last.message && html`<p class="failure-hint" lang="en" title=${compact ? last.hint : undefined}>${last.hint}</p>`}
  </div>`;
}

export function Copy({ text }) {
  const [done, set] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      set(true);
      setTimeout(() => set(false), 2000);
    } catch {
      set(false); // no clipboard over plain HTTP: the text can be selected
    }
  };

  if (!navigator.clipboard) return null;
  return html`<button type="button" class="quiet" onClick=${copy}>
    <${Icon} name="copy" /><span aria-live="polite">${done ? t('copied') : t('copy')}</span>
  </button>`;
}

export const runYield = (passed, failed) => percent(passed, passed + failed);
/** How long something took, by the daemon's own clock; unknown after a crash. */
export const took = (ms) => (ms === null || ms === undefined ? '–' : duration(ms));
