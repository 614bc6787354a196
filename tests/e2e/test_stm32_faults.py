#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each thing that can go wrong while stm32.flash is at work, once and for ever: no false pass, the
right code, no hang.

    test_stm32_faults.py [BUILD]
"""
import concurrent.futures
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

if len(sys.argv) > 1 and os.path.isdir(sys.argv[1]):
    os.environ['PROVD_BUILD'] = os.path.abspath(sys.argv.pop(1))

import line

BOARDS = 8
LIMIT_S = 60
OLD, NEW = line.firmware(3000, 1), line.firmware(3000, 2)

FAULTS = {
    # what may come of it, once and for ever: passed, or these codes
    'nack-command=0x31': ({'passed'}, {'device-refused'}),
    'nack-command=0x11': ({'passed', 'device-refused'}, {'device-refused'}),
    'nack-command=0x44': ({'passed'}, {'device-refused'}),
    'nack-command=0x00': ({'passed'}, {'device-refused'}),
    'nack-address': ({'passed'}, {'device-refused'}),
    'nack-data': ({'passed'}, {'device-refused'}),
    'silent=0x31': ({'passed'}, {'timeout'}),
    'silent=0x11': ({'passed'}, {'timeout'}),
    'silent=0x44': ({'passed'}, {'timeout'}),
    'silent=0x02': ({'passed'}, {'timeout'}),
    'extra-ack': ({'passed'}, {'passed'}),
    'garbage': ({'passed'}, {'protocol', 'timeout'}),
    'busy=5': ({'passed'}, {'passed'}),
    'gap=400': ({'passed'}, {'passed'}),
    'short-read': ({'passed'}, {'timeout', 'protocol'}),
    'lost-ack': ({'passed'}, {'timeout', 'passed'}),
    'half-write': ({'passed'}, {'timeout', 'protocol', 'device-refused', 'verify-mismatch'}),
    'read-flip=300': ({'passed'}, {'verify-mismatch'}),
    'weak-cell=300': ({'passed', 'verify-mismatch'}, {'verify-mismatch'}),
    'no-erase': ({'passed'}, {'verify-mismatch', 'device-refused', 'protocol'}),
    'stall=700': ({'timeout'}, {'timeout'}),
    'drop=700': ({'passed'}, None),
    'flip=700': ({'passed'}, None),
    'disappear=700': ({'device-gone'}, {'device-gone'}),
    'swap=700': ({'device-gone', 'timeout'}, None),
}

# The same for stm32.otp_write, once: what is burnt is read back, and no fault makes it burn twice.
VALUE = 'acde480012340001'
MAP = b'otp: F4\nfields: {mac: {width: 64, bits: clear, address: 0x1fff7800, lock: none}}\n'
OTP_FAULTS = {
    'nack-command=0x31': {'device-refused'},
    'nack-command=0x11': {'unsupported'},  # a part that does not read does not say who it is
    'nack-address': {'passed', 'device-refused'},
    'nack-data': {'device-refused'},
    'silent=0x31': {'passed', 'timeout'},
    'silent=0x11': {'passed', 'timeout', 'unsupported'},
    'garbage': {'passed', 'protocol'},
    'busy=5': {'passed'},
    'gap=400': {'passed'},
    'short-read': {'passed', 'timeout', 'protocol'},
    'lost-ack': {'passed'},
    'half-write': {'otp-half-burnt'},
    'stall=60': {'timeout'},
    'disappear=60': {'device-gone'},
}


class Matrix(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix='provd-stm32-')
        self.addCleanup(shutil.rmtree, self.dir)
        self.links = os.path.join(self.dir, 'links')
        self.sim = line.Sim(self.dir, BOARDS, '--device', 'stm32-uart', '--stm32-pid', '0x413', '--links', self.links)
        self.addCleanup(self.sim.stop)
        self.free = queue.Queue()
        for k in range(BOARDS):
            self.free.put('b%d' % (k + 1))
        for name, data in (('old', OLD), ('new', NEW), ('map', MAP)):
            with open(os.path.join(self.dir, name), 'wb') as f:
                f.write(data)

    def exec(self, board, name):
        return self.provctl(board, 'stm32.flash', 'image=' + os.path.join(self.dir, name))

    def provctl(self, board, action, *args):
        p = subprocess.run([line.binary('provctl'), '--json', 'exec', action, 'parity=none',
                            'port=tty:' + os.path.join(self.links, board), *args],
                           capture_output=True, text=True, timeout=LIMIT_S + 30)
        return p.returncode, json.loads(p.stdout)['steps'][0]

    def holds(self, board, data):
        path = os.path.join(self.dir, 'boards', board, 'flash.bin')
        if not os.path.exists(path):
            return False
        with open(path, 'rb') as f:
            return f.read(len(data)) == data

    def fresh(self, board):
        self.sim.ctl('clear-faults', board=board)
        self.sim.ctl('plug', board=board)
        line.wait_for(board, lambda: os.path.exists(os.path.join(self.links, board)))
        self.sim.ctl('reset', board=board)
        status, step = self.exec(board, 'old')
        assert status == 0, step
        self.sim.ctl('reset', board=board)

    def one(self, fault, want):
        """What is wrong with it, or None."""
        board = self.free.get()
        try:
            self.fresh(board)
            self.sim.ctl('fault', board=board, fault=fault)
            begun = time.monotonic()
            status, step = self.exec(board, 'new')
            took = time.monotonic() - begun
            if not self.sim.ctl('state', board=board)['state']['faults_fired']:
                return 'the fault did not come: %s' % step
            return self.judge(step, status, took, want, self.holds(board, NEW))
        finally:
            self.free.put(board)

    def judge(self, step, status, took, want, holds):
        got = 'passed' if step['outcome'] == 'passed' else step['code']
        if status != {'passed': 0, 'failed': 1, 'error': 3}[step['outcome']]:
            return 'exit status %d: %s' % (status, step)
        if got not in want:
            return 'not among %s: %s' % (want, step)
        if took > LIMIT_S:
            return 'took %.0f s' % took
        if got != 'passed':
            return None if step['message'] else 'no sentence for the operator'
        if not holds:
            return 'a pass on a wrong board'
        return None if step['evidence']['sha256_read'] == line.sha256(NEW) else 'the evidence is not of the image'

    def burn(self, fault, want):
        """What is wrong with it, or None."""
        board = self.free.get()
        try:
            self.fresh(board)
            before = self.sim.ctl('state', board=board)['state']['otp_writes']
            assert before == 0, 'a board is used once'
            self.sim.ctl('fault', board=board, fault=fault)
            status, step = self.provctl(board, 'stm32.otp_write', 'map=' + os.path.join(self.dir, 'map'), 'field=mac',
                                        'value=' + VALUE, 'irreversible=yes-i-mean-it')
            state = self.sim.ctl('state', board=board)['state']
            got = 'passed' if step['outcome'] == 'passed' else step['code']
            if got not in want:
                return 'not among %s: %s' % (want, step)
            if state['otp_writes'] > 1:
                return 'burnt %d times' % state['otp_writes']
            if status == 0 and not state['otp'].startswith(VALUE):
                return 'a pass on a wrong part'
            return None
        finally:
            self.sim.ctl('swap', board=board, gap_ms=1)
            self.free.put(board)

    def test_no_fault_burns_twice_or_passes_for_a_burn(self):
        with concurrent.futures.ThreadPoolExecutor(BOARDS) as pool:
            wrong = [(c[0], w) for c, w in zip(OTP_FAULTS.items(), pool.map(lambda c: self.burn(*c), OTP_FAULTS.items())) if w]
        self.assertEqual(wrong, [])

    def test_no_fault_passes_for_success_and_each_has_its_code(self):
        cells = [(fault, once) for fault, (once, _) in FAULTS.items()]
        cells += [(fault + ',count=0', ever) for fault, (_, ever) in FAULTS.items() if ever]
        with concurrent.futures.ThreadPoolExecutor(BOARDS) as pool:
            wrong = [(c[0], w) for c, w in zip(cells, pool.map(lambda c: self.one(*c), cells)) if w]
        self.assertEqual(wrong, [])


if __name__ == '__main__':
    unittest.main()
