// SPDX-License-Identifier: Apache-2.0
// What the browser test needs before it can begin: the driver, Chromium, and, without a provd, the mock server.

import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import net from 'node:net';
import path from 'node:path';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';
import { install } from './install.mjs';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const ROOT = path.resolve(HERE, '../../..');
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync']; // prettier-ignore

function loadDriver(work) {
  install(work);
  return createRequire(path.join(work, 'package.json'))('playwright-core');
}

/** The source of axe-core, which a page is audited with. Call after launch(). */
export const axeSource = (work) => fs.readFileSync(createRequire(path.join(work, 'package.json')).resolve('axe-core/axe.min.js'), 'utf8');

export function launch(work, executablePath) {
  return loadDriver(work).chromium.launch({ executablePath, args: FLAGS });
}

let built = null;

function buildDist(work) {
  if (built) return built;
  built = path.join(work, 'dist');
  fs.rmSync(built, { recursive: true, force: true });
  execFileSync('/usr/bin/python3', [path.join(ROOT, 'web/build.py'), '--source', path.join(ROOT, 'web'), '--dir', built]);
  return built;
}

/** The dashboard of another version, as after an upgrade of provd: a folder for --dist. */
export function buildOther(work) {
  const source = path.join(work, 'other-source');
  const dist = path.join(work, 'other-dist');

  for (const folder of [source, dist]) fs.rmSync(folder, { recursive: true, force: true });
  fs.cpSync(path.join(ROOT, 'web'), source, { recursive: true });
  fs.appendFileSync(path.join(source, 'style/wall.css'), '/* newer */\n');
  execFileSync('/usr/bin/python3', [path.join(ROOT, 'web/build.py'), '--source', source, '--dir', dist]);
  return dist;
}

/** Serves the dashboard by mock.mjs, built once into `work`; more: its further options. {url, token, stop}. */
export async function startMock(work, stations, more = []) {
  const dist = buildDist(work);
  const words = [path.join(HERE, 'mock.mjs'), '--until-stdin-ends', '--dist', dist, '--stations', String(stations), ...more];
  const child = spawn(process.execPath, words, {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const [line] = await new Promise((done, fail) => {
    readline.createInterface({ input: child.stdout }).once('line', (l) => done([l]));
    child.once('exit', () => fail(new Error('the mock server ended')));
  });

  return { ...JSON.parse(line), stop: () => child.kill() };
}

/**
 * A wire to the server that the test can cut, or freeze: nothing comes and nothing ends, as with a hung provd or a
 * pulled cable. streams(): how many event streams are open on it. {url, cut, freeze, mend, streams, stop}.
 */
export async function startWire(target) {
  const { hostname, port } = new URL(target);
  const open = new Set();
  const streams = new Set();
  let whole = true;
  let frozen = false;
  const server = net.createServer((near) => {
    if (!whole) return near.destroy();
    const far = net.connect(Number(port), hostname);
    near.on('data', (d) => {
      if (d.includes('GET /api/v1/events?log=')) streams.add(near);
    });
    near.on('close', () => streams.delete(near));
    for (const [from, to] of [
      [near, far],
      [far, near],
    ]) {
      open.add(from);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        open.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
    if (frozen) far.pause();
    return undefined;
  });
  const cut = () => {
    whole = false;
    for (const s of open) s.destroy();
  };
  const freeze = () => {
    frozen = true;
    for (const s of open) s.pause();
  };
  const mend = () => {
    whole = true;
    frozen = false;
    for (const s of open) s.resume();
  };

  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return { url: `http://127.0.0.1:${server.address().port}`, cut, freeze, mend, streams: () => streams.size, stop: () => (cut(), server.close()) };
}
