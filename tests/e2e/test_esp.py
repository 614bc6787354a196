#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The serial boot ROM of the ESP32 family: Espressif's esptool-js against provsim's chips first, then provd's actions against
the same, and what each of them says on the wire.

    test_esp.py [BUILD]
"""
import hashlib
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

if len(sys.argv) > 1 and os.path.isdir(sys.argv[1]):
    os.environ['PROVD_BUILD'] = os.path.abspath(sys.argv.pop(1))

import esp
import line


class Board(unittest.TestCase):
    """One virtual chip; self.where is its port."""
    chip = 'esp32c3'
    settings = ()

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix='provd-esp-')
        self.addCleanup(shutil.rmtree, self.dir)
        self.plug()

    def plug(self):
        self.sim = line.Sim(self.dir, 1, '--device', 'esp', '--esp-chip', self.chip, '--link', 'tcp', *self.settings)
        self.addCleanup(self.sim.stop)
        self.where = self.board()['link'].removeprefix('tcp:')

    def board(self):
        return self.sim.boards()[0]

    def fault(self, spec):
        self.sim.ctl('fault', board='b1', fault=spec)

    def again(self):
        self.sim.ctl('reset', board='b1')

    def flash(self, n, at=0):
        with open(os.path.join(self.dir, 'boards', 'b1', 'flash.bin'), 'rb') as f:
            f.seek(at)
            return f.read(n)

    def file(self, data, name='fw.bin'):
        path = os.path.join(self.dir, name)
        with open(path, 'wb') as f:
            f.write(data)
        return path

    def exec(self, action, *args, where=None):
        """(exit status, the step's record)"""
        p = subprocess.run([line.binary('provctl'), '--json', 'exec', 'esp.' + action, 'port=tcp:' + (where or self.where),
                            *args], capture_output=True, text=True, timeout=120)
        if p.returncode == 2 and not p.stdout:
            return 2, {'message': p.stderr}
        said = json.loads(p.stdout)
        return p.returncode, said['steps'][0] if said['steps'] else said  # refused before the first step

    def passes(self, action, *args, where=None):
        status, step = self.exec(action, *args, where=where)
        self.assertEqual(status, 0, step)
        self.assertTrue(step['evidence'])
        return step['evidence']

    def fails(self, code, action, *args):
        status, step = self.exec(action, *args)
        self.assertEqual(step['code'], code, step)
        self.assertNotEqual(status, 0)
        self.assertTrue(step['message'])
        return step

    def files(self, chip=None):
        """A bootloader and an application: {offset: (file, bytes)}"""
        chip = chip or self.chip
        boot = 0x1000 if chip in ('esp32', 'esp32s2') else 0
        parts = {boot: esp.image(chip, 12000), 0x8000: b'\xaa\x50' + bytes(1) + os.urandom(29) + b'\xff' * 64,
                 0x10000: esp.image(chip, 60000, 2) + b'odd'}
        return {at: (self.file(data, '%x.bin' % at), data) for at, data in parts.items()}

    def images(self, files):
        return ['images.0x%x=%s' % (at, path) for at, (path, _) in files.items()]

    def holds(self, files):
        for at, (_, data) in files.items():
            self.assertEqual(self.flash(len(data), at), data, hex(at))


class Provd(Board):
    def test_info(self):
        e = self.passes('info', 'chip=ESP32-C3')
        self.assertEqual((e['chip'], e['revision'], e['flash_size']), ('ESP32-C3', '1.1', 4 << 20))
        self.assertEqual(e['mac'], self.board()['mac'])
        self.fails('wrong-device', 'info', 'chip=ESP32')

    def test_flash_and_reboot(self):
        files = self.files()
        e = self.passes('flash', 'reboot=true', *self.images(files))
        self.holds(files)
        self.assertEqual([i['md5'] for i in e['images']],
                         [hashlib.md5(d + b'\xff' * (-len(d) % 4)).hexdigest() for _, d in files.values()])
        self.assertEqual(self.board()['state'], 'application')

    def test_only_what_differs_is_written(self):
        files = self.files()
        self.passes('flash', *self.images(files))
        before = self.board()['erases']
        files[0x8000] = (self.file(b'\xaa\x50 other', '8000.bin'), b'\xaa\x50 other')
        e = self.passes('flash', 'skip_equal=true', *self.images(files))
        self.assertEqual([i['equal'] for i in e['images']], [True, False, True])
        self.assertEqual(self.board()['erases'] - before, 1)
        self.holds(files)

    def test_read_and_erase(self):
        files = self.files()
        self.passes('flash', *self.images(files))
        out = os.path.join(self.dir, 'out')
        e = self.passes('read', 'address=0x10000', 'size=5001', 'file=' + out)
        with open(out, 'rb') as f:
            data = f.read()
        self.assertEqual(data, files[0x10000][1][:5001])
        self.assertEqual(e['sha256'], line.sha256(data))
        self.passes('erase', 'address=0x10000', 'size=64K')
        self.assertEqual(self.flash(65536, 0x10000).strip(b'\xff'), b'')
        self.assertEqual(self.flash(4, 0x8000), files[0x8000][1][:4])

    def test_nothing_is_written_that_the_chip_cannot_start(self):
        other = self.file(esp.image('esp32s3'))
        cut = self.file(esp.image()[:-40], 'cut.bin')
        large = self.file(esp.image(flash_code=3), 'large.bin')
        self.fails('wrong-device', 'flash', 'images.0x0=' + other)
        self.assertIn('cut off', self.fails('preflight', 'flash', 'images.0x0=' + cut)['message'])
        self.fails('image-range', 'flash', 'images.0x0=' + large)
        self.fails('image-range', 'flash', 'images.0x3ff000=' + self.file(os.urandom(5000), 'end.bin'))
        self.assertEqual(self.board()['erases'], 0)


class Secure(Board):
    """Secure download mode, where the chip tells nothing of its flash."""
    settings = ('--esp-secure', '1')

    def test_what_was_acknowledged_is_all_that_is_said(self):
        files = self.files()
        self.assertIn('acknowledged', self.fails('unsupported', 'flash', *self.images(files))['message'])
        self.assertIn('flash_size', self.fails('unsupported', 'flash', 'verify=acknowledged', *self.images(files))['message'])
        self.assertEqual(self.board()['erases'], 0)
        e = self.passes('flash', 'verify=acknowledged', 'flash_size=4M', *self.images(files))
        self.assertEqual(e['proof'], 'acknowledged')
        self.holds(files)
        for action in (('efuse',), ('read', 'file=' + os.path.join(self.dir, 'out'), 'size=64', 'flash_size=4M'),
                       ('erase', 'flash_size=4M')):
            self.fails('unsupported', *action)


class Reference(Board):
    """The virtual chip is one to Espressif's program, and both leave the same flash by the same frames."""

    @classmethod
    def setUpClass(cls):
        cls.modules = esp.modules()

    def esptool(self, verb, want=None, where=None):
        return esp.esptool(self.modules, where or self.where, verb, want)

    def test_both_say_the_same_of_the_chip(self):
        theirs = self.esptool('info')
        self.again()
        ours = self.passes('info')
        self.assertEqual((theirs['chip'], theirs['mac'], theirs['flash_id']), (ours['chip'], ours['mac'], ours['flash_id']))
        if self.chip not in ('esp32', 'esp32c6'):  # it says no minor revision there
            self.assertIn('revision v' + ours['revision'], theirs['description'])

    def tapped(self, what):
        """What the host said, and all of the flash then; the next one gets a fresh chip."""
        tap = esp.Tap(self.where)
        what(tap.where)
        tap.close()
        flash = self.flash(4 << 20)
        self.sim.stop()
        shutil.rmtree(os.path.join(self.dir, 'boards'))
        self.plug()
        return esp.commands(tap.host), flash

    def compare(self, compress):
        files = self.files()
        images = {str(at): path for at, (path, _) in files.items()}
        theirs, their_flash = self.tapped(lambda w: self.esptool('flash', {'images': images, 'compress': compress}, w))
        ours, our_flash = self.tapped(lambda w: self.passes('flash', 'compress=%s' % str(compress).lower(),
                                                            *self.images(files), where=w))
        self.assertEqual(hashlib.sha256(our_flash).hexdigest(), hashlib.sha256(their_flash).hexdigest())
        begin, data = (0x10, 0x11) if compress else (0x02, 0x03)

        def only(found, op):
            return [d for o, d in found if o == op]
        self.assertEqual(only(ours, 0x13), only(theirs, 0x13))
        if not compress:
            # It erases what the file has, provd what the packets have: the same sectors.
            self.assertEqual([d[4:16] for d in only(ours, begin)], [d[4:16] for d in only(theirs, begin)])
            self.assertEqual(only(ours, data), only(theirs, data))
        else:
            # The bytes are those of another zlib; what they become is the same.
            self.assertEqual([(struct.unpack('<I', d[:4]), d[12:16]) for d in only(ours, begin)],
                             [(struct.unpack('<I', d[:4]), d[12:16]) for d in only(theirs, begin)])
        # The digests are asked for after the last write.
        ops = [o for o, _ in ours]
        self.assertGreater(ops.index(0x13), len(ops) - 1 - ops[::-1].index(data))

    def test_the_frames_of_plain_bytes(self):
        self.compare(False)

    def test_the_frames_of_compressed_bytes(self):
        self.compare(True)


class Reference32(Reference):
    chip = 'esp32'


class ReferenceC6(Reference):
    chip = 'esp32c6'


class Stopped(Board):
    settings = ('--baud', '115200')

    def started(self):
        path = self.file(os.urandom(400000))
        p = subprocess.Popen([line.binary('provctl'), '--json', 'exec', 'esp.flash', 'port=tcp:' + self.where,
                              'images.0x10000=' + path], stdout=subprocess.PIPE)
        self.addCleanup(lambda: p.poll() is None and p.kill())
        line.wait_for('blocks are written', lambda: self.board()['writes'] > 3)
        return p

    def test_a_cancel_ends_it_within_a_second(self):
        p = self.started()
        p.send_signal(signal.SIGINT)
        begun = time.monotonic()
        out, _ = p.communicate(timeout=10)
        self.assertLess(time.monotonic() - begun, 1)
        self.assertEqual((p.returncode, json.loads(out)['code']), (4, 'aborted'))

    def test_a_pulled_plug_ends_it_within_a_second(self):
        p = self.started()
        begun = time.monotonic()
        self.sim.ctl('unplug', board='b1')
        out, _ = p.communicate(timeout=10)
        self.assertLess(time.monotonic() - begun, 1)
        self.assertEqual((p.returncode, json.loads(out)['code']), (3, 'device-gone'))


class TwoStations(unittest.TestCase):
    """The same recipe at two stations at the same time: each unit gets its own."""
    RECIPE = '''recipe: esp
version: 1
ports: {console: {kind: tty, baud: 115200}}
artifacts: {boot: boot.bin, app: app.bin}
steps:
  - id: flash
    action: esp.flash
    with: {port: console, images: {'0x0': '${artifacts.boot}', '0x10000': '${artifacts.app}'}, skip_equal: true}
'''

    def test_each_unit_passes_with_its_own_address(self):
        with line.Line(2, sim_args=('--device', 'esp')) as l:
            l.start()
            for name, data in (('boot.bin', esp.image(size=8000)), ('app.bin', esp.image(size=30000, seed=2))):
                l.put_firmware(data, name)
            l.put_recipe(self.RECIPE)
            job = l.api.post('/jobs', {'recipe': 'esp', 'quantity': 2})['id']
            l.job_done(job)
            runs = l.api.get('/runs?job_id=' + job)['items']
            self.assertEqual([r['outcome'] for r in runs], ['passed', 'passed'])
            evidence = [l.api.get('/runs/%s/steps' % r['id'])['items'][0]['evidence'] for r in runs]
            self.assertEqual(sorted(e['mac'] for e in evidence), sorted(b['mac'] for b in l.sim.boards()))
            self.assertEqual([i['name'] for i in evidence[0]['images']], ['boot.bin', 'app.bin'])
            for b in l.sim.boards():
                self.assertEqual(b['md5s'], 4)  # two that say no, and two that prove


if __name__ == '__main__':
    unittest.main()
