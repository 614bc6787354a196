// SPDX-License-Identifier: Apache-2.0
// What the browser test needs before it can begin: the driver, Chromium, and, without a provd, the mock server.

import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import net from 'node:net';
import path from 'node:path';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const ROOT = path.resolve(HERE, '../../..');
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync']; // prettier-ignore

/** The driver, installed into `work` so that the source tree stays as it is. */
function loadDriver(work) {
  const names = ['package.json', 'package-lock.json', '.npmrc'];
  const stamp = path.join(work, 'installed');
  const want = names.map((n) => fs.readFileSync(path.join(HERE, n), 'utf8')).join('\0');

  if (!fs.existsSync(stamp) || fs.readFileSync(stamp, 'utf8') !== want) {
    fs.mkdirSync(work, { recursive: true });
    for (const n of names) fs.copyFileSync(path.join(HERE, n), path.join(work, n));
    execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
      cwd: work,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    fs.writeFileSync(stamp, want);
  }
  return createRequire(path.join(work, 'package.json'))('playwright-core');
}

export function launch(work, executablePath) {
  return loadDriver(work).chromium.launch({ executablePath, args: FLAGS });
}

/** Builds the dashboard into `work` and serves it by mock.mjs: {url, token, stop}. */
export async function startMock(work, stations) {
  const dist = path.join(work, 'dist');

  fs.rmSync(dist, { recursive: true, force: true });
  execFileSync(process.execPath, [
    path.join(ROOT, 'web/build.mjs'), '--source', path.join(ROOT, 'web'), '--work', path.join(work, 'web'), '--dir', dist,
  ]); // prettier-ignore
  const child = spawn(process.execPath, [path.join(HERE, 'mock.mjs'), '--dist', dist, '--stations', String(stations)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await new Promise((done, fail) => {
    readline.createInterface({ input: child.stdout }).once('line', (l) => done([l]));
    child.once('exit', () => fail(new Error('the mock server ended')));
  });

  return { ...JSON.parse(line), stop: () => child.kill() };
}

/** A wire to the server that the test can cut: {url, cut, mend, stop}. */
export async function startWire(target) {
  const { hostname, port } = new URL(target);
  const open = new Set();
  let whole = true;
  const server = net.createServer((near) => {
    if (!whole) return near.destroy();
    const far = net.connect(Number(port), hostname);
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
    return undefined;
  });
  const cut = () => {
    whole = false;
    for (const s of open) s.destroy();
  };
  const mend = () => {
    whole = true;
  };

  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return { url: `http://127.0.0.1:${server.address().port}`, cut, mend, stop: () => (cut(), server.close()) };
}
