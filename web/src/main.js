// SPDX-License-Identifier: Apache-2.0
// The start: a token in the address, the session, then the page of the address.
import { session as sessionApi } from './lib/api.js';
import { html, render, useEffect, useState } from './lib/html.js';
import { match, navigate, useLocation } from './lib/router.js';
import { setSession, useSession } from './lib/store.js';
import { Login } from './pages/login.js';
import { NotFound, PAGES } from './pages/table.js';
import { Loading } from './ui/parts.js';
import { Shell } from './ui/shell.js';

/** `/#token=…`, as the first start prints it: taken out of the address before anything else happens. */
function takeToken() {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');

  if (location.hash) history.replaceState(null, '', location.pathname + location.search);
  return token;
}

/** A path of ours to go back to after the login; nothing that leads elsewhere. */
function backPath(query) {
  const next = query.get('next') || '/';

  return next.startsWith('/') && !next.startsWith('//') && !next.startsWith('/login') ? next : '/';
}

async function begin(token) {
  try {
    setSession(token ? await sessionApi.open(token) : await sessionApi.read());
    return '';
  } catch (p) {
    return p.status === 401 && !token ? '' : p.message;
  }
}

function route(path) {
  for (const [pattern, page] of PAGES) {
    const params = match(pattern, path);

    if (params) return [page, params];
  }
  return [NotFound, {}];
}

function App({ token }) {
  const session = useSession();
  const { path, query } = useLocation();
  const [asked, setAsked] = useState(false);
  const [trouble, setTrouble] = useState('');
  const atLogin = path === '/login';

  useEffect(() => {
    begin(token).then((message) => {
      setTrouble(message);
      setAsked(true);
    });
  }, []);
  useEffect(() => {
    if (!asked) return;
    if (!session && !atLogin) {
      const next = location.pathname + location.search;
      navigate(next === '/' ? '/login' : `/login?next=${encodeURIComponent(next)}`, { replace: true });
    } else if (session && atLogin) {
      navigate(backPath(query), { replace: true });
    }
  }, [asked, session, atLogin]);
  if (!asked) return html`<${Loading} />`;
  if (!session) return html`<${Login} trouble=${trouble} />`;
  if (atLogin) return null;
  const [page, params] = route(path);

  return html`<${Shell} path=${path}><${page} key=${path} ...${params} query=${query} /><//>`;
}

render(html`<${App} token=${takeToken()} />`, document.getElementById('app'));
