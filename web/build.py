#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the dashboard. Modules are shipped as they are written: the only change is that the bare names of the packages
become paths, so that the strict Content-Security-Policy needs no import map. The packages are in vendor/, as
web/update-vendor put them there: a build needs neither node nor the network.

    build.py --source DIR [--out FILE.c --depfile FILE.d] [--dir DIR]

--out writes a C file with the table of api/web_assets.h, --dir plain files for the mock server of the tests. All files
but the page itself lie below a path that holds the digest of all of them, so that they may be cached for ever. The
output depends on the sources alone.
"""
import argparse
import gzip
import hashlib
import os
import re

# Bare name: file of vendor/.
VENDOR = {'preact': 'preact.js', 'preact/hooks': 'preact-hooks.js', 'htm': 'htm.js', 'uplot': 'uplot.js'}
VENDOR_STYLES = ('uplot.css',)
LICENSES = ('preact', 'htm', 'uplot')
STYLES = ('tokens', 'base', 'parts', 'wall', 'pages', 'print')
TYPES = {
    '.html': 'text/html; charset=utf-8',
    '.css': 'text/css; charset=utf-8',
    '.json': 'application/json',
    '.js': 'text/javascript; charset=utf-8',
    '.svg': 'image/svg+xml',
    '.txt': 'text/plain; charset=utf-8',
}
# A module that is needed before its importer runs: import() is not.
STATIC = re.compile(r'''\b(?:from|import)\s*["'](\.{1,2}/[^"']+)["']''')
IMPORT = re.compile(r'''(\bfrom\s*|\bimport\s*)(["'])([a-z][a-z/]*)\2''')
SOURCE_MAP = re.compile(r'\n?//# sourceMappingURL=.*\s*\Z')


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def below(top):
    """All files below top, as paths relative to it, sorted."""
    found = []
    for folder, _, names in os.walk(top):
        found += [os.path.relpath(os.path.join(folder, n), top).replace(os.sep, '/') for n in names]
    return sorted(found)


def resolve_imports(text, name):
    """Bare names become paths relative to the module."""
    up = '../' * name.count('/') or './'

    def path(m):
        if m[3] not in VENDOR:
            raise SystemExit("%s: unknown package '%s'" % (name, m[3]))
        return '%s%s%svendor/%s%s' % (m[1], m[2], up, VENDOR[m[3]], m[2])
    return IMPORT.sub(path, text)


def needed(files, first):
    """The module, and all that it needs before it runs."""
    found, ahead = set(), [first]
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead += [os.path.normpath(os.path.join(os.path.dirname(name), p)) for p in STATIC.findall(files[name])]
    return found


class Source:
    """Reads files, and remembers which."""

    def __init__(self, top):
        self.top, self.read = top, []

    def text(self, *parts):
        path = os.path.join(self.top, *parts)
        self.read.append(path)
        with open(path, encoding='utf-8', newline='') as f:
            return f.read()


def collect(source):
    """Name: content of everything that the page loads."""
    files = {}
    for name in below(os.path.join(source.top, 'src')):
        if name.endswith('.js'):
            files[name] = resolve_imports(source.text('src', name), name)
        elif name.endswith('.json'):
            files[name] = source.text('src', name)
    for file in VENDOR.values():
        name = 'vendor/' + file
        files[name] = resolve_imports(SOURCE_MAP.sub('\n', source.text('vendor', file)), name)
    files['style.css'] = '\n'.join([source.text('vendor', s) for s in VENDOR_STYLES] +
                                   [source.text('style', s + '.css') for s in STYLES])
    files['icon.svg'] = source.text('icon.svg')
    files['licenses.txt'] = '\n\n'.join('%s\n\n%s' % (p, source.text('vendor', p + '.LICENSE')) for p in LICENSES)
    return files


def assemble(source):
    """The whole table: (path, type, data, immutable)."""
    files = collect(source)
    root = '/assets/' + sha256(''.join('%s\0%s\0' % one for one in files.items()).encode())[:16]
    preload = '\n    '.join('<link rel="modulepreload" href="%s/%s">' % (root, n)
                            for n in sorted(needed(files, 'main.js')))
    html = source.text('src', 'index.html').replace('{{root}}', root).replace('{{preload}}', preload)
    return [('/index.html', TYPES['.html'], html.encode(), False)] + [
        ('%s/%s' % (root, n), TYPES[os.path.splitext(n)[1]], c.encode(), True) for n, c in files.items()]


def c_bytes(data):
    return '\n'.join('\t%s,' % ', '.join(map(str, data[i:i + 20])) for i in range(0, len(data), 20))


def write_c(out, assets):
    blobs, rows = [], []
    for i, (path, kind, data, immutable) in enumerate(assets):
        z = bytearray(gzip.compress(data, 9, mtime=0))
        z[9] = 255  # the operating system: unknown, so that all make the same bytes
        blobs.append('static const unsigned char asset_%d[] = {\n%s\n};\n' % (i, c_bytes(z)))
        rows.append('\t{"%s", "%s", asset_%d, sizeof asset_%d,\n\t\t"\\"%s\\"", %s},'
                    % (path, kind, i, i, sha256(data)[:32], 'true' if immutable else 'false'))
    with open(out, 'w', encoding='ascii') as f:
        f.write('/* Made from web/ by web/build.py. */\n#include "api/web_assets.h"\n\n%s\n'
                'const struct web_asset web_assets[] = {\n%s\n};\nconst size_t web_asset_count = %d;\n'
                % ('\n'.join(blobs), '\n'.join(rows), len(assets)))


def write_dir(top, assets):
    for path, _, data, _ in assets:
        file = os.path.join(top, path.lstrip('/'))
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file, 'wb') as f:
            f.write(data)


def main():
    p = argparse.ArgumentParser(description='makes the dashboard')
    p.add_argument('--source', required=True)
    p.add_argument('--out')
    p.add_argument('--depfile')
    p.add_argument('--dir')
    o = p.parse_args()
    source = Source(o.source)
    assets = assemble(source)
    if o.out:
        write_c(o.out, assets)
    if o.dir:
        write_dir(o.dir, assets)
    if o.depfile:
        with open(o.depfile, 'w', encoding='utf-8') as f:
            f.write('%s: %s\n' % tuple(x.replace('\0', ' ') for x in (
                o.out.replace(' ', '\\ '), '\0'.join(r.replace(' ', '\\ ') for r in source.read))))


if __name__ == '__main__':
    main()
