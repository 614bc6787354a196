// SPDX-License-Identifier: Apache-2.0
import { session as sessionApi } from '../lib/api.js';
import { html, useEffect, useRef, useState } from '../lib/html.js';
import { t } from '../lib/lang.js';
import { setSession } from '../lib/store.js';
import { useAction } from '../lib/use.js';
import { Icon } from '../ui/icons.js';
import { LanguageChoice } from '../ui/settings.js';

export function Login({ trouble }) {
  const [token, set] = useState('');
  const { busy, problem, run } = useAction();
  const input = useRef(null);
  const message = problem ? problem.message : trouble;
  const submit = async (ev) => {
    ev.preventDefault();
    const s = await run(() => sessionApi.open(token.trim()));

    if (s) setSession(s);
    else input.current?.select();
  };

  useEffect(() => {
    document.title = `${t('sign_in')} · provd`;
    input.current?.focus();
  }, []);
  return html`<main class="login">
    <form onSubmit=${submit}>
      <h1><span class="mark" aria-hidden="true"></span>provd</h1>
      <label class="field">
        <span>${t('access_token')}</span>
        <input
          ref=${input}
          class="mono"
          type="password"
          name="token"
          autocomplete="current-password"
          required
          placeholder="pvd_…"
          value=${token}
          aria-invalid=${message ? 'true' : undefined}
          aria-describedby="login-help"
          onInput=${(ev) => set(ev.target.value)}
        />
      </label>
      ${message && html`<p class="field-error" role="alert"><${Icon} name="triangle" />${message}</p>`}
      <button type="submit" class="primary wide" disabled=${busy}>${t('sign_in')}</button>
      <p id="login-help" class="muted">
        ${t('the_first_start_of_provd_prints_a')}
      </p>
      <${LanguageChoice} />
    </form>
  </main>`;
}
