// SPDX-License-Identifier: Apache-2.0
// Requests to the API of the provd that served this page. The session travels as a cookie.
import { t } from './lang.js';

const BASE = '/api/v1';

/** An answer that reports no success: RFC 9457's problem, with the mistakes at their fields. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || t('provd_answered', { status }));
    this.status = status;
    this.code = body.code || '';
    /** @type {{pointer: string, detail: string}[]} */
    this.errors = Array.isArray(body.errors) ? body.errors : [];
    this.requestId = body.request_id || '';
  }
}

/** Set by the store: what to do when the session is over. */
export const hooks = { unauthorized: () => {} };

let skewMs = 0;

/** The server's time now, as well as the last answer's Date gives it (whole seconds). */
export function serverNow() {
  return Date.now() + skewMs;
}

function noteDate(response) {
  const at = Date.parse(response.headers.get('Date') || '');

  // Below two seconds it is the rounding of the header.
  if (!Number.isNaN(at)) skewMs = Math.abs(at - Date.now()) > 2000 ? at - Date.now() : 0;
}

async function readBody(response) {
  const text = await response.text();

  if (!text) return {};
  try {
    return JSON.parse(text);
  } catch {
    return { detail: text.slice(0, 300) };
  }
}

export async function request(method, path, body, headers = {}, quiet = false) {
  const init = { method, headers: { Accept: 'application/json', ...headers }, credentials: 'same-origin' };
  let response;

  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers['Content-Type'] = 'application/json';
  }
  try {
    response = await fetch(BASE + path, init);
  } catch {
    throw new Problem(0, { detail: t('provd_does_not_answer_check_that_it') });
  }
  noteDate(response);
  const answer = await readBody(response);
  if (response.ok) return answer;
  if (response.status === 401 && !quiet) hooks.unauthorized();
  throw new Problem(response.status, answer);
}

/** The body of an answer that is no JSON; a problem is one. */
export async function text(path) {
  let response;

  try {
    response = await fetch(BASE + path, { credentials: 'same-origin' });
  } catch {
    throw new Problem(0, { detail: t('provd_does_not_answer_check_that_it') });
  }
  if (response.ok) return response.text();
  if (response.status === 401) hooks.unauthorized();
  throw new Problem(response.status, await readBody(response));
}

export const get = (path) => request('GET', path);
/** Whatever the thing is by now. */
export const WHATEVER = { 'If-Match': '*' };
export const post = (path, body = {}, headers) => request('POST', path, body, headers);
export const remove = (path) => request('DELETE', path);

/** These three report a missing session by their error alone. */
export const session = {
  open: (token) => request('POST', '/session', { token }, {}, true),
  openWith: (user, password) => request('POST', '/session', { user, password }, {}, true),
  read: () => request('GET', '/session', undefined, {}, true),
  close: () => request('DELETE', '/session', undefined, {}, true),
};

/** A part of a path or query. */
export const enc = encodeURIComponent;

/** For Idempotency-Key; crypto.randomUUID is missing where the page came over plain HTTP. */
export function randomKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, '0')).join('');
}
