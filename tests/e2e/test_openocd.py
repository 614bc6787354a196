#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Debug probes: the real OpenOCD with its stock target file against provsim's STM32F103 first, then provd's
actions against the same, each fault of the chip, and sixteen stations at once.

    test_openocd.py [BUILD]
"""
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

if len(sys.argv) > 1 and os.path.isdir(sys.argv[1]):
    os.environ['PROVD_BUILD'] = os.path.abspath(sys.argv.pop(1))

import line

BASE = 0x08000000
OPENOCD = shutil.which('openocd')
STATIONS = 16


def hex_file(data, base=BASE):
    """Intel HEX, by its specification and not by provd."""
    def record(address, kind, body):
        raw = bytes([len(body), address >> 8 & 255, address & 255, kind]) + body
        return ':' + (raw + bytes([-sum(raw) & 255])).hex().upper()
    lines = []
    for i in range(0, len(data), 16):
        if i == 0 or (base + i) % 65536 == 0:
            lines.append(record(0, 4, (base + i >> 16).to_bytes(2, 'big')))
        lines.append(record(base + i & 0xffff, 0, data[i:i + 16]))
    return '\n'.join(lines + [record(0, 1, b'')]) + '\n'


@unittest.skipUnless(OPENOCD, 'openocd is missing (scripts/install-deps test)')
class Board(unittest.TestCase):
    """One virtual probe with its chip."""

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix='provd-openocd-e2e-')
        self.addCleanup(shutil.rmtree, self.dir)
        self.tmp = os.path.join(self.dir, 'tmp')
        os.mkdir(self.tmp)
        self.sim = line.Sim(self.dir, 1, '--device', 'jtag', '--link', 'tcp')
        self.addCleanup(self.sim.stop)

    def board(self):
        return self.sim.boards()[0]

    def address(self):
        return self.board()['link']

    def fault(self, spec):
        self.sim.ctl('fault', board='b1', fault=spec)

    def flash(self, n=None, at=0):
        """What the cells hold, from the board's own file."""
        with open(os.path.join(self.dir, 'boards', 'b1', 'flash.bin'), 'rb') as f:
            data = f.read()
        return data[at:] if n is None else data[at:at + n]

    def file(self, data, name='fw.bin'):
        path = os.path.join(self.dir, name)
        with open(path, 'wb') as f:
            f.write(data if isinstance(data, bytes) else data.encode())
        return path

    def openocd(self, *commands):
        """The program itself, as a person starts it."""
        argv = [OPENOCD, '-c', 'adapter driver remote_bitbang; remote_bitbang host 127.0.0.1',
                '-c', 'remote_bitbang port ' + self.address().rsplit(':', 1)[1],
                '-c', 'transport select jtag; set WORKAREASIZE 0', '-f', 'target/stm32f1x.cfg',
                '-c', 'gdb_port disabled; tcl_port disabled; telnet_port disabled']
        for c in commands:
            argv += ['-c', c]
        p = subprocess.run(argv, capture_output=True, text=True, errors='replace', timeout=60, cwd=self.dir)
        return p.returncode, p.stdout + p.stderr

    def command(self, action, *args):
        return [line.binary('provctl'), '--json', 'exec', action if '.' in action else 'openocd.' + action, 'port=' + self.address(),
                'target=stm32f1x', 'work_area=0', *args]

    def env(self):
        return dict(os.environ, TMPDIR=self.tmp)

    def exec(self, action, *args):
        """(exit status, the step's record)"""
        p = subprocess.run(self.command(action, *args), capture_output=True, text=True, timeout=120, env=self.env())
        self.assertEqual(os.listdir(self.tmp), [], 'a run directory was left')
        if not p.stdout:
            return p.returncode, {'message': p.stderr}
        run = json.loads(p.stdout)
        return p.returncode, run['steps'][0] if run['steps'] else run

    def passes(self, action, *args):
        status, step = self.exec(action, *args)
        self.assertEqual(status, 0, step)
        self.assertTrue(os.path.samefile(step['evidence']['program'], OPENOCD))
        self.assertRegex(step['evidence']['version'], r'^\d+\.\d+')
        return step['evidence']

    def fails(self, code, action, *args):
        status, step = self.exec(action, *args)
        self.assertEqual(step['code'], code, step)
        self.assertEqual(status, {'failed': 1, 'error': 3}[step['outcome']])
        return step['message']


class Reference(Board):
    """The virtual chip is one to the program that everybody uses."""

    def test_program_verify_reset_exit(self):
        data = line.firmware(5003)
        status, said = self.openocd('program %s verify reset exit' % self.file(hex_file(data), 'fw.hex'))
        self.assertEqual(status, 0, said)
        self.assertIn('** Verified OK **', said)
        self.assertEqual(self.flash(len(data)), data)
        self.assertEqual(self.flash(at=len(data)).strip(b'\xff'), b'')
        self.assertEqual((self.board()['state'], self.board()['refused']), ('running', 0))

    def test_regions_dump_and_erase(self):
        a, b = line.firmware(3000, seed=2), line.firmware(2000, seed=3)
        status, said = self.openocd(
            'init; reset halt', 'flash write_image erase %s 0x08000000' % self.file(a, 'a.bin'),
            'flash write_image erase %s 0x08010000' % self.file(b, 'b.bin'),
            'verify_image a.bin 0x08000000; verify_image b.bin 0x08010000',
            'dump_image d.bin 0x08000000 3000', 'flash erase_address 0x08000000 1024', 'reset run; shutdown')
        self.assertEqual(status, 0, said)
        with open(os.path.join(self.dir, 'd.bin'), 'rb') as f:
            self.assertEqual(f.read(), a)
        self.assertEqual(self.flash(1024), b'\xff' * 1024)
        self.assertEqual(self.flash(3000 - 1024, 1024), a[1024:])
        self.assertEqual(self.flash(2000, 0x10000), b)

    def test_the_cells_are_those_of_real_flash(self):
        """A write into cells that were not erased is refused."""
        path = self.file(line.firmware(512, seed=4), 'a.bin')
        self.openocd('program %s 0x08000000 exit' % path)
        status, said = self.openocd('init; reset halt', 'flash write_image %s 0x08000000' %
                                    self.file(line.firmware(512, seed=5), 'b.bin'), 'shutdown')
        self.assertEqual(status, 1)
        self.assertIn('flash not erased', said)

    def test_openocd_itself_passes_the_wrong_chip_and_skips_what_is_outside(self):
        """Why an exit status is not evidence."""
        self.fault('idcode,count=0')
        status, said = self.openocd('program %s 0x08000000 verify reset exit' % self.file(line.firmware(256)))
        self.assertEqual(status, 0, said)
        self.assertIn('UNEXPECTED', said)
        self.sim.ctl('clear-faults', board='b1')
        status, said = self.openocd('init; reset halt', 'flash write_image erase %s 0x09000000' %
                                    self.file(line.firmware(256)), 'shutdown')
        self.assertEqual(status, 0, said)
        self.assertIn('no flash bank found', said)


class Provd(Board):
    def test_program(self):
        data = line.firmware(5003)
        e = self.passes('program', 'image=' + self.file(hex_file(data), 'fw.hex'))
        self.assertEqual(self.flash(len(data)), data)
        self.assertEqual(e['sha256_image'], line.sha256(data))
        self.assertIn('** Verified OK **', e['lines'])
        self.assertEqual(self.board()['state'], 'running')
        self.assertTrue(any('Adding extra erase range' in w for w in e['warnings']))

    def served(self):
        return [p for p in subprocess.run(['pgrep', '-a', 'openocd'], capture_output=True, text=True).stdout.splitlines()
                if self.address().rsplit(':', 1)[1] in p]

    def test_gdb_load_starts_its_server_and_ends_it(self):
        data = line.firmware(3001)
        load = ('gdb.load', 'serve=openocd', 'transport=jtag', 'image=' + self.file(data), 'address=0x08000000', 'before=reset halt')
        e = self.passes(*load, 'after=reset run')
        self.assertEqual(self.flash(len(data)), data)
        self.assertEqual((e['proof'], e['sha256_read'], self.board()['state']), ('read-back', line.sha256(data), 'running'))
        self.passes('gdb.compare', *load[1:])
        self.assertEqual(self.served(), [])
        for fault, code in (('idcode,count=0', 'wrong-device'), ('no-write,count=0', 'verify-mismatch'), ('no-target,count=0', 'timeout')):
            with self.subTest(fault):
                self.sim.ctl('next', board='b1', gap_ms=100)
                line.wait_for('another unit', lambda: self.board()['plugged'] and self.board()['flash_used'] == 0)
                self.fault(fault)
                self.fails(code, *load)
                self.sim.ctl('clear-faults', board='b1')
                self.assertEqual(self.served(), [])
        p = subprocess.run([line.binary('provctl'), 'exec', 'gdb.load', 'port=' + self.address(), 'target=stm32f1x', 'image=' + self.file(data)],
                           capture_output=True, text=True, timeout=60)
        self.assertIn("add 'serve: openocd'", p.stdout + p.stderr)

    def test_a_raw_binary_needs_its_address(self):
        data = line.firmware(1000)
        self.fails('invalid', 'program', 'image=' + self.file(data))
        self.passes('program', 'image=' + self.file(data), 'address=0x08000400', 'reset=false')
        self.assertEqual(self.flash(1000, 0x400), data)
        self.assertEqual(self.board()['state'], 'halted')

    def test_a_hostile_name_is_a_name_and_no_command(self):
        data = line.firmware(300)
        evil = os.path.join(self.dir, 'evil')
        self.passes('program', 'image=' + self.file(data, 'a [exec touch %s] {$x} ".bin' % evil.replace('/', '_')),
                    'address=0x08000000')
        self.assertEqual(self.flash(300), data)
        for arg in ('target=stm32f1x.cfg; exec touch ' + evil, 'transport=[exec touch %s]' % evil):
            self.assertIn('expected', self.fails('recipe-invalid', 'program', 'image=' + self.file(data),
                                                 'address=0x08000000', arg))
        self.assertFalse(os.path.exists(evil))

    def test_regions_verify_and_dump(self):
        a, b = line.firmware(3001, seed=2), line.firmware(2000, seed=3)
        regions = json.dumps([self.file(a, 'a.bin') + '@0x08000000', self.file(hex_file(b, BASE + 0x10000), 'b.hex')])
        e = self.passes('flash', 'read_back=true', 'regions=' + regions)
        self.assertEqual(self.flash(len(a)), a)
        self.assertEqual(self.flash(len(b), 0x10000), b)
        self.assertEqual(self.flash(0x10000 - len(a), len(a)).strip(b'\xff'), b'')
        self.assertEqual(e['sha256_read'], line.sha256(a + b))
        self.assertEqual(e['verified_bytes'], len(a) + len(b))
        e = self.passes('verify', 'regions=' + regions)
        self.assertEqual(e['sha256_read'], line.sha256(a + b))
        self.assertEqual(self.board()['state'], 'running')
        out = os.path.join(self.dir, 'dump')
        self.passes('dump', 'file=' + out, 'address=0x08000000', 'size=3001')
        with open(out, 'rb') as f:
            self.assertEqual(f.read(), a)

    def test_regions_that_overlap_are_refused(self):
        p = self.file(line.firmware(2000))
        self.assertIn('0x08000400', self.fails('image-range', 'flash', 'regions=' + json.dumps(
            [p + '@0x08000000', p + '@0x08000400'])))
        self.assertEqual(self.board()['sessions'], 0)

    def test_erase_proves_that_it_is_blank(self):
        data = line.firmware(3000)
        self.passes('program', 'image=' + self.file(data), 'address=0x08000000')
        # OpenOCD's driver takes this part's pages for sectors of 4 KiB
        e = self.passes('erase', 'address=0x08000000', 'size=4K')
        self.assertEqual(e['blank'], 'provd: read-back')
        self.assertEqual(self.flash().strip(b'\xff'), b'')

    def test_commands(self):
        uid = self.board()['uid']
        e = self.passes('command', 'commands=' + json.dumps(['mdw 0x1ffff7e8 3', 'echo "got $id"']),
                        'values.id=[shutdown error] {x} $y "z"', 'expect=' + json.dumps(
                            ['^0x1ffff7e8: %s %s %s' % (uid[:8], uid[8:16], uid[16:]),
                             r'^got \[shutdown error\] \{x\} \$y "z"$']))
        self.assertEqual(len(e['lines']), 2)
        self.fails('no-evidence', 'command', 'commands=["mdw 0x1ffff7e8 1"]', 'expect=["deadbeef"]')
        self.fails('recipe-invalid', 'command', 'commands=["nosuchcommand"]', 'expect=["x"]')

    FIELDS = '''otp: an F4
fields:
  mac: {width: 64, bits: clear, address: 0x1fff7800, lock: byte, lock_at: 0x1fff7a00}
  key: {width: 256, bits: clear, address: 0x1fff7820, lock: byte, lock_at: 0x1fff7a01, secret: true}
  set: {width: 64, address: 0x1fff7840, lock: byte, lock_at: 0x1fff7a02}
  odd: {width: 24, bits: clear, address: 0x1fff7840, lock: none}
'''
    # The keys of the flash controller, and PG; afterwards LOCK.
    OPEN = ['open=["mww 0x40022004 0x45670123", "mww 0x40022004 0xcdef89ab", "mww 0x40022010 1"]', 'close=["mww 0x40022010 0x80"]']

    def otp(self, verb, field, *args, open_=True):
        acts = () if verb == 'read' else ('irreversible=yes-i-mean-it', 'uid=0x1ffff7e8', *(self.OPEN if open_ else ()))
        return ('otp_' + verb, 'map=' + self.file(self.FIELDS, 'fields'), 'field=' + field, *acts, *args)

    def cells(self, at, n):
        return self.sim.ctl('state', board='b1')['state']['otp'][2 * at:2 * (at + n)]

    def test_one_time_memory_is_burnt_once_and_locked(self):
        e = self.passes(*self.otp('write', 'mac', 'value=acde480012340000'))
        words = [self.board()['uid'][8 * i:8 * i + 8] for i in range(3)]
        self.assertEqual((e['proof'], e['burnt'], e['unit']), ('read-back', True, b''.join(bytes.fromhex(w)[::-1] for w in words).hex()))
        self.assertEqual((self.cells(0, 9), self.board()['otp_writes']), ('acde480012340000ff', 2))
        e = self.passes(*self.otp('write', 'mac', 'value=acde480012340000'))
        self.assertEqual((e['proof'], e['burnt']), ('observed', False))
        self.fails('otp-conflict', *self.otp('write', 'mac', 'value=acde480012340001'))
        self.fails('otp-half-burnt', *self.otp('write', 'mac', 'value=0000000000000000'))
        self.fails('otp-conflict', *self.otp('lock', 'mac', 'value=acde480012340001'))
        self.assertEqual((self.cells(0, 9), self.board()['otp_writes']), ('acde480012340000ff', 2))
        e = self.passes(*self.otp('lock', 'mac', 'value=acde480012340000'))
        self.assertEqual((e['proof'], e['locked'], self.cells(512, 2)), ('read-back', 'locked', '00ff'))
        self.fails('otp-locked', *self.otp('write', 'mac', 'value=0000000000000000', 'complete=true'))
        e = self.passes(*self.otp('read', 'mac'))
        self.assertEqual((e['value'], e['locked']), ('acde480012340000', 'locked'))
        self.assertEqual(self.board()['state'], 'running')

    def test_one_time_memory_refuses_what_does_not_fit_before_openocd_starts(self):
        for args, says in ((('set', 'value=0011223344556677'), 'not one that a debugger reaches'), (('odd', 'value=001122'), 'whole units'),
                           (('mac', 'value=0011'), 'does not fit'), (('mac', 'value=0011223344556677', 'unit=16'), 'whole units')):
            status, run = self.exec(*self.otp('write', *args))
            self.assertEqual((status, run['steps'] if 'steps' in run else run['code']), (3, 'recipe-invalid' if 'whole' in says else []), run)
            self.assertIn(says, run['message'])
        self.assertEqual(self.board()['sessions'], 0)
        self.fails('recipe-invalid', *self.otp('read', 'key'))

    def test_one_time_memory_that_does_not_take_the_value_is_no_pass(self):
        self.fault('no-write,count=0')
        self.fails('read-back-mismatch', *self.otp('write', 'mac', 'value=acde480012340000'))
        self.sim.ctl('clear-faults', board='b1')
        self.assertIn('no bit of it is burnt', self.fails('read-back-mismatch', *self.otp('write', 'mac', 'value=acde480012340000', open_=False)))
        self.assertEqual((self.cells(0, 8), self.board()['otp_writes']), ('ff' * 8, 0))
        self.assertIn("'open'", self.fails('tool-failed', *self.otp('write', 'mac', 'value=acde480012340000', 'open=["mww 1 2 3 4 5"]')))
        self.assertEqual(self.board()['otp_writes'], 0)
        self.assertIn('all alike', self.fails('unsupported', *self.otp('write', 'mac', 'value=acde480012340000', 'uid=0x1fff7900')))

    def test_a_probe_that_leaves_in_the_middle_of_a_burn_leaves_half_of_it(self):
        """At whatever access: what is burnt is the value, a part that ends the unit, or nothing that is written again."""
        seen = set()
        for at in range(1, 200, 6):
            self.fault('vanish=%d' % at)
            status, step = self.exec(*self.otp('write', 'mac', 'value=acde480012340000'))
            self.sim.ctl('clear-faults', board='b1')
            if not self.board()['link']:
                self.sim.ctl('plug', board='b1')
            cells = self.cells(0, 8)
            seen.add((status == 0, cells))
            self.assertIn(cells, ('ff' * 8, 'acde4800' + 'ff' * 4, 'acde480012340000'))
            self.assertTrue(status != 0 or cells == 'acde480012340000', step)
        self.assertIn((False, 'ff' * 8), seen)
        self.assertIn((False, 'acde4800' + 'ff' * 4), seen)
        self.fails('otp-half-burnt', *self.otp('write', 'mac', 'value=acde480012340000'))
        e = self.passes(*self.otp('write', 'mac', 'value=acde480012340000', 'complete=true'))
        self.assertEqual((e['before'], e['proof'], self.cells(0, 8)), ('part', 'read-back', 'acde480012340000'))

    def test_a_secret_that_is_burnt_is_in_no_command_line_file_or_record(self):
        key = '7ea1d0' + '8899aabbccddeeff' * 3 + '7ea1d00042'
        seen, stop = [], threading.Event()

        def watch():
            while not stop.is_set():
                for path in glob.glob('/proc/[0-9]*/cmdline') + glob.glob(self.tmp + '/*/*'):
                    try:
                        with open(path, 'rb') as f:
                            seen.append((path, f.read()))
                    except OSError:
                        pass
        thread = threading.Thread(target=watch)
        thread.start()
        recipe = self.file('''recipe: burn
version: 1
ports: {probe: {kind: tcp}}
steps:
  - id: key
    action: openocd.otp_write
    with: {port: probe, target: stm32f1x, work_area: 0, map: '%s', field: key, value: '%s', irreversible: yes-i-mean-it,
           uid: 0x1ffff7e8, %s}
''' % (self.file(self.FIELDS, 'fields'), key, ', '.join(x.replace('=', ': ', 1) for x in self.OPEN)), 'burn.yaml')
        try:
            p = subprocess.run([line.binary('provctl'), '--json', 'recipe', 'run', recipe, '--port', 'probe=' + self.address()],
                               capture_output=True, text=True, timeout=120, env=self.env())
        finally:
            stop.set()
            thread.join()
        self.assertEqual(p.returncode, 0, p.stdout + p.stderr)
        self.assertEqual(self.cells(32, 32), key)
        self.assertTrue(any(b'openocd' in data for _, data in seen))
        words = [bytes.fromhex(key[i:i + 8])[::-1].hex().lstrip('0') for i in (0, 24)]
        for needle in [key[:16]] + words:
            self.assertNotIn(needle, p.stdout + p.stderr)
            self.assertEqual([path for path, data in seen if needle.encode() in data or bytes.fromhex(key[:16]) in data], [])

    def test_verify_sees_a_single_bit(self):
        data = line.firmware(2000)
        self.passes('program', 'image=' + self.file(data), 'address=0x08000000')
        other = bytearray(data)
        other[1234] ^= 1
        self.fails('verify-mismatch', 'verify', 'regions=' + json.dumps([self.file(bytes(other), 'o.bin') + '@0x08000000']))

    def test_faults_of_chip_and_probe(self):
        image = ['image=' + self.file(line.firmware(2000)), 'address=0x08000000']
        for fault, code in (('erase,count=0', 'device-refused'), ('prog,count=0', 'device-refused'),
                            ('no-write,count=0', 'verify-mismatch'), ('verify,count=0', 'verify-mismatch'),
                            ('idcode,count=0', 'wrong-device'), ('no-target,count=0', 'timeout')):
            with self.subTest(fault):
                self.fault(fault)
                self.fails(code, 'program', *image)
                self.sim.ctl('clear-faults', board='b1')
        address = self.address()
        self.fault('vanish=2000')
        self.fails('device-gone', 'program', *image)
        self.sim.ctl('clear-faults', board='b1')
        self.address = lambda: address
        self.fails('port-unbound', 'program', *image)  # nothing listens any more

    def test_what_lies_partly_outside_is_refused_before_the_erase(self):
        before = self.flash()
        end = 0x08000000 + len(before)
        for at in (end - 128, end, 0x09000000, 0x07ffff80):
            image = self.file(line.firmware(256))
            for action, args in (('program', ['image=' + image, 'address=0x%x' % at]),
                                 ('flash', ['regions=' + json.dumps(['%s@0x%x' % (image, at)])])):
                status, step = self.exec(action, *args)
                self.assertEqual((status, step['code']), (3, 'image-range'), step)
                self.assertIn('nothing was written', step['message'])
                self.assertNotIn('Verified OK', json.dumps(step['evidence']))
                self.assertEqual(self.flash(), before)
        self.passes('program', 'image=' + self.file(line.firmware(256)), 'address=0x%x' % (end - 256))

    def test_what_lies_outside_of_the_flash_is_no_pass(self):
        self.fails('image-range', 'program', 'image=' + self.file(line.firmware(256)), 'address=0x09000000')
        self.fails('image-range', 'flash', 'regions=' + json.dumps([self.file(line.firmware(256)) + '@0x09000000']))

    def test_an_unknown_target_file_is_the_recipes_mistake(self):
        self.fails('recipe-invalid', 'program', 'image=' + self.file(line.firmware(256)), 'address=0x08000000',
                   'target=nosuch')

    def test_gdb_load_through_openocds_gdb_server(self):
        """Its memory map and flash packets, which QEMU does not have."""
        argv = [OPENOCD, '-c', 'adapter driver remote_bitbang; remote_bitbang host 127.0.0.1',
                '-c', 'remote_bitbang port ' + self.address().rsplit(':', 1)[1],
                '-c', 'transport select jtag; set WORKAREASIZE 0', '-f', 'target/stm32f1x.cfg',
                '-c', 'gdb_port 0; tcl_port disabled; telnet_port disabled']
        server = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=self.dir,
                                  preexec_fn=line._with_parent)
        self.addCleanup(server.stderr.close)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        port = next(m.group(1) for m in (re.search(r'port (\d+) for gdb', said) for said in server.stderr) if m)
        threading.Thread(target=server.stderr.read, daemon=True).start()
        data = line.firmware(3001)
        path = self.file(hex_file(data), 'fw.hex')

        def gdb(action, *args):
            p = subprocess.run([line.binary('provctl'), '--json', 'exec', 'gdb.' + action, 'port=tcp:127.0.0.1:' + port,
                                'image=' + path, 'before=reset halt', *args], capture_output=True, text=True, timeout=60)
            return p.returncode, json.loads(p.stdout)['steps'][0]
        status, step = gdb('load')
        self.assertEqual(status, 0, step)
        self.assertEqual(self.flash(len(data)), data)
        self.assertEqual(step['evidence']['flash_bytes'], len(data))
        self.assertEqual(step['evidence']['sha256_read'], line.sha256(data))
        self.fault('verify=64,count=0')
        status, step = gdb('compare')
        self.assertEqual((status, step['code']), (1, 'verify-mismatch'), step)

    def test_a_cancel_leaves_nothing_within_a_second(self):
        p = subprocess.Popen(self.command('program', 'image=' + self.file(line.firmware(120000)), 'address=0x08000000'),
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.env())
        self.addCleanup(p.wait)
        self.addCleanup(p.kill)
        line.wait_for('it writes', lambda: self.board()['writes'] > 500)
        child = self.child_of(p.pid)
        start = time.monotonic()
        p.send_signal(signal.SIGINT)
        p.communicate(timeout=10)
        self.assertLess(time.monotonic() - start, 1.5)
        self.assertEqual(p.returncode, 4)
        self.assertFalse(os.path.exists('/proc/%d' % child))
        self.assertEqual(os.listdir(self.tmp), [])

    def test_openocd_dies_with_who_started_it(self):
        p = subprocess.Popen(self.command('program', 'image=' + self.file(line.firmware(120000)), 'address=0x08000000'),
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.env())
        line.wait_for('it writes', lambda: self.board()['writes'] > 500)
        child = self.child_of(p.pid)
        p.kill()
        p.communicate()
        line.wait_for('openocd has gone', lambda: not os.path.exists('/proc/%d' % child), 5)

    def child_of(self, pid):
        return line.wait_for('a child', lambda: children(pid))[0]


RECIPE = '''recipe: probe
version: 1
title: Bootloader through a debug probe
unit: {model: probe-1}
ports: {probe: {kind: any}}
artifacts: {bootloader: boot.bin}
steps:
  - id: bootloader
    action: openocd.program
    with: {port: probe, target: stm32f1x, work_area: 0, image: '${artifacts.bootloader}', address: 0x08000000}
    timeout: 100s
'''


def children(pid):
    """Process ids of all that it started."""
    found = []
    for path in glob.glob('/proc/%d/task/*/children' % pid):
        with open(path) as f:
            found += [int(x) for x in f.read().split()]
    return found


@unittest.skipUnless(OPENOCD, 'openocd is missing (scripts/install-deps test)')
class Row(unittest.TestCase):
    """Sixteen stations at once: no port and no file is shared, and killing provd leaves no tool."""

    def setUp(self):
        self.line = line.Line(stations=0, boards=STATIONS, sim_args=('--device', 'jtag', '--link', 'tcp'))
        self.addCleanup(self.line.close)
        with open(os.path.join(self.line.home, 'stations.d', 'line.yaml'), 'w') as f:
            f.write('stations:\n' + ''.join(
                "  - {id: P%d, ports: {probe: {path: 'platform-provsim-usb-0:1.%d'}}}\n" % (i, i)
                for i in range(1, STATIONS + 1)))

    def start(self, data):
        self.line.start()
        self.line.put_firmware(data, 'boot.bin')
        self.line.put_recipe(RECIPE)
        return self.line.api.post('/jobs', {'recipe': 'probe', 'quantity': STATIONS})['id']

    def test_all_pass(self):
        data = line.firmware(2000)
        job = self.start(data)
        self.line.job_done(job, 100)
        runs = self.line.api.all('/runs')
        self.assertEqual([r['outcome'] for r in runs], ['passed'] * STATIONS, runs)
        for b in self.line.sim.boards():
            with open(os.path.join(self.line.sim.boards_dir, b['board'], 'flash.bin'), 'rb') as f:
                self.assertEqual(f.read(len(data)), data, b)

    def test_killing_provd_leaves_no_openocd(self):
        self.start(line.firmware(100000))
        line.wait_for('all write', lambda: all(b['writes'] > 50 for b in self.line.sim.boards()))
        tools = children(self.line.provd.process.pid)
        self.assertEqual(len(tools), STATIONS)
        self.line.provd.kill()
        line.wait_for('all have gone', lambda: not any(os.path.exists('/proc/%d' % p) for p in tools), 10)
        scratch = os.path.join(self.line.home, 'state', 'scratch')
        left = os.listdir(scratch)
        self.assertEqual(len(left), STATIONS)
        self.line.start()
        self.assertFalse(set(left) & set(os.listdir(scratch)))


@unittest.skipUnless(OPENOCD, 'openocd is missing (scripts/install-deps test)')
class Stay(unittest.TestCase):
    """An OpenOCD that stays from unit to unit (stay: true)."""

    def setUp(self):
        self.line = line.Line(stations=0, boards=1, sim_args=('--device', 'jtag', '--link', 'tcp'))
        self.addCleanup(self.line.close)
        self.sim = self.line.sim
        address = self.sim.boards()[0]['link'][4:]
        with open(os.path.join(self.line.home, 'stations.d', 'line.yaml'), 'w') as f:
            f.write("stations:\n  - {id: P1, start: manual, ports: {probe: {kind: probe, tcp: '%s'}}}\n" % address)
        self.line.start()
        self.line.put_firmware(line.firmware(200), 'boot.bin')
        self.line.put_recipe(RECIPE)
        self.line.put_recipe(RECIPE.replace('recipe: probe', 'recipe: stay').replace('work_area: 0', 'work_area: 0, stay: true'))
        self.runs = 0

    def provision(self, recipe='stay'):
        """One run; its record and its step's."""
        self.line.api.post('/jobs', {'recipe': recipe, 'quantity': 1})
        line.wait_for('P1 is ready', lambda: self.line.api.get('/stations/P1')['state'] in ('ready', 'done'))
        self.line.api.post('/stations/P1/actions/start')
        self.runs += 1
        runs = line.wait_for('the run ends', lambda: (lambda r: r if len(r) == self.runs else None)(
            self.line.api.get('/runs?state=finished')['items']))
        run = max(runs, key=lambda r: r['id'])
        return run, self.line.api.get('/runs/%s/steps' % run['id'])['items'][0]

    def passes(self, recipe='stay'):
        run, step = self.provision(recipe)
        self.assertEqual(run['outcome'], 'passed', step)
        return step

    def board(self):
        return self.sim.boards()[0]

    def tools(self):
        return children(self.line.provd.process.pid)

    def test_it_is_started_once_and_ends_with_provd(self):
        first = self.passes()
        tools = self.tools()
        self.assertEqual(len(tools), 1)
        again = [self.passes() for _ in range(3)]
        self.assertEqual([s['evidence']['server_jobs'] for s in [first] + again], [1, 2, 3, 4])
        self.assertEqual(self.board()['sessions'], 1)
        self.assertEqual(self.tools(), tools)
        alone = [self.passes('probe') for _ in range(2)]
        self.assertEqual(self.tools(), [], 'it held the probe')
        self.passes()
        tools = self.tools()
        self.line.provd.term()
        self.assertFalse(os.path.exists('/proc/%d' % tools[0]))

    def test_a_failure_starts_it_anew_and_no_failure_is_hidden(self):
        self.passes()
        self.sim.ctl('fault', board='b1', fault='no-write,count=0')
        run, step = self.provision()
        self.assertEqual((run['outcome'], run['code']), ('failed', 'verify-mismatch'), step)
        self.assertEqual(self.tools(), [])
        self.sim.ctl('clear-faults', board='b1')
        self.assertEqual(self.passes()['evidence']['server_jobs'], 1)
        self.sim.ctl('fault', board='b1', fault='idcode,count=0')
        run, step = self.provision()
        self.assertEqual(run['code'], 'wrong-device', step)

    def test_one_that_was_killed_is_replaced(self):
        self.passes()
        for p in self.tools():
            os.kill(p, signal.SIGKILL)
        self.assertEqual(self.passes()['evidence']['server_jobs'], 1)

    def test_it_does_not_outlive_provd(self):
        self.passes()
        tools = self.tools()
        self.line.provd.kill()
        line.wait_for('it has gone', lambda: not any(os.path.exists('/proc/%d' % p) for p in tools), 10)


if __name__ == '__main__':
    line.main()
