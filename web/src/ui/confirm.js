// SPDX-License-Identifier: Apache-2.0
// A button that does one thing, asks first where that cannot be undone, and says why if it could not be done.
import { html, useEffect, useLayoutEffect, useRef, useState } from '../lib/html.js';
import { t } from '../lib/lang.js';
import { useAction } from '../lib/use.js';
import { Icon } from './icons.js';

/** Modal; Escape and the backdrop's button close it. */
export function Dialog({ title, onClose, children }) {
  const box = useRef(null);

  useEffect(() => {
    const before = document.activeElement;

    box.current.showModal();
    return () => before?.focus?.();
  }, []);
  return html`<dialog ref=${box} aria-label=${title} onClose=${onClose} onCancel=${onClose}>
    <h2>${title}</h2>
    ${children}
  </dialog>`;
}

/**
 * A button that goes with the state that it changed leaves the focus near by (its card, else the heading), not nowhere.
 * Returns what the element around it is given.
 */
function usePassedFocus() {
  const near = useRef(null);
  const timer = useRef(0);

  useLayoutEffect(() => () => near.current?.focus(), []);
  return {
    onFocusIn: (ev) => {
      clearTimeout(timer.current);
      near.current = ev.currentTarget.closest('[data-station]') || document.querySelector('h1');
    },
    // What is taken out of the page loses the focus first: until then it counts as having it.
    onFocusOut: () => {
      timer.current = setTimeout(() => { near.current = null; });
    },
  };
}

/**
 * While it is under way it keeps the focus, which a disabled button would lose.
 * act: the request. ask: the sentence that is to be confirmed. reason: a text is wanted, act(reason) gets it.
 * what: the whole action in words, for those who hear the button and for the dialog.
 */
export function ActionButton({ label, icon, what, act, ask, reason = false, kind = '', iconOnly = false, tabIndex }) {
  const [asking, setAsking] = useState(false);
  const [text, setText] = useState('');
  const { busy, problem, run, clear } = useAction();
  const passed = usePassedFocus();
  const go = async (ev) => {
    ev?.preventDefault();
    if (busy) return;
    setAsking(false);
    await run(() => act(text));
  };

  return html`<span class="action" ...${passed}>
    <button
      type="button"
      class="${kind} ${iconOnly ? 'icon-only' : ''}"
      aria-disabled=${busy ? 'true' : undefined}
      tabindex=${tabIndex}
      title=${iconOnly ? what || label : undefined}
      aria-label=${what || undefined}
      onClick=${ask || reason ? () => setAsking(true) : go}
    >
      ${icon && html`<${Icon} name=${icon} />`}${iconOnly ? null : label}
    </button>
    ${problem && problem.status !== 401 &&
    html`<span class="action-problem" role="alert">
      ${problem.message}
      <button type="button" class="quiet" aria-label=${t('dismiss')} onClick=${clear}><${Icon} name="cross" /></button>
    </span>`}
    ${asking &&
    html`<${Dialog} title="${what || label}?" onClose=${() => setAsking(false)}>
      <form method="dialog" onSubmit=${go}>
        ${ask && html`<p>${ask}</p>`}
        ${reason &&
        html`<label class="field">
          <span>${t('reason')}</span>
          <input required maxlength="200" value=${text} onInput=${(ev) => setText(ev.target.value)} />
        </label>`}
        <p class="buttons">
          <button type="button" onClick=${() => setAsking(false)}>${t('keep_as_it_is')}</button>
          <button type="submit" class="danger">${label}</button>
        </p>
      </form>
    <//>`}
  </span>`;
}
