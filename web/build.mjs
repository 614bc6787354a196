// SPDX-License-Identifier: Apache-2.0
//
// Makes the dashboard. Modules are shipped as they are written: the only change is that the bare names of
// the packages become paths, so that the strict Content-Security-Policy needs no import map.
//
//   node build.mjs --source DIR --work DIR [--out FILE.c --depfile FILE.d] [--dir DIR]
//
// --out writes a C file with the table of api/web_assets.h, --dir plain files for the mock server of the
// tests. All files but the page itself lie below a path that holds the digest of all of them, so that they
// may be cached for ever. The output depends on the sources and the lock file alone.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';

const VENDOR = {
  preact: 'preact/dist/preact.mjs',
  'preact/hooks': 'preact/hooks/dist/hooks.mjs',
  htm: 'htm/dist/htm.mjs',
};
/** Not of the page's modules: a script before them, and the worker's own. */
const NOT_IN_PAGE = ['theme.js', 'lib/hub_worker.js'];
const LICENSES = ['preact', 'htm'];
const STYLES = ['tokens', 'base', 'parts', 'wall', 'pages', 'print'];
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
};

const sha256 = (data) => createHash('sha256').update(data).digest('hex');

/** Runs `npm ci` in the work directory, unless it was done there for this very lock file. */
function install(source, work) {
  const names = ['package.json', 'package-lock.json', '.npmrc'];
  const stamp = path.join(work, 'installed');
  const want = sha256(names.map((n) => fs.readFileSync(path.join(source, n))).join('\0'));

  if (fs.existsSync(stamp) && fs.readFileSync(stamp, 'utf8') === want) return;
  fs.mkdirSync(work, { recursive: true });
  for (const n of names) fs.copyFileSync(path.join(source, n), path.join(work, n));
  execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: work,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  fs.writeFileSync(stamp, want);
}

/** All files below dir, as paths relative to it, sorted. */
function walk(dir, below = '') {
  const found = [];

  for (const e of fs.readdirSync(path.join(dir, below), { withFileTypes: true })) {
    const name = path.posix.join(below, e.name);
    if (e.isDirectory()) found.push(...walk(dir, name));
    else found.push(name);
  }
  return found.sort();
}

/** Bare names become paths relative to the module. */
function resolveImports(text, name) {
  const up = '../'.repeat(name.split('/').length - 1) || './';

  return text.replace(/(\bfrom\s*|\bimport\s*)(["'])([a-z][a-z/]*)\2/g, (all, word, q, bare) => {
    if (!VENDOR[bare]) throw new Error(`${name}: unknown package '${bare}'`);
    return `${word}${q}${up}vendor/${bare.replace('/', '-')}.js${q}`;
  });
}

/** name -> content of everything that the page loads, and the list of files that were read. */
function collect(source, work) {
  const src = path.join(source, 'src');
  const modules = path.join(work, 'node_modules');
  const files = new Map();
  const read = [];
  const text = (p) => {
    read.push(p);
    return fs.readFileSync(p, 'utf8');
  };

  for (const name of walk(src).filter((n) => n.endsWith('.js')))
    files.set(name, resolveImports(text(path.join(src, name)), name));
  for (const [bare, file] of Object.entries(VENDOR)) {
    const name = `vendor/${bare.replace('/', '-')}.js`;
    const content = fs.readFileSync(path.join(modules, file), 'utf8').replace(/\n?\/\/# sourceMappingURL=.*\s*$/, '\n');
    files.set(name, resolveImports(content, name));
  }
  files.set('style.css', STYLES.map((s) => text(path.join(source, 'style', `${s}.css`))).join('\n'));
  files.set('icon.svg', text(path.join(source, 'icon.svg')));
  files.set(
    'licenses.txt',
    LICENSES.map((p) => `${p}\n\n${fs.readFileSync(path.join(modules, p, 'LICENSE'), 'utf8')}`).join('\n\n'),
  );
  return { files, read };
}

/** The whole table: [{path, type, data, immutable}]. */
function assemble(source, work) {
  const { files, read } = collect(source, work);
  const page = path.join(source, 'src', 'index.html');
  const digest = sha256([...files].map(([n, c]) => `${n}\0${c}\0`).join(''));
  const root = `/assets/${digest.slice(0, 16)}`;
  const preload = [...files.keys()]
    .filter((n) => n.endsWith('.js') && !NOT_IN_PAGE.includes(n))
    .map((n) => `<link rel="modulepreload" href="${root}/${n}">`)
    .join('\n    ');
  const html = fs.readFileSync(page, 'utf8').replaceAll('{{root}}', root).replace('{{preload}}', preload);
  const assets = [{ path: '/index.html', type: TYPES['.html'], data: Buffer.from(html), immutable: false }];

  for (const [name, content] of files)
    assets.push({
      path: `${root}/${name}`,
      type: TYPES[path.extname(name)],
      data: Buffer.from(content),
      immutable: true,
    });
  return { assets, read: [...read, page] };
}

function cBytes(data) {
  const lines = [];

  for (let i = 0; i < data.length; i += 20) lines.push(`\t${[...data.subarray(i, i + 20)].join(', ')},`);
  return lines.join('\n');
}

function writeC(out, assets) {
  const blobs = [];
  const rows = [];

  assets.forEach((a, i) => {
    const z = gzipSync(a.data, { level: 9 });
    z[9] = 255; // the operating system: unknown, so that all make the same bytes
    blobs.push(`static const unsigned char asset_${i}[] = {\n${cBytes(z)}\n};\n`);
    rows.push(
      `\t{"${a.path}", "${a.type}", asset_${i}, sizeof asset_${i},\n` +
        `\t\t"\\"${sha256(a.data).slice(0, 32)}\\"", ${a.immutable}},`,
    );
  });
  fs.writeFileSync(
    out,
    '/* Made from web/ by web/build.mjs. */\n#include "api/web_assets.h"\n\n' +
      `${blobs.join('\n')}\nconst struct web_asset web_assets[] = {\n${rows.join('\n')}\n};\n` +
      `const size_t web_asset_count = ${assets.length};\n`,
  );
}

function writeDir(dir, assets) {
  for (const a of assets) {
    const file = path.join(dir, a.path);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, a.data);
  }
}

const { values: o } = parseArgs({
  options: {
    source: { type: 'string' },
    work: { type: 'string' },
    out: { type: 'string' },
    depfile: { type: 'string' },
    dir: { type: 'string' },
  },
});

install(o.source, o.work);
const { assets, read } = assemble(o.source, o.work);
if (o.out) writeC(o.out, assets);
if (o.dir) writeDir(o.dir, assets);
if (o.depfile) {
  const escape = (p) => p.replaceAll(' ', '\\ ');
  fs.writeFileSync(o.depfile, `${escape(o.out)}: ${read.map(escape).join(' ')}\n`);
}
