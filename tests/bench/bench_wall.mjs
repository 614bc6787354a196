// SPDX-License-Identifier: Apache-2.0
//
// What a wall costs those who look at it, in real Chromium over loopback:
//
//   node bench_wall.mjs --url URL --token TOKEN --browsers N --changes N --rounds N --work DIR
//
// Prints {"paint": [ms], "cards": [ms], "change": [ms]}: the first paint and the last card of a page with nothing in the cache,
// and from a new state of a station (its `since`) to the frame that shows it, in each of N browsers.
import { parseArgs } from 'node:util';
import { launch } from '../e2e/browser/setup.mjs';

const { values: o } = parseArgs({
  options: {
    url: { type: 'string' },
    token: { type: 'string' },
    browsers: { type: 'string', default: '20' },
    changes: { type: 'string', default: '20' },
    rounds: { type: 'string', default: '5' },
    chromium: { type: 'string', default: '/usr/bin/chromium' },
    work: { type: 'string' },
  },
});
const headers = { Authorization: `Bearer ${o.token}` };
const api = async (method, path) => {
  const answer = await fetch(`${o.url}/api/v1${path}`, { method, headers });

  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
};

/** A wall in a browser of its own, logged in. */
async function openWall(browser, wide) {
  const context = await browser.newContext({ viewport: wide, reducedMotion: 'reduce' });
  const page = await context.newPage();

  await page.goto(`${o.url}/#token=${o.token}`);
  await page.locator('.card').first().waitFor();
  return page;
}

/** The session is there, the cache is not: first-contentful-paint, and when the last card was there. */
async function firstPaint(browser, stations) {
  const logged = await openWall(browser, { width: 1920, height: 1080 });
  const context = await browser.newContext({ viewport: { width: 1920, height: 1080 }, storageState: await logged.context().storageState() });
  const page = await context.newPage();

  await page.addInitScript((n) => {
    new MutationObserver((all, watcher) => {
      if (document.querySelectorAll('.card').length < n) return;
      window.cardsAt = performance.now();
      watcher.disconnect();
    }).observe(document, { childList: true, subtree: true });
  }, stations);
  await page.goto(o.url);
  await page.waitForFunction(() => window.cardsAt && performance.getEntriesByName('first-contentful-paint').length);
  const at = await page.evaluate(() => [performance.getEntriesByName('first-contentful-paint')[0].startTime, window.cardsAt]);

  await context.close();
  await logged.context().close();
  return at;
}

/** Each page notes in which frame a station's card first had another state. */
const noteStates = () => {
  const stateOf = (text) => /state-(\w+)/.exec(text || '')?.[1];

  window.shown = {};
  new MutationObserver((all) => {
    for (const m of all) {
      const state = stateOf(m.target.className);

      if (!m.target.matches('.card') || stateOf(m.oldValue) === state) continue;
      const key = `${m.target.dataset.station} ${state}`;
      requestAnimationFrame(() => { window.shown[key] ??= Date.now(); });
    }
  }).observe(document.querySelector('.wall'), { attributes: true, attributeFilter: ['class'], attributeOldValue: true, subtree: true });
};

async function changes(browser, stations) {
  const pages = [];
  const late = [];

  while (pages.length < Number(o.browsers)) pages.push(await openWall(browser, { width: 1280, height: 800 }));
  await Promise.all(pages.map((p) => p.evaluate(noteStates)));
  for (let i = 0; i < Number(o.changes); i++) {
    const { id } = stations[i % stations.length];

    for (const [verb, want] of [['disable', true], ['enable', false]]) {
      await Promise.all(pages.map((p) => p.evaluate(() => { window.shown = {}; })));
      await api('POST', `/stations/${id}/actions/${verb}`);
      const shown = await Promise.all(pages.map((p) => p.waitForFunction(
        ([x, off]) => Object.entries(window.shown).find(([k]) => k.startsWith(`${x} `) && k.endsWith(' disabled') === off)?.[1], [id, want],
      ).then((handle) => handle.jsonValue()))); // prettier-ignore
      const since = Date.parse((await api('GET', '/stations')).items.find((s) => s.id === id).since);

      // An enabled station goes on by itself to what it finds: only the first change is timed.
      if (want) late.push(...shown.map((at) => at - since));
    }
  }
  return late;
}

const browser = await launch(`${o.work}/driver`, o.chromium);

try {
  const { items } = await api('GET', '/stations');
  const paints = [];

  for (let i = 0; i < Number(o.rounds); i++) paints.push(await firstPaint(browser, items.length));
  process.stdout.write(`${JSON.stringify({ paint: paints.map((p) => p[0]), cards: paints.map((p) => p[1]), change: await changes(browser, items) })}\n`);
} finally {
  await browser.close();
}
