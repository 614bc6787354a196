// SPDX-License-Identifier: Apache-2.0
// node install.mjs WORK: what package-lock.json names, installed into WORK so that the source tree stays as it is. Does
// nothing where it is there already. For all tests that need modules.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = path.dirname(fileURLToPath(import.meta.url));

export function install(work) {
  const names = ['package.json', 'package-lock.json', '.npmrc'];
  const stamp = path.join(work, 'installed');
  const want = names.map((n) => fs.readFileSync(path.join(HERE, n), 'utf8')).join('\0');

  if (fs.existsSync(stamp) && fs.readFileSync(stamp, 'utf8') === want) return;
  fs.mkdirSync(work, { recursive: true });
  for (const n of names) fs.copyFileSync(path.join(HERE, n), path.join(work, n));
  execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: work,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  fs.writeFileSync(stamp, want);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) install(process.argv[2]);
