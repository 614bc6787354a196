#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""base/merkle.c and base/jcs.c against others: RFC 6962 written down once more here, from its text alone, and the
JSON.stringify() of node."""
import hashlib
import json
import random
import shutil
import struct
import subprocess
import sys
import unittest

TOOL = sys.argv.pop(1)
LEAVES = 130


def tool(*args, text=''):
    return subprocess.run([TOOL, *args], input=text, capture_output=True, text=True, check=True).stdout.splitlines()


def sha(data):
    return hashlib.sha256(data).digest()


def split(n):
    """The largest power of two smaller than n."""
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def mth(d):
    if not d:
        return sha(b'')
    if len(d) == 1:
        return sha(b'\0' + d[0])
    k = split(len(d))
    return sha(b'\1' + mth(d[:k]) + mth(d[k:]))


def path(m, d):
    if len(d) == 1:
        return []
    k = split(len(d))
    return path(m, d[:k]) + [mth(d[k:])] if m < k else path(m - k, d[k:]) + [mth(d[:k])]


def subproof(m, d, known):
    if m == len(d):
        return [] if known else [mth(d)]
    k = split(len(d))
    if m <= k:
        return subproof(m, d[:k], known) + [mth(d[k:])]
    return subproof(m - k, d[k:], False) + [mth(d[:k])]


class Trees(unittest.TestCase):
    def test_roots_and_proofs_of_all_trees_are_those_of_rfc_6962(self):
        lines = iter(tool('tree', str(LEAVES)))
        for n in range(LEAVES + 1):
            d = [str(i).encode() for i in range(n)]
            self.assertEqual(next(lines), 'root %d %s' % (n, mth(d).hex()))
            for i in range(n):
                self.assertEqual(next(lines).split()[1:], [str(i)] + [h.hex() for h in path(i, d)])
            for i in range(1, n + 1):
                self.assertEqual(next(lines).split()[1:], [str(i)] + [h.hex() for h in subproof(i, d, True)])
        self.assertIsNone(next(lines, None))


NODE = """
const sorted = v => Array.isArray(v) ? v.map(sorted) : v !== null && typeof v === 'object'
    ? Object.fromEntries(Object.keys(v).sort().map(k => [k, sorted(v[k])])) : v;
for (const line of require('fs').readFileSync(0, 'utf8').split('\\n'))
    if (line) console.log(JSON.stringify(sorted(JSON.parse(line))));
"""


class Canonical(unittest.TestCase):
    @unittest.skipUnless(shutil.which('node'), 'node is not on this machine')
    def test_numbers_and_texts_are_those_of_ecmascript(self):
        r = random.Random(1)
        values = []
        while len(values) < 20000:
            v = struct.unpack('<d', struct.pack('<Q', r.getrandbits(64)))[0]
            if v - v == 0:
                values.append(v)
        values += [2.0 ** n for n in range(-1074, 1024)] + [-2.0 ** n / 3 for n in range(-1000, 1024)]
        values += [float('1e%d' % n) for n in range(-323, 309)] + [r.randrange(10 ** 6) / 10 ** r.randrange(1, 9) for _ in range(20000)]
        values += [r.randrange(-2 ** 53 + 1, 2 ** 53) for _ in range(1000)]
        values += [''.join(chr(c) for c in r.choices([*range(0, 0x80), 0x7ff, 0x20ac, 0xd7ff, 0xe000, 0xffff, 0x1f600, 0x10ffff], k=8))
                   for _ in range(2000)]
        # Names of at least one letter: JavaScript puts those that are whole numbers first.
        values += [{'k' + ''.join(chr(c) for c in r.choices([0x24, 0xe9, 0xd7ff, 0xe000, 0xfb33, 0xffff, 0x10000, 0x1f600], k=3)): i
                    for i in range(6)} for _ in range(500)]
        text = '\n'.join(json.dumps(v) for v in values) + '\n'
        want = subprocess.run(['node', '-e', NODE], input=text, capture_output=True, text=True, check=True).stdout.splitlines()
        got = tool('jcs', text=text)
        self.assertEqual(len(got), len(values))
        for line, a, b in zip(text.splitlines(), got, want):
            self.assertEqual(a, b, line)


if __name__ == '__main__':
    unittest.main()
