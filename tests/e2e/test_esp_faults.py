#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each thing that can go wrong while esp.flash is at work, once and for ever: no false pass, the right code, no hang.

    test_esp_faults.py [BUILD]
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
AT = 0x10000
OLD, NEW = line.firmware(6000, 1), line.firmware(6000, 2)

FAULTS = {
    # what may come of it, once and for ever (None: not asked)
    'silent=0x0a': ({'passed'}, None),
    'silent=0x10': ({'passed'}, {'timeout'}),
    'silent=0x11': ({'passed'}, None),
    'silent=0x13': ({'passed'}, None),
    'late=0x0a': ({'passed'}, None),
    'late=0x10': ({'passed'}, None),
    'late=0x11': ({'passed'}, None),
    'late=0x13': ({'passed'}, {'timeout'}),
    'twice=0x0a': ({'passed'}, {'protocol', 'passed'}),
    'twice=0x11': ({'passed'}, {'protocol'}),
    'twice=0x13': ({'passed'}, {'passed'}),
    'refuse=0x10': ({'passed'}, {'device-refused'}),
    'refuse=0x11': ({'passed'}, {'device-refused'}),
    'refuse=0x13': ({'passed'}, {'device-refused'}),
    'refuse=0x0d': ({'device-refused'}, {'device-refused'}),
    'bad-sum': ({'passed'}, {'protocol'}),
    'wrong-md5': ({'passed'}, {'verify-mismatch'}),
    'weak-cell=65600': ({'verify-mismatch'}, {'verify-mismatch'}),
    'bit-rot=65600': ({'verify-mismatch'}, {'verify-mismatch'}),
    'no-erase': ({'verify-mismatch'}, {'verify-mismatch'}),
    'noise': ({'passed'}, {'passed', 'protocol', 'timeout'}),
    'cut': ({'passed'}, None),
    'resets=0x11': ({'passed'}, {'timeout'}),
    'resets=0x13': ({'passed'}, None),
    'drop=3000': ({'passed'}, None),
    'flip=3000': ({'passed'}, None),
    'drop-reply=100': ({'passed'}, None),
    'flip-reply=100': ({'passed'}, None),
    'stall=3000': ({'timeout'}, None),
    'disappear=3000': ({'device-gone'}, {'device-gone'}),
    'swap=3000': ({'device-gone', 'wrong-device', 'timeout'}, None),
}


class Matrix(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix='provd-esp-')
        self.addCleanup(shutil.rmtree, self.dir)
        self.links = os.path.join(self.dir, 'links')
        self.sim = line.Sim(self.dir, BOARDS, '--device', 'esp', '--esp-flash', '256K', '--links', self.links)
        self.addCleanup(self.sim.stop)
        self.free = queue.Queue()
        for k in range(BOARDS):
            self.free.put('b%d' % (k + 1))
        for name, data in (('old', OLD), ('new', NEW)):
            with open(os.path.join(self.dir, name), 'wb') as f:
                f.write(data)

    def exec(self, board, name):
        p = subprocess.run([line.binary('provctl'), '--json', 'exec', 'esp.flash', 'port=tty:' + os.path.join(self.links, board),
                            'images.0x%x=%s' % (AT, os.path.join(self.dir, name))],
                           capture_output=True, text=True, timeout=LIMIT_S + 30)
        return p.returncode, json.loads(p.stdout)['steps'][0]

    def holds(self, board, data):
        path = os.path.join(self.dir, 'boards', board, 'flash.bin')
        if not os.path.exists(path):
            return False
        with open(path, 'rb') as f:
            f.seek(AT)
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
        return None if step['evidence']['proof'] == 'md5' else 'a pass without a digest'

    def test_no_fault_passes_for_success_and_each_has_its_code(self):
        cells = [(fault, once) for fault, (once, _) in FAULTS.items()]
        cells += [(fault + ',count=0', ever) for fault, (_, ever) in FAULTS.items() if ever]
        # The slow ones first, so that none of them is alone at the end.
        cells.sort(key=lambda c: not ('late' in c[0] or 'silent' in c[0] or 'resets' in c[0] or 'stall' in c[0]))
        with concurrent.futures.ThreadPoolExecutor(BOARDS) as pool:
            wrong = [(c[0], w) for c, w in zip(cells, pool.map(lambda c: self.one(*c), cells)) if w]
        self.assertEqual(wrong, [])


if __name__ == '__main__':
    unittest.main()
