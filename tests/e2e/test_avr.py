#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""AVRs with a serial bootloader: avrdude against provsim's boards first, then provd's actions against the same, what each of them says
on the wire, and what can go wrong.

    test_avr.py [BUILD]
"""
import concurrent.futures
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import unittest

if len(sys.argv) > 1 and os.path.isdir(sys.argv[1]):
    os.environ['PROVD_BUILD'] = os.path.abspath(sys.argv.pop(1))

import line
import stm32_wire

AVRDUDE = shutil.which('avrdude')


def pages_v1(host):
    """[(byte address, data)] of what a host wrote by STK500 v1"""
    sizes = {0x41: 3, 0x42: 22, 0x45: 7, 0x55: 4, 0x56: 6, 0x74: 5}
    found, at, high, address = [], 0, 0, 0
    while at < len(host):
        c = host[at]
        n = 5 + int.from_bytes(host[at + 1:at + 3], 'big') if c == 0x64 else sizes.get(c, 2)
        frame = bytes(host[at:at + n])
        assert frame[-1] == 0x20, (at, frame)
        if c == 0x56 and frame[1] == 0x4d:
            high = frame[3]
        elif c == 0x55:
            address = 2 * (high << 16 | int.from_bytes(frame[1:3], 'little'))
        elif c == 0x64:
            found.append((address, frame[4:-1]))
        at += n
    return found


def pages_v2(host):
    """The same by STK500 v2"""
    found, at, address = [], 0, 0
    while at < len(host):
        n = int.from_bytes(host[at + 2:at + 4], 'big')
        assert host[at] == 0x1b and host[at + 4] == 0x0e, at
        body = bytes(host[at + 5:at + 5 + n])
        if body[0] == 0x06:
            address = 2 * (int.from_bytes(body[1:5], 'big') & 0x7fffffff)
        elif body[0] == 0x13:
            found.append((address, body[10:]))
            address += len(body) - 10
        at += 6 + n
    return found


class Board(unittest.TestCase):
    part, name, protocol, programmer, pages = 'm328p', 'ATmega328P', 'stk500v1', 'arduino', staticmethod(pages_v1)
    boards = 1

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix='provd-avr-')
        self.addCleanup(shutil.rmtree, self.dir)
        self.links = os.path.join(self.dir, 'links')
        self.sim = line.Sim(self.dir, self.boards, '--device', 'avr', '--avr-part', self.part, '--avr-protocol', self.protocol[-1],
                            '--links', self.links)
        self.addCleanup(self.sim.stop)
        self.link = os.path.join(self.links, 'b1')

    def file(self, data, name='fw.bin'):
        path = os.path.join(self.dir, name)
        with open(path, 'wb') as f:
            f.write(data)
        return path

    def flash(self, n, board='b1'):
        with open(os.path.join(self.dir, 'boards', board, 'flash.bin'), 'rb') as f:
            return f.read(n)

    def exec(self, action, *args, link=None):
        """(exit status, the step's record)"""
        p = subprocess.run([line.binary('provctl'), '--json', 'exec', 'avr.' + action, 'port=tty:' + (link or self.link),
                            'protocol=' + self.protocol, *args], capture_output=True, text=True, timeout=90)
        said = json.loads(p.stdout)
        return p.returncode, said['steps'][0] if said['steps'] else said

    def passes(self, action, *args, link=None):
        status, step = self.exec(action, *args, link=link)
        self.assertEqual(status, 0, step)
        self.assertTrue(step['evidence'])
        return step['evidence']

    def fails(self, code, action, *args):
        status, step = self.exec(action, *args)
        self.assertEqual(step['code'], code, step)
        self.assertNotEqual(status, 0)
        return step['message']

    def avrdude(self, path, link=None, ok=True):
        p = subprocess.run([AVRDUDE, '-c', self.programmer, '-p', self.part, '-P', link or self.link, '-b', '115200', '-D', '-U',
                            'flash:w:%s:r' % path], capture_output=True, text=True, timeout=60)
        self.assertEqual(p.returncode == 0, ok, p.stderr)
        return p.stderr


class Provd(Board):
    def test_info(self):
        e = self.passes('info', 'part=' + self.name)
        self.assertEqual(e['part'], self.name)
        self.fails('wrong-device', 'info', 'part=ATmega8')

    def test_flash_and_start(self):
        data = line.firmware(9001)
        e = self.passes('flash', 'image=' + self.file(data))
        self.assertEqual(self.flash(len(data)), data)
        self.assertEqual(e['sha256_written'], e['sha256_read'])
        self.assertEqual(self.sim.boards()[0]['state'], 'application')

    def test_a_hex_file_goes_where_it_says(self):
        path = self.file(b':040100000102030 4F1\n:00000001FF\n'.replace(b' ', b''), 'fw.hex')
        self.passes('flash', 'image=' + path)
        self.assertEqual(self.flash(0x104)[0x100:], b'\1\2\3\4')

    def test_the_bootloader_stays(self):
        size = {'m328p': 32768, 'm2560': 262144}[self.part]
        self.assertIn('bootloader', self.fails('image-range', 'flash', 'image=' + self.file(line.firmware(size - 100))))
        self.assertEqual(self.sim.boards()[0]['writes'], 0)


class Provd2560(Provd):
    part, name, protocol, programmer, pages = 'm2560', 'ATmega2560', 'stk500v2', 'wiring', staticmethod(pages_v2)


@unittest.skipUnless(AVRDUDE, 'avrdude is missing (scripts/install-deps test)')
class Reference(Board):
    def test_avrdude_writes_and_verifies(self):
        data = line.firmware(3001)
        self.assertIn('3001 bytes of flash verified', self.avrdude(self.file(data)))
        self.assertEqual(self.flash(len(data)), data)

    def test_a_rotten_cell_is_seen_by_its_verify(self):
        self.sim.ctl('fault', board='b1', fault='bit-rot=300,count=0')
        self.avrdude(self.file(line.firmware(1000)), ok=False)

    def tapped(self, what):
        tap = stm32_wire.Tap(self.link)
        try:
            what(tap.link)
        finally:
            tap.close()
        self.sim.ctl('reset', board='b1')
        return self.pages(tap.host)

    def test_both_write_the_same_pages(self):
        data = line.firmware(3001)
        path = self.file(data)
        theirs = self.tapped(lambda link: self.avrdude(path, link))
        ours = self.tapped(lambda link: self.passes('flash', 'image=' + path, link=link))
        self.assertEqual(ours, theirs)
        self.assertEqual(b''.join(d for _, d in ours)[:len(data)], data)


class Reference2560(Reference):
    part, name, protocol, programmer, pages = 'm2560', 'ATmega2560', 'stk500v2', 'wiring', staticmethod(pages_v2)


# What may come of it, once and for ever (None: not asked); WRITE and READ are the commands.
FAULTS = {
    'silent=WRITE': ({'passed'}, {'timeout'}),
    'silent=READ': ({'passed'}, {'timeout'}),
    'late=WRITE': ({'passed'}, None),
    'late=READ': ({'passed'}, None),
    'twice=WRITE': ({'passed'}, None),
    'twice=READ': ({'passed'}, None),
    'refuse=WRITE': ({'passed'}, {'device-refused'}),
    'noise': ({'passed'}, None),
    'short': ({'passed'}, {'timeout', 'protocol'}),
    'weak-cell=300': ({'passed', 'verify-mismatch'}, {'verify-mismatch'}),
    'bit-rot=300': ({'passed', 'verify-mismatch'}, {'verify-mismatch'}),
    'read-flip=300': ({'passed'}, {'verify-mismatch'}),
    'drop=900,phase=read': ({'passed', 'timeout', 'verify-mismatch', 'protocol'}, None),
    'flip=900': ({'passed', 'protocol', 'device-refused', 'verify-mismatch', 'timeout'}, None),
    'stall=900': ({'timeout'}, None),
    'disappear=900': ({'device-gone'}, None),
}


class Faults(Board):
    boards = 8
    numbers = {'WRITE': '0x64', 'READ': '0x74'}

    def one(self, fault, want):
        """What is wrong with it, or None."""
        board = self.free.get()
        link = os.path.join(self.links, board)
        try:
            self.sim.ctl('clear-faults', board=board)
            self.sim.ctl('plug', board=board)
            line.wait_for(board, lambda: os.path.exists(link))
            self.sim.ctl('reset', board=board)
            status, step = self.exec('flash', 'image=' + self.old, link=link)
            assert status == 0, step
            self.sim.ctl('reset', board=board)
            for name, number in self.numbers.items():
                fault = fault.replace(name, number)
            self.sim.ctl('fault', board=board, fault=fault)
            status, step = self.exec('flash', 'image=' + self.new, link=link)
            if not self.sim.ctl('state', board=board)['state']['faults_fired']:
                return 'the fault did not come: %s' % step
            got = 'passed' if step['outcome'] == 'passed' else step['code']
            if got not in want:
                return 'not among %s: %s' % (want, step)
            if got == 'passed' and self.flash(len(self.data), board) != self.data:
                return 'a pass on a wrong board'
            return None if got == 'passed' or step['message'] else 'no sentence for the operator'
        finally:
            self.free.put(board)

    def test_no_fault_passes_for_success_and_each_has_its_code(self):
        self.data = line.firmware(3000, 2)
        self.old, self.new = self.file(line.firmware(3000, 1), 'old.bin'), self.file(self.data, 'new.bin')
        self.free = queue.Queue()
        for k in range(self.boards):
            self.free.put('b%d' % (k + 1))
        cells = [(fault, once) for fault, (once, _) in FAULTS.items()]
        cells += [(fault + ',count=0', ever) for fault, (_, ever) in FAULTS.items() if ever]
        cells.sort(key=lambda c: not ('late' in c[0] or 'silent' in c[0] or 'stall' in c[0]))
        with concurrent.futures.ThreadPoolExecutor(self.boards) as pool:
            wrong = [(c[0], w) for c, w in zip(cells, pool.map(lambda c: self.one(*c), cells)) if w]
        self.assertEqual(wrong, [])


class Faults2560(Faults):
    part, name, protocol, programmer, pages = 'm2560', 'ATmega2560', 'stk500v2', 'wiring', staticmethod(pages_v2)
    numbers = {'WRITE': '0x13', 'READ': '0x14'}


if __name__ == '__main__':
    unittest.main()
