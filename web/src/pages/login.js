// SPDX-License-Identifier: Apache-2.0
import { session as sessionApi } from '../lib/api.js';
import { html, useEffect, useRef, useState } from '../lib/html.js';
import { setSession } from '../lib/store.js';
import { useAction } from '../lib/use.js';
import { Icon } from '../ui/icons.js';

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
    document.title = 'Sign in · provd';
    input.current?.focus();
  }, []);
  return html`<main class="login">
    <form onSubmit=${submit}>
      <h1><span class="mark" aria-hidden="true"></span>provd</h1>
      <label class="field">
        <span>Access token</span>
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
      <button type="submit" class="primary wide" disabled=${busy}>Sign in</button>
      <p id="login-help" class="muted">
        The first start of provd prints a token for the administrator, once. Ask the administrator for a token with the
        role that you need.
      </p>
    </form>
  </main>`;
}
