#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The image of one unit: recipes/esp32-unit.yaml on virtual chips, what lies in their flash afterwards, and what does not lie
anywhere else. NVS partitions are read by a reader of the test's own, from the published description.

    test_compose.py [BUILD]
"""
import glob
import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib

if len(sys.argv) > 1 and os.path.isdir(sys.argv[1]):
    os.environ['PROVD_BUILD'] = os.path.abspath(sys.argv.pop(1))

import esp
import line

PSK = 'plant-psk-7731'
WIDTHS = {0x01: 'B', 0x11: 'b', 0x02: 'H', 0x12: 'h', 0x04: 'I', 0x14: 'i', 0x08: 'Q', 0x18: 'q'}


def crc(b):
    return zlib.crc32(b, 0xffffffff)


def nvs(b):
    """{(namespace, key): value}; each CRC is compared."""
    spaces, chunks, out = {}, {}, {}
    for at in range(0, len(b), 4096):
        page = b[at:at + 4096]
        if page == b'\xff' * 4096:
            continue
        assert crc(page[4:28]) == struct.unpack('<I', page[28:32])[0]
        k = 0
        while k < 126:
            entry = page[64 + 32 * k:96 + 32 * k]
            if (page[32 + k // 4] >> k % 4 * 2 & 3) != 2:
                k += 1
                continue
            space, kind, span, chunk = entry[:4]
            assert crc(entry[:4] + entry[8:]) == struct.unpack('<I', entry[4:8])[0]
            key, data = entry[8:24].rstrip(b'\0').decode(), entry[24:]
            if kind in (0x21, 0x42):
                size, _, total = struct.unpack('<HHI', data)
                more = page[96 + 32 * k:96 + 32 * k + size]
                assert crc(more) == total
            if space == 0:
                spaces[data[0]] = key
            elif kind == 0x21:
                out[spaces[space], key] = more[:-1].decode()
            elif kind == 0x42:
                chunks[space, key, chunk] = more
            elif kind == 0x48:
                size, n, first, _ = struct.unpack('<IBBH', data)
                value = b''.join(chunks[space, key, first + i] for i in range(n))
                assert len(value) == size
                out[spaces[space], key] = value
            else:
                out[spaces[space], key] = struct.unpack_from('<' + WIDTHS[kind], data)[0]
            k += span
    return out


class Station(unittest.TestCase):
    """Two units, one after the other."""

    def setUp(self):
        self.line = line.Line(1, sim_args=('--device', 'esp'))
        self.addCleanup(self.line.close)
        line.write(os.path.join(self.line.home, 'psk'), PSK + '\n')
        self.line.config('secrets: {plant-wifi: {file: %s/psk}}\n' % self.line.home)
        self.line.start()
        self.api = self.line.api
        self.application = esp.image(size=8000)
        self.line.put_firmware(self.application, 'application.bin')
        self.api.post('/pools', {'id': 'esp32-sn', 'pattern': 'E{seq:06}', 'first': 1, 'last': 99})
        with open(os.path.join(line.ROOT, 'recipes', 'esp32-unit.yaml'), encoding='utf-8') as f:
            self.recipe = f.read().replace('default: classic', 'default: none')
        self.seen = set()

    def run_one(self):
        def ended():
            runs = [r for r in self.api.get('/runs?state=finished')['items'] if r['id'] not in self.seen]
            return runs[0] if runs else None
        run = line.wait_for('the run ends', ended)
        self.seen.add(run['id'])
        return run

    def step(self, run, name):
        return next(s for s in self.api.get('/runs/%s/steps' % run['id'])['items'] if s['id'] == name)

    def flash(self, at, n):
        with open(glob.glob(os.path.join(self.line.home, 'boards', '*', 'flash.bin'))[0], 'rb') as f:
            f.seek(at)
            return f.read(n)

    def test_each_unit_gets_its_own_and_the_secret_is_nowhere_else(self):
        self.line.put_recipe(self.recipe)
        self.api.post('/jobs', {'recipe': 'esp32-unit@1', 'quantity': 2})
        digests = set()
        for serial in ('E000001', 'E000002'):
            run = self.run_one()
            self.assertEqual((run['outcome'], run['serial']), ('passed', serial), run)
            part = self.flash(0x9000, 0x6000)
            values = nvs(part)
            self.assertEqual({k: values[k] for k in values if k[1] != 'mac'},
                             {('unit', 'serial'): serial, ('cal', 'gain'): 10023, ('wifi', 'psk'): PSK})
            self.assertEqual(values['unit', 'mac'], self.step(run, 'chip')['outputs']['mac'])
            self.assertEqual(self.flash(0x10000, len(self.application)), self.application)
            own, said = self.step(run, 'own'), json.dumps(self.api.get('/runs/%s/steps' % run['id']))
            self.assertEqual(own['evidence']['image']['bytes'], 0x6000)
            self.assertNotIn('sha256', own['evidence']['image'])
            digests.add(own['evidence']['image']['sha256_salted'])
            self.assertIn('made:own', own['outputs']['image'])
            for secret in (PSK, hashlib.sha256(part).hexdigest(), hashlib.md5(part).hexdigest()):
                self.assertNotIn(secret, said)
            self.line.sim.ctl('next', board='b1', gap_ms=200)
        self.assertEqual(len(digests), 2)
        # Neither the key nor the image is in a file of the installation, but for the chip's own flash.
        self.line.provd.term()
        for folder, _, files in os.walk(os.path.join(self.line.home, 'state')):
            for name in files:
                with open(os.path.join(folder, name), 'rb') as f:
                    self.assertNotIn(PSK.encode(), f.read(), name)

    def test_a_value_that_does_not_fit_ends_the_run_before_the_serial_number_is_exposed(self):
        self.line.put_recipe(self.recipe)
        self.api.post('/jobs', {'recipe': 'esp32-unit@1', 'quantity': 1, 'params': {'gain': '300000'}})
        run = self.run_one()
        self.assertEqual((run['outcome'], run['code'], run['step']), ('error', 'value-range', 'own'), run)
        self.assertIn("'gain' does not fit its type i32", run['message'])
        self.assertEqual(self.api.get('/pools/esp32-sn/serials')['items'][0]['exposed'], False)

    def test_a_foreign_program_gets_no_file_of_it(self):
        self.line.put_recipe('''
recipe: foreign
version: 1
ports: {console: {kind: tty, baud: 115200}}
steps:
  - {id: own, action: image.compose, with: {size: 16, patch: {n: {at: 0, type: u8, value: 1}}}}
  - {id: tool, action: tool.run, with: {argv: [/bin/true, own.bin], files: {own.bin: '${steps.own.image}'}, success: [x]}}
''')
        self.api.post('/jobs', {'recipe': 'foreign@1', 'quantity': 1})
        run = self.run_one()
        self.assertEqual((run['code'], run['step']), ('unsupported', 'tool'), run)
        self.assertIn('own.bin was made for this unit and is in memory alone', run['message'])


class Bench(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix='provd-compose-')
        self.addCleanup(shutil.rmtree, self.dir)

    def exec(self, *args):
        return subprocess.run([line.binary('provctl'), '--json', 'exec', 'image.compose', *args], capture_output=True,
                              text=True, timeout=60, cwd=self.dir)

    def test_an_image_goes_to_a_file(self):
        p = self.exec('nvs={"a":{"namespace":"n","type":"blob","value":"%s"}}' % ('5a' * 9000), 'nvs_size=0x6000',
                      '--out', 'own.bin')
        self.assertEqual(p.returncode, 0, p.stdout + p.stderr)
        with open(os.path.join(self.dir, 'own.bin'), 'rb') as f:
            self.assertEqual(nvs(f.read()), {('n', 'a'): b'\x5a' * 9000})

    def test_nothing_is_written_where_a_part_is_wrong(self):
        p = self.exec('size=4', 'patch={"a":{"at":2,"type":"u32","value":1}}', '--out=own.bin')
        self.assertEqual(json.loads(p.stdout)['code'], 'part-outside', p.stdout)
        self.assertEqual(os.listdir(self.dir), [])

    def test_out_is_for_actions_that_write_a_file(self):
        p = subprocess.run([line.binary('provctl'), 'exec', 'serialboot.boot', '--out', 'x'], capture_output=True, text=True, timeout=60)
        self.assertIn('writes no file', p.stderr)


if __name__ == '__main__':
    unittest.main(verbosity=2)
