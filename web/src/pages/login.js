// SPDX-License-Identifier: Apache-2.0
import { request, session as sessionApi } from '../lib/api.js';
import { html, useEffect, useRef, useState } from '../lib/html.js';
import { t } from '../lib/lang.js';
import { setSession } from '../lib/store.js';
import { useAction } from '../lib/use.js';
import { Icon } from '../ui/icons.js';
import { LanguageChoice } from '../ui/settings.js';

function Field({ label, set, describedBy, wrong, focus, ...input }) {
  return html`<label class="field">
    <span>${label}</span>
    <input
      ...${input}
      ref=${focus}
      required
      aria-invalid=${wrong ? 'true' : undefined}
      aria-describedby=${describedBy}
      onInput=${(ev) => set(ev.target.value)}
    />
  </label>`;
}

/** Where people may come in with a password that is what is asked for first; a token does as well. */
function useWay() {
  const [passwords, setPasswords] = useState(false);
  const [byToken, setByToken] = useState(false);

  useEffect(() => {
    request('GET', '/version', undefined, {}, true).then((v) => setPasswords(v.passwords), () => {});
  }, []);
  return { passwords, byToken: byToken || !passwords, turn: () => setByToken(!byToken) };
}

export function Login({ trouble }) {
  const [token, setToken] = useState('');
  const [user, setUser] = useState('');
  const [password, setPassword] = useState('');
  const { busy, problem, run } = useAction();
  const { passwords, byToken, turn } = useWay();
  const input = useRef(null);
  const message = problem ? problem.message : trouble;
  const submit = async (ev) => {
    ev.preventDefault();
    const s = await run(() => (byToken ? sessionApi.open(token.trim()) : sessionApi.openWith(user.trim(), password)));

    if (s) setSession(s);
    else input.current?.select();
  };

  useEffect(() => {
    document.title = `${t('sign_in')} · provd`;
  }, []);
  useEffect(() => input.current?.focus(), [byToken]);
  return html`<main class="login">
    <form onSubmit=${submit}>
      <h1><span class="mark" aria-hidden="true"></span>provd</h1>
      ${byToken
        ? html`<${Field} key="token" label=${t('access_token')} class="mono" type="password" name="token" autocomplete="current-password"
            placeholder="pvd_…" value=${token} set=${setToken} focus=${input} wrong=${message} describedBy="login-help" />`
        : html`<${Field} key="user" label=${t('user_name')} type="text" name="user" autocomplete="username" autocapitalize="none"
              spellcheck=${false} value=${user} set=${setUser} focus=${input} wrong=${message} />
            <${Field} key="password" label=${t('password')} type="password" name="password" autocomplete="current-password"
              value=${password} set=${setPassword} wrong=${message} />`}
      ${message && html`<p class="field-error" role="alert"><${Icon} name="triangle" />${message}</p>`}
      <button type="submit" class="primary wide" disabled=${busy}>${t('sign_in')}</button>
      ${passwords && html`<button type="button" class="wide" onClick=${turn}>${byToken ? t('sign_in_with_a_password') : t('sign_in_with_a_token')}</button>`}
      ${byToken && html`<p id="login-help" class="muted">${t('the_first_start_of_provd_prints_a')}</p>`}
      <${LanguageChoice} />
    </form>
  </main>`;
}
