#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The UART boot ROM of an STM32: the real stm32flash against provsim's board first, then provd's
actions against the same, and what each of them says on the wire.

    test_stm32.py [BUILD]
"""
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

if len(sys.argv) > 1 and os.path.isdir(sys.argv[1]):
    os.environ['PROVD_BUILD'] = os.path.abspath(sys.argv.pop(1))

import line
import stm32_wire

BASE = 0x08000000
STM32FLASH = shutil.which('stm32flash')


class Board(unittest.TestCase):
    """One virtual board; self.link is its pty."""
    settings = ('--stm32-pid', '0x413')

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix='provd-stm32-')
        self.addCleanup(shutil.rmtree, self.dir)
        self.plug(*self.settings)

    def plug(self, *settings):
        links = os.path.join(self.dir, 'links')
        self.sim = line.Sim(self.dir, 1, '--device', 'stm32-uart', '--links', links, *settings)
        self.addCleanup(self.sim.stop)
        self.link = os.path.join(links, 'b1')

    def board(self):
        return self.sim.boards()[0]

    def fault(self, spec):
        self.sim.ctl('fault', board='b1', fault=spec)

    def again(self):
        """Power off and on: BOOT0 leads into the ROM."""
        self.sim.ctl('reset', board='b1')

    def flash(self, n=None, at=0):
        """What the cells hold, from the board's own file."""
        with open(os.path.join(self.dir, 'boards', 'b1', 'flash.bin'), 'rb') as f:
            data = f.read()
        return data[at:] if n is None else data[at:at + n]

    def file(self, data, name='fw.bin'):
        path = os.path.join(self.dir, name)
        with open(path, 'wb') as f:
            f.write(data)
        return path

    def stm32flash(self, *args, link=None, ok=True):
        p = subprocess.run([STM32FLASH, '-m', '8n1', *args, link or self.link], capture_output=True, text=True,
                           timeout=60)
        self.assertEqual(p.returncode == 0, ok, p.stdout + p.stderr)
        return p.stdout

    def exec(self, action, *args, link=None, parity='none'):
        """(exit status, the step's record)"""
        p = subprocess.run([line.binary('provctl'), '--json', 'exec', 'stm32.' + action, 'port=tty:' + (link or self.link),
                            'parity=' + parity, *args], capture_output=True, text=True, timeout=120)
        if p.returncode == 2 and not p.stdout:
            return 2, {'message': p.stderr}
        return p.returncode, json.loads(p.stdout)['steps'][0]

    def passes(self, action, *args, link=None):
        status, step = self.exec(action, *args, link=link)
        self.assertEqual(status, 0, step)
        self.assertTrue(step['evidence'])
        return step['evidence']

    def fails(self, codes, action, *args):
        status, step = self.exec(action, *args)
        self.assertIn(step['code'], codes, step)
        self.assertEqual(status, {'failed': 1, 'error': 3}[step['outcome']])
        self.assertTrue(step['message'])
        return step


@unittest.skipUnless(STM32FLASH, 'stm32flash is missing (scripts/install-deps test)')
class Reference(Board):
    """The virtual board is one to the program that everybody uses."""

    def test_info(self):
        text = self.stm32flash()
        self.assertIn('Device ID    : 0x0413', text)
        self.assertIn('Version      : 0x31', text)

    def test_write_verify_and_go(self):
        data = line.firmware(50001)
        self.stm32flash('-w', self.file(data), '-v', '-g', '0x0')
        self.assertEqual(self.flash(len(data)), data)
        self.assertEqual(self.board()['state'], 'application')

    def test_read(self):
        data = line.firmware(3000)
        self.stm32flash('-w', self.file(data))
        out = os.path.join(self.dir, 'out')
        self.stm32flash('-S', '0x08000000:3000', '-r', out)
        with open(out, 'rb') as f:
            self.assertEqual(f.read(), data)

    def test_erase(self):
        self.stm32flash('-w', self.file(line.firmware(3000)))
        self.stm32flash('-o')
        self.assertEqual(self.flash().strip(b'\xff'), b'')

    def test_read_protection_on_and_off(self):
        self.stm32flash('-w', self.file(line.firmware(3000)))
        self.stm32flash('-j')
        self.assertTrue(self.board()['read_protected'])
        self.again()
        self.stm32flash('-k')
        self.assertFalse(self.board()['read_protected'])
        self.assertEqual(self.flash().strip(b'\xff'), b'')

    def test_a_wrong_cell_is_seen_by_its_verify(self):
        self.fault('weak-cell=300,count=0')
        self.stm32flash('-w', self.file(line.firmware(1000)), '-v', '-n', '1', ok=False)


class Reference410(Reference):
    """The same with the short erase command."""
    settings = ('--stm32-pid', '0x410')

    def test_info(self):
        self.assertIn('Device ID    : 0x0410', self.stm32flash())


class Provd(Board):
    def test_info(self):
        e = self.passes('info', 'expect_pid=0x413')
        self.assertEqual((e['pid'], e['flash_size'], e['flash_size_from']), ('0x413', 1 << 20, 'register'))
        self.assertEqual(e['uid'], self.board()['uid'][:24])
        self.fails(['wrong-device'], 'info', 'expect_pid=0x410')

    def test_flash_and_go(self):
        data = line.firmware(50001)
        e = self.passes('flash', 'image=' + self.file(data), 'go=true')
        self.assertEqual(self.flash(len(data)), data)
        self.assertEqual((e['sha256_written'], e['sha256_read']), (line.sha256(data),) * 2)
        self.assertEqual(self.board()['state'], 'application')

    def test_an_elf_or_hex_file_goes_where_it_says(self):
        hexfile = self.file(b':020000040800F2\n:0400100001020304E2\n:044000000506070 8A2\n:00000001FF\n'.replace(b' ', b''),
                            'fw.hex')
        e = self.passes('flash', 'image=' + hexfile)
        self.assertEqual(self.flash(4, 0x10), b'\1\2\3\4')
        self.assertEqual(self.flash(4, 0x4000), b'\5\6\7\x08')
        self.assertEqual((e['pages'], e['image']['segment_count']), (2, 2))
        self.fails(['invalid'], 'flash', 'image=' + hexfile, 'address=0x08000000')

    def test_read(self):
        data = line.firmware(3000)
        self.passes('flash', 'image=' + self.file(data))
        out = os.path.join(self.dir, 'out')
        e = self.passes('read', 'size=3000', 'file=' + out)
        with open(out, 'rb') as f:
            self.assertEqual(f.read(), data)
        self.assertEqual(e['sha256'], line.sha256(data))

    def test_erase_all_and_a_range(self):
        data = line.firmware(20000)
        self.passes('flash', 'image=' + self.file(data))
        e = self.passes('erase', 'what=range', 'address=0x08000000', 'size=16K')
        self.assertEqual(e['blank_bytes'], 16384)
        self.assertEqual(self.flash(16384).strip(b'\xff'), b'')
        self.assertEqual(self.flash(20000 - 16384, 16384), data[16384:])
        self.fails(['invalid'], 'erase', 'what=range', 'address=0x08000000', 'size=5000')
        self.passes('erase')
        self.assertEqual(self.flash().strip(b'\xff'), b'')

    def test_protection(self):
        data = self.file(line.firmware(3000))
        self.passes('flash', 'image=' + data)
        self.assertTrue(self.passes('protect', 'what=readout')['reads_refused'])
        self.assertIn('read protection', self.fails(['device-refused'], 'flash', 'image=' + data)['message'])
        self.assertIn('wipe', self.fails(['recipe-invalid'], 'unprotect', 'what=readout')['message'])
        e = self.passes('unprotect', 'what=readout', 'wipe=true')
        self.assertEqual(e['blank_bytes'], 1 << 20)
        self.passes('protect', 'what=write', 'sectors=0', 'sectors=1')
        self.fails(['verify-mismatch'], 'flash', 'image=' + data)
        self.passes('unprotect', 'what=write')
        self.passes('flash', 'image=' + data)

    def test_unchanged_pages_are_left_alone(self):
        data = bytearray(line.firmware(200000))
        self.passes('flash', 'image=' + self.file(data))
        before = self.board()['erases']
        data[150000] ^= 0xff
        e = self.passes('flash', 'image=' + self.file(data), 'skip_equal=true')
        self.assertEqual((e['pages'], e['pages_equal'], e['pages_erased']), (6, 5, 1))
        self.assertEqual(self.board()['erases'] - before, 1)
        self.assertEqual(self.flash(len(data)), bytes(data))

    def test_a_link_without_parity_is_never_used_silently(self):
        status, step = self.exec('info', parity='even')
        self.assertEqual((status, step['code']), (3, 'unsupported'))
        self.assertIn('parity', step['message'])

    def test_nothing_is_written_outside_of_the_flash(self):
        size = 1 << 20
        step = self.fails(['image-range'], 'flash', 'image=' + self.file(bytes(range(1, 9))),
                          'address=0x%08x' % (BASE + size - 4))
        self.assertIn('0x08100000 lies outside', step['message'])
        self.assertEqual(self.board()['erases'], 0)


class OneTime(Board):
    """The one-time memory of an F4, over power cycles."""
    MAP = b'otp: F4\nfields:\n  mac: {width: 64, bits: clear, address: 0x1fff7820, lock: byte, lock_at: 0x1fff7a01}\n'
    MEANT = 'irreversible=yes-i-mean-it'
    VALUE = 'acde480012340001'

    def otp(self, verb, *args):
        return self.passes('otp_' + verb, 'map=' + self.file(self.MAP, 'map'), 'field=mac', *args)

    def writes(self):
        return self.sim.ctl('state', board='b1')['state']['otp_writes']

    def test_a_field_is_burnt_and_locked_once(self):
        self.assertEqual(self.otp('write', 'value=' + self.VALUE, self.MEANT)['proof'], 'read-back')
        self.again()
        self.assertEqual(self.otp('write', 'value=' + self.VALUE, self.MEANT)['proof'], 'observed')
        self.again()
        self.assertEqual(self.otp('lock', 'value=' + self.VALUE, self.MEANT)['proof'], 'read-back')
        self.again()
        self.assertEqual(self.otp('read')['value'], self.VALUE)
        self.again()
        self.assertEqual(self.otp('lock', 'value=' + self.VALUE, self.MEANT)['proof'], 'observed')
        self.assertEqual(self.writes(), 2)

    @unittest.skipUnless(STM32FLASH, 'stm32flash is missing (scripts/install-deps test)')
    def test_what_is_burnt_is_what_stm32flash_reads(self):
        self.otp('write', 'value=' + self.VALUE, self.MEANT)
        self.again()
        out = os.path.join(self.dir, 'out')
        self.stm32flash('-S', '0x1fff7820:8', '-r', out)
        with open(out, 'rb') as f:
            self.assertEqual(f.read(), bytes.fromhex(self.VALUE))

    def test_half_a_burn_is_found_and_not_written_over(self):
        self.fault('half-write')
        args = ('map=' + self.file(self.MAP, 'map'), 'field=mac', 'value=' + self.VALUE, self.MEANT)
        self.fails({'otp-half-burnt'}, 'otp_write', *args)
        self.again()
        self.fails({'otp-half-burnt'}, 'otp_write', *args)
        self.assertEqual(self.writes(), 1)


class Provd410(Board):
    settings = ('--stm32-pid', '0x410', '--stm32-banner', 'app v7 ready')

    def test_flash_with_the_short_erase_and_the_line_of_the_application(self):
        data = line.firmware(30000)
        e = self.passes('flash', 'image=' + self.file(data), 'go=true', r'ready=^app v(\d+) ready$')
        self.assertEqual(self.flash(len(data)), data)
        self.assertEqual(e['ready'], 'app v7 ready')

    def test_an_application_that_says_nothing_does_not_pass(self):
        status, step = self.exec('flash', 'image=' + self.file(line.firmware(100)), 'go=true', 'ready=^other$',
                                 'ready_timeout=1s')
        self.assertEqual(status, 1)
        self.assertIn(step['code'], ('timeout', 'unexpected-reply'))


class ProvdUnknown(Board):
    settings = ('--stm32-pid', '0x999', '--stm32-pages', '4K', '--stm32-flash', '64K')

    def test_a_part_that_no_table_has_is_flashed_when_it_is_described(self):
        data = line.firmware(9000)
        self.assertIn('PID 0x999', self.fails(['unsupported'], 'flash', 'image=' + self.file(data))['message'])
        self.passes('flash', 'image=' + self.file(data), 'pages=4K', 'flash_size=64K')
        self.assertEqual(self.flash(len(data)), data)


@unittest.skipUnless(STM32FLASH, 'stm32flash is missing (scripts/install-deps test)')
class Transcripts(Board):
    """What both say on the wire for the same order; the differences are those of docs/transports.md."""

    def tapped(self, what):
        tap = stm32_wire.Tap(self.link)
        try:
            what(tap.link)
        finally:
            tap.close()
        content = self.flash()
        self.sim.stop()
        shutil.rmtree(os.path.join(self.dir, 'boards'))
        self.plug(*self.settings)
        return stm32_wire.commands(tap.host), content

    def both(self, data):
        path = self.file(data)
        theirs = self.tapped(lambda link: self.stm32flash('-w', path, '-v', '-g', '0x0', link=link))
        ours = self.tapped(lambda link: self.passes('flash', 'image=' + path, 'go=true', link=link))
        return theirs, ours

    def compare(self, data):
        (theirs, their_flash), (ours, our_flash) = self.both(data)
        self.assertEqual(hashlib.sha256(our_flash).hexdigest(), hashlib.sha256(their_flash).hexdigest())
        self.assertEqual(our_flash[:len(data)], data)

        def only(kind, commands):
            return [c for c in commands if c[0] == kind]
        # The same frames; provd's first block is the last.
        self.assertEqual(sorted(only('write', ours)), sorted(only('write', theirs)))
        self.assertEqual(only('write', ours), only('write', theirs)[1:] + only('write', theirs)[:1])
        self.assertEqual(sorted(p for c in only('erase', ours) for p in c[1]),
                         sorted(p for c in only('erase', theirs) for p in c[1]))
        self.assertEqual(only('go', ours), [('go', BASE)])
        self.assertEqual(only('go', theirs), [('go', BASE)])
        # provd reads back after the last write, everything; stm32flash each block after its write.
        last = max(i for i, c in enumerate(ours) if c[0] == 'write')
        covered = set()
        for c in ours[last:]:
            if c[0] == 'read':
                covered.update(range(c[1], c[1] + c[2]))
        self.assertTrue(covered >= set(range(BASE, BASE + len(data))))
        return theirs, ours

    def test_the_frames_of_1001_bytes(self):
        theirs, ours = self.compare(line.firmware(1001))
        self.assertEqual(sorted(len(c[2]) for c in ours if c[0] == 'write'), [236, 256, 256, 256])

    def test_the_frames_of_several_sectors(self):
        self.compare(line.firmware(70000))


class Stopped(Board):
    settings = ('--stm32-pid', '0x413', '--baud', '115200')

    def started(self):
        p = subprocess.Popen([line.binary('provctl'), '--json', 'exec', 'stm32.flash', 'port=tty:' + self.link,
                              'parity=none', 'image=' + self.file(line.firmware(200000))], stdout=subprocess.PIPE)
        self.addCleanup(lambda: p.poll() is None and p.kill())
        line.wait_for('blocks are written', lambda: self.board()['writes'] > 3)
        return p

    def test_a_cancel_ends_it_within_a_second(self):
        p = self.started()
        p.send_signal(signal.SIGINT)
        begun = time.monotonic()
        out, _ = p.communicate(timeout=10)
        self.assertLess(time.monotonic() - begun, 1)
        self.assertEqual(p.returncode, 4)
        self.assertEqual(json.loads(out)['code'], 'aborted')

    def test_a_pulled_plug_ends_it_within_a_second(self):
        p = self.started()
        begun = time.monotonic()
        self.sim.ctl('unplug', board='b1')
        out, _ = p.communicate(timeout=10)
        self.assertLess(time.monotonic() - begun, 1)
        self.assertEqual((p.returncode, json.loads(out)['code']), (3, 'device-gone'))


if __name__ == '__main__':
    unittest.main()
