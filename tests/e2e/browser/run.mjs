// SPDX-License-Identifier: Apache-2.0
//
// The dashboard in a real browser.
//
//   node run.mjs --url URL --token TOKEN [--recipe NAME@VERSION] [--gate FILE] [--shots DIR]   against a provd with boards
//   node run.mjs --mock [--stations N] [--shots DIR] [--only REGEXP]             against mock.mjs
//
// Prints a line per check, exits 0 when all hold. Against a provd: its recipe should ask the operator something, and
// a unit should be plugged at each station, so that a job that is ordered runs. With --gate its first step after that
// says "erasing the chip", and goes on once FILE is there. A POST to --restart URL restarts provd at the same address.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { auditClipped, auditContrast, auditNames, auditNarrow, auditTones, auditWall, scrollsSideways } from './audit.mjs';
import { axeSource, buildOther, launch, startMock, startWire } from './setup.mjs';

const { values: o } = parseArgs({
  options: {
    url: { type: 'string' },
    token: { type: 'string' },
    recipe: { type: 'string' },
    gate: { type: 'string' },
    restart: { type: 'string' },
    shots: { type: 'string' },
    only: { type: 'string', default: '' },
    deadline: { type: 'string', default: '40000' },
    mock: { type: 'boolean', default: false },
    stations: { type: 'string', default: '16' },
    chromium: { type: 'string', default: '/usr/bin/chromium' },
    work: { type: 'string', default: path.join(os.tmpdir(), 'provd-browser-test') },
  },
});

const DEADLINE = Number(o.deadline);
const RUN_DEADLINE = 120000;
const failures = [];
const complaints = [];
const expected = [];

async function check(name, f) {
  if (!new RegExp(o.only).test(name)) return;
  const begun = Date.now();

  try {
    await f();
    console.log(`ok      ${name} (${Date.now() - begun} ms)`);
  } catch (e) {
    failures.push(name);
    console.log(`FAILED  ${name}\n        ${String(e.message).split('\n').slice(0, 40).join('\n        ')}`);
  }
}

function must(condition, text) {
  if (!condition) throw new Error(text);
}

const none = (list, what) => must(list.length === 0, `${what}:\n${list.join('\n')}`);

/** As none(), of a page that lays itself out again: what it still says at the deadline counts. */
async function settles(page, audit, what) {
  const until = Date.now() + DEADLINE;
  let found = await page.evaluate(audit);

  while (found.length && Date.now() < until) {
    await page.waitForTimeout(50);
    found = await page.evaluate(audit);
  }
  none(found, what);
}

/** As waitForFunction(), of a page that loads itself again in the middle. */
async function untilTrue(page, f, what) {
  for (const until = Date.now() + DEADLINE; ; await page.waitForTimeout(50)) {
    const is = await page.evaluate(f).catch(() => false);

    if (is) return;
    must(Date.now() < until, what);
  }
}

/** Whatever the browser has to say against the page is kept; what a check provokes on purpose is expected. */
async function openPage(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, reducedMotion: 'reduce', ...options });
  const page = await context.newPage();

  page.setDefaultTimeout(DEADLINE);
  await page.exposeFunction('tellViolation', (v) => complaints.push(`CSP: ${v}`));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (ev) => window.tellViolation(`${ev.violatedDirective} ${ev.blockedURI}`));
  });
  page.on('pageerror', (e) => complaints.push(`exception: ${e.message}`));
  page.on('console', (m) => {
    const text = `${m.text()} ${m.location().url}`;
    if (['error', 'warning'].includes(m.type()) && !expected.some((re) => re.test(text))) complaints.push(`console: ${text}`);
  });
  return page;
}

async function shot(page, name, fullPage = false) {
  if (!o.shots) return;
  fs.mkdirSync(o.shots, { recursive: true });
  await page.screenshot({ path: path.join(o.shots, `${name}.png`), fullPage });
}

/** The API with the session of the page. */
const api = (page, method, url, body) =>
  page.evaluate(
    async ([m, u, b]) => {
      const r = await fetch(`/api/v1${u}`, { method: m, body: b && JSON.stringify(b), headers: b ? { 'Content-Type': 'application/json' } : {} });
      return { status: r.status, body: await r.json() };
    },
    [method, url, body],
  );

async function stationsOf(page) {
  return (await api(page, 'GET', '/stations')).body.items;
}

const card = (page, id) => page.locator(`[data-station="${id}"]`);

// --- the checks ---

async function checkHeaders(url) {
  const page = await fetch(url, { headers: { 'Accept-Encoding': 'gzip' } });
  const html = await page.text();
  const script = /src="([^"]+main\.js)"/.exec(html)?.[1];
  const asset = await fetch(new URL(script, url));
  const again = await fetch(url, { headers: { 'If-None-Match': page.headers.get('etag') } });
  const deep = await fetch(new URL('/runs/some-id/report', url));

  must(/default-src 'self'/.test(page.headers.get('content-security-policy')), 'no Content-Security-Policy');
  must(!/unsafe/.test(page.headers.get('content-security-policy')), 'the policy allows something unsafe');
  must(page.headers.get('x-frame-options') === 'DENY', 'the page may be framed');
  must(page.headers.get('referrer-policy') === 'no-referrer', 'no Referrer-Policy');
  must(page.headers.get('x-content-type-options') === 'nosniff', 'no nosniff');
  must(page.headers.get('cache-control') === 'no-cache', 'the page is cached unasked');
  must(page.headers.get('content-encoding') === 'gzip', 'the page is not compressed');
  must(again.status === 304, `If-None-Match gives ${again.status}`);
  must(/immutable/.test(asset.headers.get('cache-control')), 'assets are not immutable');
  must(deep.status === 200, `a page's address gives ${deep.status}`);
  must((await fetch(new URL('/assets/none/none.js', url))).status === 404, 'an unknown asset is not 404');
}

async function login(page, { url, token }) {
  await page.goto(`${url}/jobs`);
  await page.waitForURL('**/login?next=%2Fjobs');
  await page.getByLabel('Access token').fill('pvd_0000000000000000_wrong');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('alert').first().waitFor();
  await page.getByLabel('Access token').fill(token);
  await page.keyboard.press('Enter');
  await page.waitForURL('**/jobs');
  await page.getByRole('heading', { name: 'Jobs', level: 1 }).waitFor();
}

async function loginByLink(browser, { url, token }) {
  const page = await openPage(browser);

  await page.goto(`${url}/#token=${token}`);
  await page.locator('.link-live').waitFor();
  must(!page.url().includes('token'), `the token stays in the address: ${page.url()}`);
  must(await page.evaluate(() => history.length <= 2), 'the token stays in the history');
  await page.context().close();
}

async function wallShowsAll(page, url) {
  await page.goto(url);
  await page.locator('.link-live').waitFor();
  const stations = await stationsOf(page);

  must(stations.length > 0, 'provd has no station');
  for (const s of stations) {
    await card(page, s.id).waitFor();
    const text = await card(page, s.id).locator('.card-head .badge').innerText();
    must(text.trim().length > 2, `station ${s.id} has no word for its state`);
    must((await card(page, s.id).locator('.card-head .badge svg').count()) === 1, `station ${s.id} has no icon`);
  }
  must((await page.locator('.card').count()) === stations.length, 'there are more cards than stations');
}

const LIVELY = ['empty', 'ready', 'done'];

async function changeArrives(page) {
  const s = (await stationsOf(page)).find((x) => LIVELY.includes(x.state));

  must(s, 'no station is idle');
  await page.evaluate(() => {
    window.notReloaded = true;
  });
  must((await api(page, 'POST', `/stations/${s.id}/actions/disable`)).status < 300, 'disable is refused');
  await card(page, s.id).getByText('Disabled', { exact: true }).waitFor();
  await card(page, s.id).hover(); // on a tight wall the buttons come with the pointer
  await card(page, s.id).getByRole('button', { name: `Enable: station ${s.id}` }).click();
  await page.waitForFunction((id) => !document.querySelector(`[data-station="${id}"]`).matches('.state-disabled'), s.id);
  must(await page.evaluate(() => window.notReloaded), 'the page was loaded again');
}

const focusIs = (page, selector) => page.evaluate((q) => Boolean(document.activeElement?.matches(q)), selector);

async function tabTo(page, selector) {
  for (let i = 0; i < 400; i++) {
    if (await focusIs(page, selector)) return;
    await page.keyboard.press('Tab');
  }
  throw new Error(`Tab never comes to ${selector}`);
}

async function orderByKeyboard(page, url) {
  await page.goto(url);
  await page.locator('.link-live').waitFor();
  await page.keyboard.press('n');
  await page.waitForURL('**/jobs/new');
  await page.locator('#field-recipe').waitFor();
  if (o.recipe) {
    await tabTo(page, '#field-recipe');
    await page.keyboard.type(o.recipe);
  }
  await tabTo(page, '#field-quantity');
  await page.keyboard.press('Control+A');
  await page.keyboard.type('many');
  await tabTo(page, 'button[type=submit].primary');
  await page.keyboard.press('Enter');
  await page.locator('#field-quantity-error').waitFor();
  must((await page.locator('#field-quantity').getAttribute('aria-invalid')) === 'true', 'the wrong field is not marked');
  await tabTo(page, '#field-quantity');
  await page.keyboard.press('Control+A');
  await page.keyboard.type('2');
  await tabTo(page, 'button[type=submit].primary');
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/jobs\/[0-9a-f-]{36}$/);
  await page.getByRole('heading', { level: 1, name: /^2 × / }).waitFor();
}

async function wallByKeyboard(page, url) {
  await page.goto(url);
  await page.locator('.card').first().waitFor();
  await tabTo(page, '.card');
  const first = await page.evaluate(() => document.activeElement.dataset.station);
  const count = await page.locator('.card').count();
  await page.keyboard.press('ArrowRight');
  const second = await page.evaluate(() => document.activeElement.dataset.station);
  must(count < 2 || second !== first, 'the right arrow does not move');
  await page.keyboard.press('End');
  await page.keyboard.press('Home');
  must((await page.evaluate(() => document.activeElement.dataset.station)) === first, 'Home does not come back');
  must(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle !== 'none'), 'the focus is invisible');
  await page.keyboard.press('Enter');
  await page.waitForURL(`**/stations/${first}`);
  await page.getByRole('heading', { level: 1, name: `Station ${first}` }).waitFor();
  await page.keyboard.press('/');
  must(await focusIs(page, '#search'), '/ does not lead to the search');
  await page.keyboard.press('Escape');
  await page.keyboard.press('?');
  await page.getByRole('dialog').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
}

/** Returns the id of the run that asked. */
async function answerPrompt(page, url) {
  await page.goto(url);
  const asking = page.locator('.card:has(.prompt-choices)').first();

  await asking.waitFor({ timeout: RUN_DEADLINE });
  const id = await asking.getAttribute('data-station');
  const { prompt, run } = (await stationsOf(page)).find((s) => s.id === id);
  await shot(page, 'prompt');
  await asking.locator('.prompt-choices button').first().click();
  await page.waitForFunction(
    ([station, text]) => !document.querySelector(`[data-station="${station}"] .prompt-text`)?.textContent.includes(text),
    [id, prompt.text],
  );
  return run.id;
}

async function runFinished(page, id) {
  for (const begun = Date.now(); Date.now() - begun < RUN_DEADLINE; await page.waitForTimeout(200)) {
    const { body } = await api(page, 'GET', `/runs/${id}`);
    if (body.state === 'finished') return body;
  }
  throw new Error(`run ${id} does not end`);
}

/** A step says something and goes on: it is on the pages before the step ends. */
async function logGrows(page, url, id) {
  const { body: run } = await api(page, 'GET', `/runs/${id}`);

  await page.goto(`${url}/stations/${run.station}`);
  await page.locator('.log-tail .log-text', { hasText: 'erasing the chip' }).waitFor();
  await page.goto(`${url}/runs/${id}`);
  await page.locator('.log .log-text', { hasText: 'erasing the chip' }).waitFor();
  must((await api(page, 'GET', `/runs/${id}`)).body.state === 'open', 'the run has ended already');
  await page.evaluate(() => { window.notReloaded = true; });
  await shot(page, 'log-live');
  fs.writeFileSync(o.gate, '');
  await page.locator('.log .log-text', { hasText: /^done$/ }).waitFor();
  must(await page.evaluate(() => window.notReloaded), 'the page was loaded again');
}

async function runPage(page, url, id) {
  const run = await runFinished(page, id);
  const steps = (await api(page, 'GET', `/runs/${id}/steps`)).body.items;

  await page.goto(`${url}/runs/${id}`);
  await page.locator('.steps .step').first().waitFor();
  must((await page.locator('.steps .step').count()) === steps.length, 'not every step is shown');
  for (const s of steps) await page.locator('.steps .step-name', { hasText: s.id }).first().waitFor();
  await page.locator('.page-aside .badge', { hasText: new RegExp(run.outcome, 'i') }).waitFor();
  await page.locator('.log li').first().waitFor();
  await shot(page, 'run', true);
  await page.goto(`${url}/runs/${id}/report`);
  await page.locator('.sheet-outcome').waitFor();
  must((await page.locator('.sheet').innerText()).includes(id), 'the report does not name its run');
  await shot(page, 'report', true);
  if (run.serial) {
    await page.locator('#search').fill(run.serial);
    await page.keyboard.press('Enter');
    await page.waitForURL(`**/units/${run.serial}`);
  }
  await page.locator('#search').fill('no-such-serial');
  await page.keyboard.press('Enter');
  await page.getByText('Nothing is known of').waitFor();
}

/** What happened while the wire was cut is on the wall when it is whole again. */
async function reconnects(page, at, wire) {
  const act = async (id, verb) => {
    const r = await fetch(`${at.server}/api/v1/stations/${id}/actions/${verb}`, { method: 'POST', headers: { Authorization: `Bearer ${at.token}` } });
    must(r.ok, `${verb} gives ${r.status}`);
  };

  await page.goto(at.url);
  await page.locator('.link-live').waitFor();
  const { id } = (await stationsOf(page)).find((x) => LIVELY.includes(x.state));
  wire.cut();
  await page.locator('.link-lost').waitFor();
  await act(id, 'disable');
  wire.mend();
  await page.locator('.link-live').waitFor();
  await card(page, id).getByText('Disabled', { exact: true }).waitFor();
  await act(id, 'enable');
  await page.waitForFunction((x) => !document.querySelector(`[data-station="${x}"]`).matches('.state-disabled'), id);
}

const isStale = (page) => page.waitForFunction(() => document.documentElement.classList.contains('stale'));
const isLive = (page) =>
  page.waitForFunction(() => document.querySelector('.link-live') && !document.documentElement.classList.contains('stale'));

/** Nothing comes and nothing ends: the page has to find out by itself. */
async function hungLooksDead(page, at, wire) {
  const elapsed = () => page.evaluate(() => document.querySelector('.elapsed')?.textContent);

  await page.goto(at.url);
  await isLive(page);
  wire.freeze();
  await isStale(page);
  await page.getByText(/No data since \d\d:\d\d:\d\d/).waitFor();
  const stood = await elapsed();
  const since = await page.locator('.stale-banner b').innerText();
  must((await page.evaluate(() => getComputedStyle(document.querySelector('main')).filter)).includes('grayscale'), 'the page is not grey');
  await shot(page, 'stale');
  // Two ticks of the page's clock later all is as it was.
  await page.evaluate(() => new Promise((done) => setTimeout(done, 2100)));
  must((await elapsed()) === stood, 'a clock goes on');
  must((await page.locator('.stale-banner b').innerText()) === since, 'the age of the page changes');
  wire.mend();
  await isLive(page);
  must((await page.locator('.stale-banner').count()) === 0, 'the banner stays');
}

/** The session, and what the page knew, outlive a restart of provd. */
async function restartKeepsSession(page, at) {
  await page.goto(`${at.url}/runs`);
  await isLive(page);
  await page.evaluate(() => { window.notReloaded = true; });
  must((await fetch(o.restart, { method: 'POST' })).ok, 'no restart');
  await isLive(page);
  must((await api(page, 'GET', '/session')).status === 200, 'the session has ended');
  must(page.url().endsWith('/runs') && (await page.evaluate(() => window.notReloaded)), 'the page did not stay');
}

/** Disables a station from outside, and waits until every tab shows it; then enables it again. */
async function changeReaches(pages, at) {
  const act = async (id, verb) => {
    const r = await fetch(`${at.server}/api/v1/stations/${id}/actions/${verb}`, { method: 'POST', headers: { Authorization: `Bearer ${at.token}` } });
    must(r.ok, `${verb} gives ${r.status}`);
  };
  const { id } = (await stationsOf(pages[0])).find((x) => LIVELY.includes(x.state));
  const shows = (off) => Promise.all(pages.map((p) => p.waitForFunction(
    ([x, want]) => document.querySelector(`[data-station="${x}"]`)?.matches('.state-disabled') === want, [id, off]))); // prettier-ignore

  await act(id, 'disable');
  await shows(true);
  await act(id, 'enable');
  await shows(false);
}

async function streamsAre(wire, n) {
  for (const begun = Date.now(); wire.streams() !== n; await new Promise((done) => setTimeout(done, 50)))
    must(Date.now() - begun < DEADLINE, `${wire.streams()} streams are open, not ${n}`);
}

/** More tabs than a browser has connections to a host: all are live over one stream, whoever of them goes. */
async function manyTabs(browser, state, at, wire, prepare) {
  await streamsAre(wire, 0);
  const first = await openPage(browser, { storageState: state });
  const context = first.context();
  const pages = [first];

  await context.addInitScript(prepare);
  while (pages.length < 8) pages.push(await context.newPage());
  await Promise.all(pages.map(async (p) => {
    p.setDefaultTimeout(DEADLINE);
    await p.goto(at.url);
    await p.locator('.card').first().waitFor();
    await isLive(p);
  })); // prettier-ignore
  await streamsAre(wire, 1);
  await changeReaches(pages, at);
  for (let i = 0; i < 2; i++) {
    await pages.shift().close();
    await changeReaches(pages, at);
    await streamsAre(wire, 1);
  }
  await context.close();
}

/** Walls of a mock server: each is one screen of equal cards, and nothing is cut that cannot be read. */
async function wallFits(browser, n, more = []) {
  const served = await startMock(o.work, n, more);
  const page = await openPage(browser, { viewport: { width: 1920, height: 1080 } });

  try {
    await page.goto(`${served.url}/#token=${served.token}`);
    await isLive(page);
    await page.locator('.wall.fits').waitFor();
    if (more.length) {
      await page.locator('.banner.hold').nth(1).waitFor();
      await page.locator('.banner.insecure').waitFor();
      await page.waitForFunction(() => document.documentElement.scrollHeight <= innerHeight);
      for (const path of ['/jobs', '/events', '/stations/A1']) {
        await page.goto(served.url + path);
        await page.getByText('Put the later database back').waitFor();
      }
      await page.goto(served.url);
      await page.locator('.wall.fits').waitFor();
      await page.locator('.banner.hold').nth(1).waitFor();
      await page.waitForFunction(() => document.documentElement.scrollHeight <= innerHeight);
      none(await page.evaluate(auditContrast), 'contrast of the banners');
    } else {
      await settles(page, auditWall, `${n} stations`);
    }
    await settles(page, auditClipped, `text of ${n} stations`);
    await shot(page, `wall-${n}${more.length ? '-held' : ''}`);
    for (const [width, height] of [[1366, 768], [390, 844]]) { // prettier-ignore
      await page.setViewportSize({ width, height });
      await page.waitForFunction((w) => document.querySelector('.wall').getBoundingClientRect().width <= w, width);
      await settles(page, scrollsSideways, `${n} stations at ${width}`);
      await settles(page, auditClipped, `text of ${n} stations at ${width}`);
    }
  } finally {
    await page.context().close();
    served.stop();
  }
}

/** What needs a person comes first, is counted apart and can be shown alone; a failed unit is not a free place. */
async function problemsFirst(page, url) {
  await page.goto(url);
  await isLive(page);
  const rank = (s) =>
    ['fault', 'quarantined'].indexOf(s.state) >= 0 ? ['fault', 'quarantined'].indexOf(s.state)
    : s.state === 'done' && s.last && s.last.outcome !== 'passed' ? 2
    : s.interlocks.some((i) => i.state === 'due' && i.blocks) && ['empty', 'ready'].includes(s.state) ? 1
    : s.prompt ? 3
    : ['running', 'settling'].includes(s.state) ? 4
    : { done: 5, ready: 6, empty: 7, disabled: 8 }[s.state]; // prettier-ignore
  const shownIds = () => page.locator('.card').evaluateAll((all) => all.map((c) => c.dataset.station));
  const stations = await stationsOf(page);
  const byId = new Map(stations.map((s) => [s.id, s]));
  const ranks = (await shownIds()).map((id) => rank(byId.get(id)));
  const failed = stations.filter((s) => rank(s) === 2).map((s) => s.id);

  must(ranks.every((r, i) => !i || ranks[i - 1] <= r), `the order is ${ranks}`);
  must(failed.length > 0, 'no unit has failed');
  must((await page.locator('.total', { hasText: 'Failed, take out' }).locator('b').innerText()) === String(failed.length), 'failed units are counted wrong');
  await page.locator('.total', { hasText: 'Free' }).click();
  must((await shownIds()).every((id) => byId.get(id).state === 'empty'), 'a place that is taken is called free');
  await page.locator('.total', { hasText: 'Failed, take out' }).click();
  must(String(await shownIds()) === String(failed), 'the filter shows others');
  await page.locator('.total', { hasText: 'Failed, take out' }).click();
  await page.getByRole('button', { name: 'Problems first' }).click();
  must(String(await shownIds()) === String(stations.map((s) => s.id)), 'by place is another order');
  await page.getByRole('button', { name: 'By place' }).click();
}

async function sessionEnds(page, url) {
  await page.goto(`${url}/runs`);
  await page.locator('.link-live').waitFor();
  await page.context().clearCookies();
  await page.getByRole('link', { name: 'Units' }).click();
  await page.waitForURL('**/login?next=%2Funits');
}

/** An order is held, released and completed on its page: where the API needs a reason it is asked, and stays to be read. */
async function orderHeld(page, url) {
  await page.goto(url);
  await isLive(page);
  const like = (await api(page, 'GET', '/jobs?limit=1')).body.items[0];
  const { id } = (await stationsOf(page)).find((s) => LIVELY.includes(s.state));
  const button = (verb) => page.getByRole('button', { name: `${verb} job`, exact: true });
  const state = (word) => page.locator('.page-aside .badge', { hasText: word }).waitFor();
  const withReason = async (verb, reason) => {
    await button(verb).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').getByRole('button', { name: verb }).click();
    must(await page.getByRole('dialog').isVisible(), `${verb} was done without a reason`);
    await page.getByLabel('Reason').fill(reason);
    await page.keyboard.press('Enter');
  };

  // The only station that may take a unit for it is disabled.
  must((await api(page, 'POST', `/stations/${id}/actions/disable`)).status < 300, 'disable is refused');
  const order = { recipe: `${like.recipe}@${like.version}`, params: like.params, quantity: 1, priority: 0, stations: [id] };
  const { body: job } = await api(page, 'POST', '/jobs', order);
  await page.goto(`${url}/jobs/${job.id}`);
  await state('Queued');
  must((await button('Abort').count()) + (await button('Stop').count()) === 0, 'what has not begun can be aborted or stopped');
  await withReason('Hold', 'wrong housings came');
  await state('Held');
  await page.getByText('wrong housings came').waitFor();
  await page.waitForFunction(() => document.activeElement?.matches('h1, .action button'));
  await page.goto(`${url}/shift`);
  await page.getByRole('region', { name: 'Held back' }).getByText(/^by .+: wrong housings came$/).waitFor();
  await page.goto(`${url}/jobs`);
  await page.locator('tr', { has: page.locator(`a[href="/jobs/${job.id}"]`) }).getByText('Held').waitFor();
  await page.goto(`${url}/jobs/${job.id}`);
  await button('Release').click();
  await state('Queued');
  await withReason('Complete', 'the customer takes less');
  await state('Ended short');
  await page.getByText('the customer takes less').waitFor();
  must((await page.locator('.page-aside .action').count()) === 0, 'what has ended can be changed');
  must((await api(page, 'POST', `/stations/${id}/actions/enable`)).status < 300, 'enable is refused');
}

async function pagesOf(page) {
  const { items: runs } = (await api(page, 'GET', '/runs?limit=1')).body;
  const { items: jobs } = (await api(page, 'GET', '/jobs?limit=1')).body;
  const { items: recipes } = (await api(page, 'GET', '/recipes')).body;
  const stations = await stationsOf(page);
  const all = { wall: '/', shift: '/shift', jobs: '/jobs', 'job-new': '/jobs/new', runs: '/runs', units: '/units', pools: '/pools', quality: '/quality', recall: '/recall', archives: '/archives', recipes: '/recipes', ports: '/ports', events: '/events', webhooks: '/webhooks', station: `/stations/${stations[0].id}` }; // prettier-ignore

  if (runs[0]) Object.assign(all, { run: `/runs/${runs[0].id}`, report: `/runs/${runs[0].id}/report` });
  if (runs[0]?.serial) all.unit = `/units/${runs[0].serial}`;
  const { items: pools } = (await api(page, 'GET', '/pools')).body;
  if (pools.length) all.pool = `/pools/${pools.at(-1).id}`;
  const { items: hooks } = (await api(page, 'GET', '/webhooks')).body;
  if (hooks.length) all.webhook = `/webhooks/${hooks.at(-1).id}`;
  const { items: measured } = (await api(page, 'GET', '/reports/measurements')).body;
  if (measured.length) all.measurement = `/quality/measurement?${new URLSearchParams(pick(measured[0]))}`;
  if (jobs[0]) all.job = `/jobs/${jobs[0].id}`;
  if (recipes[0]) all.recipe = `/recipes/${recipes[0].name}/${recipes[0].version}`;
  return all;
}

async function settled(page) {
  await page.locator('.link-live').waitFor();
  await page.locator('h1').first().waitFor({ state: 'attached' });
  await page.waitForFunction(() => !document.querySelector('main .loading'));
}

/** Of several things with one name there is a list, for which the keyboard is enough. */
async function searchSeveral(page, url) {
  await page.keyboard.press('/');
  await page.keyboard.type('WO-4711');
  await page.keyboard.press('Enter');
  await page.locator('.search-found li').nth(1).waitFor();
  none(await axe(page, undefined, '.search-found'), 'what was found');
  await shot(page, 'search');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/jobs\/[0-9a-f-]{36}$/);
  must((await page.locator('.search-found').count()) === 0, 'the list stays');
  const station = (await stationsOf(page))[0].id;
  await page.locator('#search').fill(station.toLowerCase());
  await page.keyboard.press('Enter');
  await page.waitForURL(`${url}/stations/${station}`);
}

/** Each pool is there with what is left of it, and a pool with its gaps and why. */
async function poolsPage(page, url) {
  const { items: pools } = (await api(page, 'GET', '/pools')).body;

  await page.goto(`${url}/pools`);
  must(pools.length > 0, 'the line has no pool');
  for (const p of pools) {
    const row = page.locator('tbody tr', { has: page.getByRole('link', { name: p.id, exact: true }) });
    must((await row.innerText()).includes(whole(p.remaining)), `${p.id}: what is left of it is not shown`);
  }
  const { id } = pools.at(-1);
  const { items: gaps } = (await api(page, 'GET', `/pools/${id}/gaps`)).body;

  await page.getByRole('link', { name: id, exact: true }).click();
  await page.waitForURL(`**/pools/${id}`);
  await page.getByText('Days left').waitFor();
  await page.waitForFunction((n) => document.querySelectorAll('main table tbody tr').length === n, gaps.length);
  for (const g of gaps) must((await page.locator('main table').innerText()).includes(g.why), `the gap ${g.first} has no reason`);
  const csv = await page.getByRole('link', { name: 'Its values as CSV' }).getAttribute('href');
  must(csv === `/api/v1/pools/${id}/values.csv?limit=1000`, `the CSV is ${csv}`);
}

/** A receiver that takes nothing says why, and what was put aside is sent again by a supervisor. */
async function webhooksPage(page, url) {
  const { items: hooks } = (await api(page, 'GET', '/webhooks')).body;

  await page.goto(`${url}/events`);
  await page.locator('main').getByRole('link', { name: 'Webhooks', exact: true }).click();
  await page.waitForURL('**/webhooks');
  for (const w of hooks) {
    const row = page.locator('tbody tr', { has: page.getByRole('link', { name: w.url, exact: true }) });
    const text = await row.innerText();
    must(text.includes(whole(w.done)) && text.includes(w.last_error || '–'), `${w.url}: ${text}`);
  }
  const bad = hooks.find((w) => w.dead);
  await page.getByRole('link', { name: bad.url, exact: true }).click();
  await page.getByText('Does not take').waitFor();
  const aside = page.getByRole('region', { name: 'What was put aside' });
  must((await aside.innerText()).includes('unit-changed'), 'what was put aside is not shown');
  await aside.getByRole('button', { name: /^Send again: \d+$/ }).click();
  await page.getByText('Nothing was put aside.').waitFor();
  must((await page.getByRole('region', { name: 'What waits' }).innerText()).includes('unit-changed'), 'it does not wait again');
}

/** Who may not release has no button for it. */
async function webhooksOfMes(page, url) {
  await page.goto(`${url}/webhooks/hook-mes`);
  await page.getByRole('region', { name: 'What was put aside' }).waitFor();
  must((await page.getByRole('button', { name: /^Send again: \d+$/ }).count()) === 0, 'a token of a MES may redeliver');
}

/** As the page writes them for this browser, whose language is English. */
const whole = (n) => n.toLocaleString('en-US');
const percent = (v) => v.toLocaleString('en-US', { style: 'percent', minimumFractionDigits: 1 });
const pick = ({ recipe, step, name }) => ({ recipe, step, name });

/** The numbers of the reports, a station that is worse than chance allows, and from a cause to its runs. */
async function qualityPage(page, url) {
  await page.goto(`${url}/quality?span=30d`);
  await page.locator('.chart canvas').waitFor();
  const y = (await api(page, 'GET', '/reports/yield?by=station')).body;
  const tiles = await page.locator('.tiles').innerText();

  for (const v of [y.first_pass_yield, y.final_yield, y.run_yield]) must(tiles.includes(percent(v)), `the yield ${v} is not shown`);
  must(tiles.includes(whole(y.units)), 'the units are not shown');
  const worse = y.groups.find((g) => g.verdict === 'worse');
  if (worse) {
    const row = page.locator('tbody tr', { has: page.getByRole('link', { name: worse.station, exact: true }) });
    must((await row.innerText()).includes('Worse'), `${worse.station} is worse, and is not marked`);
  }
  const { items: causes } = (await api(page, 'GET', '/reports/pareto?outcome=failed')).body;
  const { items: measured } = (await api(page, 'GET', '/reports/measurements')).body;
  if (measured.length) {
    await page.getByRole('link', { name: measured[0].name, exact: true }).first().click();
    await page.locator('.chart canvas').waitFor();
    const c = (await api(page, 'GET', `/reports/capability?${new URLSearchParams(pick(measured[0]))}`)).body;
    must((await page.locator('.facts').innerText()).includes(c.reason || c.cpk.toFixed(2)), 'neither Cpk nor why there is none is shown');
    await page.goBack();
  }
  if (causes.length) {
    await page.getByRole('link', { name: causes[0].code, exact: true }).first().click();
    await page.waitForURL('**/runs?**');
    must(page.url().includes(`code=${causes[0].code}`), `the cause leads to ${page.url()}`);
  }
}

/** What the shift has made and is to make, who is waited for, and from a bar to its runs. */
async function shiftPage(page, url) {
  await page.goto(`${url}/shift`);
  await page.locator('.chart canvas').nth(1).waitFor();
  const s = (await api(page, 'GET', '/reports/shift')).body;
  const calling = await page.evaluate(async () => (await (await fetch('/api/v1/stations')).json()).items.filter((v) => v.prompt || ['fault', 'quarantined'].includes(v.state)).map((v) => v.id));
  const tiles = await page.locator('.tiles').innerText();

  must(tiles.includes(`${whole(s.made)} / ${whole(s.plan)}`), `the tiles say ${tiles}`);
  for (const id of calling) await page.getByRole('region', { name: 'Who is waited for' }).getByRole('link', { name: id, exact: true }).waitFor();
  for (const j of s.jobs) must((await page.getByRole('region', { name: 'Orders of the shift' }).innerText()).includes(`${whole(j.made)} / ${whole(j.due)}`), 'an order is missing');
  const { items: causes } = (await api(page, 'GET', `/reports/pareto?outcome=failed&from=${s.from}&to=${s.to}`)).body;
  if (!causes.length) return;
  await page.locator('a.stack').first().click();
  await page.waitForURL('**/runs?**');
  must(page.url().includes(`code=${causes[0].code}`) && page.url().includes('from='), `the bar leads to ${page.url()}`);
}

/** From what units have in common to the units. */
async function recallPage(page, url) {
  const { items: traits } = (await api(page, 'GET', '/recall/traits')).body;
  const trait = traits.find((t) => t.kind === 'artifact');

  must(trait, 'no artifact was used');
  await page.goto(`${url}/recall`);
  await page.getByLabel('Artifact').selectOption(trait.value);
  await page.locator('main table tbody tr').first().waitFor();
  const { items } = (await api(page, 'GET', `/recall?artifact=${trait.value}`)).body;
  must((await page.locator('main table tbody tr').count()) === items.length, 'not all runs are shown');
  for (const r of items) must((await page.locator('main table').innerText()).includes(r.serial || r.station), `${r.serial} is not shown`);
}

/** What is known of a suspect unit; a verdict on it needs a reason. */
async function suspectUnit(page, url) {
  const { items: units } = (await api(page, 'GET', '/units')).body;
  const unit = units.find((u) => u.state === 'suspect');

  must(unit, 'no unit is suspect');
  await page.goto(`${url}/units/${unit.serial}`);
  await page.getByText('What this unit holds is not certain').waitFor();
  must((await page.locator('.note').innerText()).includes('readout protection'), 'the open act is not named');
  must((await page.getByRole('region', { name: 'Values' }).innerText()).includes('AC:DE:48:00:00:01'), 'its address is not shown');
  must((await page.getByRole('region', { name: 'Journal' }).innerText()).includes('bootloader lock'), 'its journal is not shown');
  const certificates = await page.getByRole('region', { name: 'Certificates' }).innerText();
  must(certificates.includes(`serialNumber=${unit.serial}`), 'the subject of its certificate is not shown');
  must(certificates.includes('provd ended before it was signed'), 'it does not say why there is no second one');
  must((await page.getByRole('link', { name: 'PEM' }).getAttribute('download')) === `${unit.serial}-idevid.pem`, 'its certificate has no file');
  await page.getByRole('button', { name: `Release unit ${unit.serial}` }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Release' }).click();
  must(await dialog.isVisible(), 'a verdict was taken without a reason');
  await dialog.getByLabel('Reason').fill('read the option bytes: level 0');
  await dialog.getByRole('button', { name: 'Release' }).click();
  await page.getByText('What this unit holds is not certain').waitFor({ state: 'detached' });
  must((await page.getByRole('button', { name: /^Release/ }).count()) === 0, 'a released unit can be released');
}

/** What keeps a station from the next unit is on its card and its page, and a supervisor releases it with a reason. */
async function interlocks(page, url) {
  const locked = (await stationsOf(page)).find((s) => s.interlocks.some((i) => i.state === 'due' && i.blocks));

  must(locked, 'no station has an interlock that is due');
  await page.goto(url);
  await isLive(page);
  const text = await card(page, locked.id).innerText();
  must(text.includes('Golden unit: due') && text.includes('Calibration: soon due'), `the card says ${text}`);
  must((await page.locator('.total', { hasText: 'Held' }).locator('b').innerText()) === '1', 'it is not counted');
  await page.goto(`${url}/stations/${locked.id}`);
  const table = page.getByRole('region', { name: 'Interlocks' });
  must((await table.innerText()).includes('no golden unit has been run on this fixture'), 'it does not say why');
  must((await page.getByRole('button', { name: /^Release for/ }).count()) === 2, 'what is not due can be released');
  await page.getByRole('button', { name: `Release for 1 h: Golden unit of station ${locked.id}` }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Release' }).click();
  must(await dialog.isVisible(), 'it was released without a reason');
  await dialog.getByLabel('Reason').fill('the golden unit is on its way');
  await dialog.getByRole('button', { name: 'Release' }).click();
  await page.getByText('Released by admin: the golden unit is on its way').waitFor();
  must((await page.getByText('Units since its last service').count()) === 1, 'its fixture is not shown');
}

const WCAG = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];

/** What axe-core finds against WCAG 2.2 AA: {selector: sentence}. Some rules only, where they are named. */
async function axe(page, rules, within = 'html') {
  if (!(await page.evaluate(() => Boolean(window.axe)))) await page.evaluate(axeSource(path.join(o.work, 'driver')));
  return page.evaluate(
    async ([values, only, where]) => {
      const { violations } = await window.axe.run(where, {
        runOnly: only ? { type: 'rule', values: only } : { type: 'tag', values },
        resultTypes: ['violations'],
      });

      return violations.flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.target.join(' ')}: ${n.failureSummary.split('\n').slice(1).join(' ').slice(0, 200)}`));
    },
    [WCAG, rules, within],
  );
}

/** As axe(), of a page that is still laying itself out for another window: what is found again and again counts. */
async function axeSettled(page, rules) {
  let found = await axe(page, rules);

  for (let i = 0; found.length && i < 10; i += 1) {
    await page.waitForTimeout(500);
    found = await axe(page, rules);
  }
  return found;
}

const THEMES = ['light', 'dark', 'contrast'];
const SIZES = [[1920, 1080], [1024, 768], [390, 844]]; // prettier-ignore

/**
 * Every page in these themes and at three sizes: nothing against WCAG 2.2 AA, nothing too wide. The first theme gets all
 * rules, the others those of colours. look(name, at): is called on each page as it has come.
 */
async function lookAtAll(page, url, themes = THEMES, look = null) {
  const found = [];
  const note = (list, where) => found.push(...list.map((one) => `${where}: ${one}`));
  const put = (theme) => page.evaluate((to) => { document.documentElement.dataset.theme = to; }, theme);

  for (const [name, at] of Object.entries(await pagesOf(page))) {
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.goto(url + at);
    await settled(page);
    await look?.(name, at);
    note(await page.evaluate(auditNames), name);
    for (const theme of themes) {
      await put(theme);
      note(await axe(page, theme === themes[0] ? undefined : ['color-contrast']), `${name} (${theme})`);
      await shot(page, `${name}-${theme}`);
    }
    await page.evaluate(() => delete document.documentElement.dataset.theme);
    for (const [width, height] of SIZES) {
      await page.setViewportSize({ width, height });
      await settles(page, scrollsSideways, `${name} at ${width} scrolls sideways`);
      await shot(page, `${name}-${width}`);
    }
    note(await axeSettled(page, ['color-contrast', 'target-size', 'scrollable-region-focusable']), `${name} (390)`);
  }
  none(found, 'WCAG 2.2 AA');
  if (themes.length > 2) await tonesContrast(page, url);
}

/** Also the tones that no page shows now, in what the browser asks for and in what was chosen. */
async function tonesContrast(page, url) {
  const backgrounds = new Set();

  await page.goto(url);
  await settled(page);
  await page.evaluate(auditTones);
  for (const media of [{ colorScheme: 'light' }, { colorScheme: 'dark' }, { contrast: 'more' }]) {
    await page.emulateMedia({ colorScheme: 'light', contrast: 'no-preference', ...media });
    none(await page.evaluate(auditContrast), `contrast of the tones ${JSON.stringify(media)}`);
    backgrounds.add(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
  }
  must(backgrounds.size === 3, `the browser's wishes make ${backgrounds.size} themes`);
  await page.emulateMedia({ forcedColors: 'active', contrast: 'no-preference' });
  await page.goto(url);
  await settled(page);
  await shot(page, 'wall-forced-colors');
  none(await axe(page), 'the wall in forced colours');
}

const WEIGHT_MAX = 120 * 1024;

/** What a page with nothing in the cache takes, as provd sends it: gzipped. {weigh(page, url, name, at), judge()}. */
function scales() {
  const sizes = new Map();
  const pages = [];
  const one = async (name) => {
    if (!sizes.has(name)) sizes.set(name, gzipSync(Buffer.from(await (await fetch(name)).arrayBuffer()), { level: 9 }).length);
    return sizes.get(name);
  };
  const weigh = async (page, url, name, at) => {
    const assets = await page.evaluate(() => performance.getEntriesByType('resource').map((r) => r.name).filter((n) => n.includes('/assets/')));
    let sum = await one(url + at);
    for (const asset of new Set(assets)) sum += await one(asset);
    must(assets.length > 10, `${name} has only ${assets.length} assets`);
    pages.push([name, sum]);
  };
  const judge = () => {
    const [name, sum] = pages.sort((a, b) => b[1] - a[1])[0] || [];
    must(pages.length > 15, `${pages.length} pages were weighed: all that the check before this one looks at are to be`);
    must(sum <= WEIGHT_MAX, `${name} weighs ${sum} bytes, more than ${WEIGHT_MAX}`);
    console.log(`        the heaviest page is ${name}: ${Math.round(sum / 1024)} KiB`);
  };

  return { weigh, judge };
}

async function themeIsKept(page, url) {
  await page.goto(url);
  await page.locator('.link-live').waitFor();
  const before = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await page.keyboard.press('t');
  const after = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  must(before !== after, 'the theme does not change');
  await page.reload();
  await page.locator('.link-live').waitFor();
  must((await page.evaluate(() => getComputedStyle(document.body).backgroundColor)) === after, 'the theme is forgotten');
  await page.keyboard.press('t');
}

const messagesOf = (language) => JSON.parse(fs.readFileSync(new URL(`../../../web/src/lang/${language}.json`, import.meta.url), 'utf8'));
const LOCALES = { en: 'en-GB', de: 'de-AT', es: 'es-MX', vi: 'vi-VN', zh: 'zh-CN' };

/** A page of a mock server with n stations, logged in; the server goes with it. */
async function withMock(browser, n, f, options = {}, more = [], prepare = null) {
  const served = await startMock(o.work, n, more);
  const page = await openPage(browser, options);
  if (prepare) await page.addInitScript(prepare);

  try {
    await page.goto(`${served.url}/#token=${served.token}`);
    await isLive(page);
    await f(page, served.url);
  } finally {
    await page.context().close();
    served.stop();
  }
}

/** Speaks the browser's language; another one is chosen and kept. Nothing is too long for its place. */
async function speaks(page, url, language) {
  const words = messagesOf(language);
  const other = messagesOf(language === 'es' ? 'vi' : 'es');
  const locale = LOCALES[language];
  const heading = (name) => page.getByRole('heading', { level: 1, name, exact: true }).waitFor();

  await page.locator('.wall.fits').waitFor();
  must((await page.locator('html').getAttribute('lang')) === language, `${locale} is not answered in ${language}`);
  await shot(page, `wall-${language}`);
  await settles(page, auditClipped, `text of the wall in ${language}`);
  await page.setViewportSize({ width: 1024, height: 768 });
  await page.waitForFunction(() => document.querySelector('.wall').getBoundingClientRect().width <= 1024);
  await settles(page, auditClipped, `text of the wall in ${language} at 1024`);
  for (const [name, path] of Object.entries(await pagesOf(page))) {
    if (language !== 'de' && !['wall', 'shift'].includes(name)) continue; // German is the longest
    await page.setViewportSize({ width: 390, height: 844 });
    await page.goto(url + path);
    await settled(page);
    await settles(page, scrollsSideways, `${name} in ${language} at 390`);
    await settles(page, auditNarrow, `${name} in ${language} at 390`);
    await shot(page, `${name}-390-${language}`);
  }
  await page.setViewportSize({ width: 1024, height: 768 });
  await page.goto(`${url}/runs`);
  await heading(words.runs);
  const at = new Date((await api(page, 'GET', '/runs?limit=1')).body.items[0].started_at);
  const time = at.toLocaleTimeString(locale, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
  await page.locator('main table').getByText(time).first().waitFor();
  await page.getByRole('button', { name: words.settings }).click();
  await page.getByLabel(words.language).selectOption({ label: language === 'es' ? 'Tiếng Việt' : 'Español' });
  await heading(other.runs);
  await page.reload();
  await heading(other.runs);
}

/** A kiosk takes a token that only reads; the wall is its whole screen, legible from afar, however many stations. */
async function kioskWall(browser, n) {
  const served = await startMock(o.work, n, ['--role', 'viewer']);
  const page = await openPage(browser, { viewport: { width: 1920, height: 1080 } });

  try {
    await page.goto(`${served.url}/?kiosk#token=${served.token}`);
    await page.locator('.wall.far.fits').waitFor();
    await page.waitForFunction((all) => document.querySelectorAll('.tile').length === all, n);
    must((await page.locator('nav, button, a, input').count()) === 0, 'a kiosk has something to press');
    must(!page.url().includes('token'), 'the token stays in the address');
    await page.waitForFunction(() => document.documentElement.scrollHeight <= innerHeight);
    const px = await page.locator('.tile-id').first().evaluate((el) => parseFloat(getComputedStyle(el).fontSize));
    must(px >= 26, `the names of ${n} stations are ${px} px high`);
    none(await axe(page), `kiosk of ${n}`);
    for (const [width, height] of SIZES) {
      await page.setViewportSize({ width, height });
      await settles(page, scrollsSideways, `kiosk of ${n} at ${width}`);
      await shot(page, `kiosk-${n}-${width}`);
    }
  } finally {
    await page.context().close();
    served.stop();
  }
}

/** With nobody there: after a session that ended, and after an upgrade of provd, which gives another page. */
async function kioskComesBack(browser) {
  const first = await startMock(o.work, 8, ['--role', 'viewer']);
  const page = await openPage(browser);
  let second = null;

  try {
    await page.goto(`${first.url}/?kiosk#token=${first.token}`);
    await page.locator('.tile').first().waitFor();
    await page.evaluate(() => { window.notReloaded = true; });
    first.stop();
    await isStale(page);
    second = await startMock(o.work, 8, ['--role', 'viewer', '--port', new URL(first.url).port, '--dist', buildOther(o.work)]);
    await untilTrue(page, () => !window.notReloaded && document.querySelectorAll('.tile').length === 8, 'the page is the old one');
    must((await page.locator('link[rel=stylesheet]').getAttribute('href')).startsWith('/assets/'), 'there is no style');
    await page.context().clearCookies();
    await page.reload();
    await page.locator('.tile').first().waitFor();
  } finally {
    await page.context().close();
    first.stop();
    second?.stop();
  }
}

async function kioskRefuses(browser) {
  const served = await startMock(o.work, 8);
  const page = await openPage(browser);

  try {
    await page.goto(`${served.url}/?kiosk`);
    await page.getByText('This screen has no token yet').waitFor();
    await page.goto('about:blank');
    await page.goto(`${served.url}/?kiosk#token=${served.token}`);
    await page.getByText('The token has the role admin').waitFor();
    must(!(await page.evaluate(() => Object.values(localStorage).some((v) => v.startsWith('pvd_')))), 'such a token is kept');
  } finally {
    await page.context().close();
    served.stop();
  }
}

/** Tones and the verdict over the screen are off, then by choice. */
async function soundAndVerdict(page, url) {
  const answerNo = async () => {
    const s = (await stationsOf(page)).find((v) => v.prompt?.kind === 'confirm');

    must((await api(page, 'POST', `/prompts/${s.prompt.id}/answer`, { answer: 'no' })).status === 200, 'the answer is refused');
    return s.id;
  };
  const tones = () => page.evaluate(() => window.tones);
  const asking = (await stationsOf(page)).filter((v) => v.prompt?.kind === 'confirm');

  must(asking.length >= 2, 'too few stations ask');
  const silent = await answerNo();
  await page.waitForFunction((id) => document.querySelector(`[data-station="${id}"]`).matches('.tone-fail'), silent);
  must((await tones()) === 0, 'it sounds unasked');
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByLabel('Sound').check();
  await page.getByLabel('Verdict over the whole screen').check();
  must((await tones()) === 2, `turning it on makes ${await tones()} tones`);
  none(await axe(page), 'the settings');
  await shot(page, 'settings');
  await page.getByRole('button', { name: 'Close' }).click();
  const id = (await stationsOf(page)).find((v) => v.prompt?.kind === 'confirm').id;
  await page.getByRole('link', { name: id, exact: true }).click();
  await page.waitForURL(`**/stations/${id}`);
  await answerNo();
  await page.locator('.verdict').getByText('Failed').waitFor();
  await page.waitForFunction(() => window.tones >= 4);
  none(await axe(page), 'the verdict');
  await shot(page, 'verdict');
  await page.keyboard.press('Escape');
  await page.locator('.verdict').waitFor({ state: 'detached' });
}

/** What a run keeps and what it swept; what a prompt shows; what a unit is made of, on paper; where old months are. */
async function whatIsKept(page, url) {
  const { body } = await api(page, 'GET', '/runs?outcome=failed');
  const run = body.items.find((r) => r.code === 'limit-high');

  await page.goto(`${url}/runs/${run.id}`);
  await page.locator('.proof .chart canvas').waitFor();
  must(/12 points, 1 outside/.test(await page.locator('.proof .chart').getAttribute('aria-label')), 'the sweep does not say what is outside');
  const shown = page.locator('.attachments');
  await shown.locator('img').scrollIntoViewIfNeeded();
  await page.waitForFunction(() => document.querySelector('.attachments img').naturalWidth > 0);
  await shown.locator('.thumb').click();
  must((await shown.locator('.thumb').getAttribute('aria-pressed')) === 'true', 'the picture does not grow');
  await shown.locator('tr', { hasText: 'wave.csv' }).locator('summary').click();
  await shown.locator('.chart canvas').waitFor();
  // Thousands of columns are shown as text: nobody tells that many curves apart, and none waits for them to be drawn.
  await shown.locator('tr', { hasText: 'wide.csv' }).locator('summary').click();
  await shown.locator('pre', { hasText: '4999' }).waitFor();
  await shown.locator('tr', { hasText: 'wide.csv' }).locator('summary').click();
  await shown.locator('tr', { hasText: 'said.log' }).locator('summary').click();
  await shown.locator('pre', { hasText: 'temp=24.6' }).waitFor();
  must((await shown.locator('a[download="dump.bin"]').count()) === 1, 'a file without a view cannot be fetched');
  none(await axe(page), 'the run with what it keeps');
  for (const theme of ['light', 'dark']) {
    await page.evaluate((to) => { document.documentElement.dataset.theme = to; }, theme);
    none(await axe(page, ['color-contrast']), `the run (${theme})`);
    await shot(page, `kept-${theme}`, true);
  }
  await page.setViewportSize({ width: 390, height: 844 });
  await settles(page, scrollsSideways, 'the run at 390');
  await shot(page, 'kept-390', true);
  await page.setViewportSize({ width: 1280, height: 900 });
  const asking = (await stationsOf(page)).find((s) => s.prompt?.picture_text);
  await page.goto(`${url}/stations/${asking.id}`);
  await page.waitForFunction(() => document.querySelector('.prompt-picture')?.naturalWidth > 0);
  must((await page.locator('.prompt-picture').getAttribute('alt')) === asking.prompt.picture_text, 'the picture has no text');
  await shot(page, 'picture');
  await page.goto(`${url}/units/${run.serial}`);
  await page.getByRole('link', { name: 'Genealogy' }).click();
  await page.locator('.sheet-serial', { hasText: run.serial }).waitFor();
  await page.getByText('PCB-77-001234').waitFor();
  none(await axe(page), 'the genealogy');
  await shot(page, 'genealogy', true);
  await page.evaluate(() => { document.documentElement.dataset.theme = 'dark'; });
  none(await axe(page, ['color-contrast']), 'the genealogy (dark)');
  await shot(page, 'genealogy-dark', true);
  await page.setViewportSize({ width: 390, height: 844 });
  await settles(page, scrollsSideways, 'the genealogy at 390');
  await shot(page, 'genealogy-390', true);
  await page.emulateMedia({ media: 'print' });
  must(!(await page.locator('.bar').isVisible()) && (await page.locator('.sheet').isVisible()), 'paper has more than the sheet, or less');
  await shot(page, 'genealogy-print', true);
  await page.emulateMedia({ media: 'screen' });
  await page.goto(`${url}/runs`);
  await page.getByRole('link', { name: 'Archives' }).click();
  await page.getByText('2026-01').first().waitFor();
  await page.getByText('In the file alone').waitFor();
}

async function all(browser, at, wire) {
  const page = await openPage(browser);
  let run = null;

  expected.push(/401 .*\/api\/v1\/session/);
  if (!o.mock) await check('the headers are strict, the page revalidates, the assets are kept', () => checkHeaders(at.url));
  await check('a wrong token is refused with a reason, a right one leads back to where one wanted to go', () => login(page, at));
  await check('a link with a token logs in and keeps no token', () => loginByLink(browser, at));
  await check('the wall shows every station with a word and an icon', () => wallShowsAll(page, at.url));
  await check('a state change arrives without a reload', () => changeArrives(page));
  await check('the wall is operated by keyboard alone', () => wallByKeyboard(page, at.url));
  expected.push(/(400|422) .*\/api\/v1\/jobs/);
  await check('a job is ordered by keyboard alone, a mistake is shown at its field', () => orderByKeyboard(page, at.url));
  await check('a prompt is answered on its card', async () => {
    run = await answerPrompt(page, at.url);
  });
  if (o.gate) {
    await check('the log of a run grows while a step goes on', async () => {
      must(run, 'no run was seen');
      await logGrows(page, at.url, run);
    });
  }
  expected.push(/404 .*\/api\/v1\/(runs|jobs|units)\//);
  await check('the page of a run shows its steps and log, the report names it, the search finds its unit', async () => {
    must(run, 'no run was seen');
    await runPage(page, at.url, run);
  });
  await check('a search that finds several things lists them, for the keyboard', () => withMock(browser, 8, searchSeveral));
  await check('a pool says what is left of it, and why each gap is one', () => poolsPage(page, at.url));
  await check('a webhook says whether it takes events, and what was put aside is sent again', async () => {
    await withMock(browser, 2, webhooksPage);
    await withMock(browser, 2, webhooksOfMes, {}, ['--role', 'mes']);
  });
  await check('a suspect unit says what is known of it, and a verdict needs a reason', async () => {
    const served = await startMock(o.work, 8);
    const other = await openPage(browser);

    await other.goto(`${served.url}/#token=${served.token}`);
    await other.locator('.link-live').waitFor();
    await suspectUnit(other, served.url);
    await other.context().close();
    served.stop();
  });
  await check('an interlock is on the card and the page of its station, and is released with a reason', async () => {
    const served = await startMock(o.work, 10);
    const other = await openPage(browser);

    await other.goto(`${served.url}/#token=${served.token}`);
    await other.locator('.link-live').waitFor();
    await interlocks(other, served.url);
    await shot(other, 'interlocks');
    await other.context().close();
    served.stop();
  });
  await check('quality says what the reports say, of this line and of one with a bad station', async () => {
    await qualityPage(page, at.url);
    const served = await startMock(o.work, 8);
    const other = await openPage(browser);

    await other.goto(`${served.url}/#token=${served.token}`);
    await other.locator('.link-live').waitFor();
    await qualityPage(other, served.url);
    await other.context().close();
    served.stop();
  });
  await check('the shift says what it has made, and who is waited for', async () => {
    await shiftPage(page, at.url);
    await withMock(browser, 16, shiftPage);
  });
  await check('a run shows what is attached and its sweep, a prompt its picture, a unit its genealogy', () => withMock(browser, 16, whatIsKept));
  await check('a recall finds the units of an artifact', () => recallPage(page, at.url));
  for (const language of Object.keys(LOCALES))
    await check(`pages in ${language}: words, times, no sideways scroll; another language is kept`, () =>
      withMock(browser, 24, (one, url) => speaks(one, url, language), { locale: LOCALES[language], viewport: { width: 1920, height: 1080 } })); // prettier-ignore
  for (const n of [8, 64, 128])
    await check(`a kiosk of ${n} stations is one screen, legible from afar`, () => kioskWall(browser, n));
  expected.push(/ERR_(CONNECTION|EMPTY|INCOMPLETE|SOCKET)/);
  await check('a kiosk comes back by itself, also with a newer page', () => kioskComesBack(browser));
  await check('a kiosk refuses a token that may write', () => kioskRefuses(browser));
  await check('sound and the verdict over the screen are by choice', () =>
    withMock(browser, 32, soundAndVerdict, {}, [], () => {
      window.tones = 0;
      const Oscillator = window.OscillatorNode;
      window.OscillatorNode = function counted(...args) {
        window.tones += 1;
        return new Oscillator(...args);
      };
    })); // prettier-ignore
  await check('the theme is changed by a key and kept', () => themeIsKept(page, at.url));
  expected.push(/ERR_(CONNECTION|EMPTY|INCOMPLETE|SOCKET)/);
  await check('a cut connection is told, and mends itself without losing a change', () => reconnects(page, at, wire));
  await check('a provd that hangs looks dead: grey, its age, clocks stand; and comes back by itself', () => hungLooksDead(page, at, wire));
  if (o.restart) await check('a restart of provd keeps the session and the page', () => restartKeepsSession(page, at));
  const state = await page.context().storageState();
  state.origins = [];
  await page.goto('about:blank'); // its stream ends
  await check('eight tabs are live over one stream (SharedWorker)', () => manyTabs(browser, state, at, wire, () => {}));
  await check('eight tabs are live over one stream (a leading tab)', () =>
    manyTabs(browser, state, at, wire, () => { delete window.SharedWorker; })); // prettier-ignore
  for (const n of [8, 16, 24, 32, 48, 64])
    await check(`a wall of ${n} stations fits its screen and can be read`, () => wallFits(browser, n));
  await check('holds and missing TLS are on every page, and the wall still fits', () => wallFits(browser, 64, ['--held']));
  await check('problems come first and are counted apart', () => withMock(browser, 32, problemsFirst));
  await check('every page, at three sizes, has nothing against WCAG 2.2 AA', async () => {
    const other = await openPage(browser, { storageState: state });

    await other.goto(at.url);
    await other.locator('.link-live').waitFor();
    await lookAtAll(other, at.url, ['light', 'dark']);
    await other.context().close();
  });
  const { weigh, judge } = scales();
  await check('the same in three themes, of a line where much is wrong', () =>
    withMock(browser, 24, (one, url) => lookAtAll(one, url, THEMES, (name, path) => weigh(one, url, name, path))));
  await check('no page weighs more than 120 KiB', judge);
  await check('an order is held, released and completed by people, with a reason', () => orderHeld(page, at.url));
  expected.push(/401 .*\/api\/v1\//);
  await check('a session that has ended leads to the login and back', () => sessionEnds(page, at.url));
  await check('no console error, exception or policy violation', () => none([...new Set(complaints)], 'the browser complains'));
}

const mock = o.mock ? await startMock(o.work, Number(o.stations)) : null;
const server = mock?.url || o.url.replace(/\/$/, '');
const wire = await startWire(server);
const browser = await launch(path.join(o.work, 'driver'), o.chromium);

try {
  await all(browser, { url: wire.url, server, token: mock?.token || o.token }, wire);
} finally {
  await browser.close();
  wire.stop();
  mock?.stop();
}
console.log(failures.length ? `${failures.length} failed` : 'all checks hold');
process.exitCode = failures.length ? 1 : 0;
