// SPDX-License-Identifier: Apache-2.0
// The start: a token in the address, the session, then the page of the address.
import { session as sessionApi } from './lib/api.js';
import { kiosk, kioskStation } from './lib/choices.js';
import { html, render, useEffect, useState } from './lib/html.js';
import { openKiosk, reopenKiosk } from './lib/kiosk.js';
import { t } from './lib/lang.js';
import { match, navigate, useLocation } from './lib/router.js';
import { setSession, useSession } from './lib/store.js';
import { Login } from './pages/login.js';
import { NOT_FOUND, PAGES, STATION, WALL } from './pages/table.js';
import { Loading, Trouble } from './ui/parts.js';
import { KioskShell, Shell } from './ui/shell.js';

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
    if (kiosk) {
      setSession(await openKiosk(token));
      return '';
    }
    setSession(token ? await sessionApi.open(token) : await sessionApi.read());
    return '';
  } catch (p) {
    return p.status === 401 && !token && !kiosk ? '' : p.message;
  }
}

function route(path) {
  for (const [pattern, page] of PAGES) {
    const params = match(pattern, path);

    if (params) return [page, params];
  }
  return [NOT_FOUND, {}];
}

/** A page, once its module is there; a provd that was upgraded meanwhile has it elsewhere, and the load gets that. */
function Page({ of, ...rest }) {
  const [, again] = useState(0);
  const [failed, setFailed] = useState(false);

  useEffect(() => {
    if (of.page) return;
    of.load().then(
      () => again((n) => n + 1),
      () => setFailed(true),
    );
  }, [of]);
  if (failed) return html`<${Trouble} problem=${{ status: 0, message: t('page_not_loaded') }} retry=${() => location.reload()} />`;
  return of.page ? html`<${of.page} ...${rest} />` : html`<${Loading} />`;
}

/** No menu, no login: while there is no session it is tried again, and why is on the screen. */
function Kiosk({ token }) {
  const session = useSession();
  const [asked, setAsked] = useState(false);
  const [trouble, setTrouble] = useState('');

  useEffect(() => {
    begin(token).then((message) => {
      setTrouble(message);
      setAsked(true);
    });
  }, []);
  useEffect(() => (asked && !session ? reopenKiosk((p) => setTrouble(p.message)) : undefined), [asked, session]);
  if (!session)
    return html`<main class="login"><h1 class="hidden">provd</h1>${asked ? html`<p class="kiosk-trouble" role="alert">${trouble}</p>` : html`<${Loading} />`}</main>`;
  return html`<${KioskShell}>${kioskStation ? html`<${Page} of=${STATION} id=${kioskStation} />` : html`<${Page} of=${WALL} />`}<//>`;
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

  return html`<${Shell} path=${path}><${Page} key=${path} of=${page} ...${params} query=${query} /><//>`;
}

// What index.html shows until now goes.
document.getElementById('app').replaceChildren();
render(html`<${kiosk ? Kiosk : App} token=${takeToken()} />`, document.getElementById('app'));
