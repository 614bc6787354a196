#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""MCUmgr on a unit's console: an image that MCUboot starts, from the upload to its confirmation, and what can go wrong. There is no
client of it in Debian or npm: recorded bytes are in tests/unit/transports/test_smp.c.

    test_mcumgr.py [BUILD]
"""
import concurrent.futures
import hashlib
import json
import os
import queue
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

if len(sys.argv) > 1 and os.path.isdir(sys.argv[1]):
    os.environ['PROVD_BUILD'] = os.path.abspath(sys.argv.pop(1))

import line


def image(version=(2, 0, 0), size=20000, seed=1):
    """(file, hash) as imgtool makes it"""
    b = struct.pack('<IIHHIIBBHII', 0x96f3b83d, 0, 512, 0, size, 0, *version, 0, 0).ljust(512, b'\0')
    b += random.Random(seed).randbytes(size)
    digest = hashlib.sha256(b).digest()
    entries = struct.pack('<HH', 0x10, 32) + digest + struct.pack('<HH', 0x22, 70) + bytes(70)
    return b + struct.pack('<HH', 0x6907, 4 + len(entries)) + entries, digest.hex()


FAULTS = {
    # what may come of upload, test and reset, with the fault once and for ever (None: not asked)
    'silent=0x101': ({'passed'}, {'timeout'}),
    'silent=0x100': ({'passed'}, {'timeout'}),
    'silent=0x005': ({'passed'}, None),
    'late=0x101': ({'passed'}, None),
    'late=0x100': ({'passed'}, None),
    'twice=0x101': ({'passed'}, {'passed'}),
    'twice=0x100': ({'passed'}, {'passed'}),
    'refuse=0x101': ({'device-refused'}, None),
    'refuse=0x100': ({'device-refused'}, None),
    'refuse=0x005': ({'device-refused'}, None),
    'wrong-seq': ({'passed'}, {'timeout'}),
    'bad-crc': ({'passed'}, {'timeout'}),
    'noise': ({'passed'}, {'passed'}),
    'cut': ({'passed'}, None),
    'forget': ({'passed'}, {'device-refused'}),
    'bit-rot=9000': ({'verify-mismatch'}, None),
    'no-swap': ({'verify-mismatch'}, None),
    'drop=5000': ({'passed'}, None),
    'flip=5000': ({'passed'}, None),
    'stall=5000': ({'timeout'}, None),
    'disappear=5000': ({'device-gone'}, None),
}


class Boards(unittest.TestCase):
    boards = 1

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix='provd-mcumgr-')
        self.addCleanup(shutil.rmtree, self.dir)
        self.links = os.path.join(self.dir, 'links')
        self.sim = line.Sim(self.dir, self.boards, '--device', 'mcumgr', '--links', self.links, '--boot-ms', '50')
        self.addCleanup(self.sim.stop)

    def file(self, data, name='fw.bin'):
        path = os.path.join(self.dir, name)
        with open(path, 'wb') as f:
            f.write(data)
        return path

    def exec(self, board, action, *args):
        """(exit status, the step's record)"""
        p = subprocess.run([line.binary('provctl'), '--json', 'exec', 'mcumgr.' + action, 'port=tty:' + os.path.join(self.links, board),
                            *args], capture_output=True, text=True, timeout=120)
        said = json.loads(p.stdout)
        return p.returncode, said['steps'][0] if said['steps'] else said

    def passes(self, action, *args):
        status, step = self.exec('b1', action, *args)
        self.assertEqual(status, 0, step)
        self.assertTrue(step['evidence'])
        return step['evidence']

    def fails(self, code, action, *args):
        status, step = self.exec('b1', action, *args)
        self.assertEqual(step['code'], code, step)
        self.assertNotEqual(status, 0)
        return step['message']

    def board(self, name='b1'):
        return self.sim.ctl('state', board=name)['state']


class Provd(Boards):
    def test_an_image_is_uploaded_tested_and_kept(self):
        data, digest = image()
        self.passes('echo')
        e = self.passes('upload', 'image=' + self.file(data))
        self.assertEqual((e['version'], e['images'][1]['hash']), ('2.0.0', digest))
        self.passes('test', 'hash=' + digest)
        self.assertNotEqual(self.passes('reset', 'hash=' + digest)['before'], digest)
        self.assertFalse(self.board()['confirmed'])
        self.passes('confirm', 'hash=' + digest)
        self.passes('reset', 'hash=' + digest)
        self.assertEqual(self.board()['hash'], digest)
        self.assertEqual(self.passes('images')['images'][0]['version'], '2.0.0')

    def test_an_image_that_nobody_confirms_goes_at_the_next_reset(self):
        data, digest = image()
        self.passes('upload', 'image=' + self.file(data))
        self.passes('test', 'hash=' + digest)
        self.passes('reset', 'hash=' + digest)
        self.assertIn('MCUboot did not start it', self.fails('verify-mismatch', 'reset', 'hash=' + digest))

    def test_what_is_no_image_is_refused_before_the_unit_is_spoken_to(self):
        data, digest = image()
        self.assertIn('imgtool', self.fails('preflight', 'upload', 'image=' + self.file(line.firmware(5000))))
        self.assertIn('damaged', self.fails('preflight', 'upload', 'image=' + self.file(data[:3000] + b'x' + data[3001:])))
        self.assertIn('cut off', self.fails('preflight', 'upload', 'image=' + self.file(data[:-1])))
        self.assertEqual(self.board()['requests'], 0)
        self.fails('not-found', 'test', 'hash=' + digest)
        self.fails('invalid', 'confirm', 'hash=12')

    def test_only_the_image_that_runs_is_confirmed(self):
        data, digest = image()
        self.passes('upload', 'image=' + self.file(data))
        self.fails('read-back-mismatch', 'confirm', 'hash=' + digest)
        self.assertNotIn('pending', self.passes('images')['images'][1])


class Faults(Boards):
    boards = 8

    def one(self, fault, want):
        """What is wrong with it, or None."""
        board = self.free.get()
        try:
            self.sim.ctl('clear-faults', board=board)
            self.sim.ctl('plug', board=board)
            line.wait_for(board, lambda: os.path.exists(os.path.join(self.links, board)))
            self.sim.ctl('fault', board=board, fault=fault)
            step = {}
            for action in (('upload', 'erase=4s', 'image=' + self.path), ('test', 'hash=' + self.digest),
                           ('reset', 'hash=' + self.digest, 'ready=8s')):
                status, step = self.exec(board, *action)
                if status:
                    break
            state = self.board(board)
            got = 'passed' if step['outcome'] == 'passed' else step['code']
            if not state['faults_fired']:
                return 'the fault did not come: %s' % step
            if got not in want:
                return 'not among %s: %s' % (want, step)
            if got == 'passed' and state.get('hash') != self.digest:
                return 'a pass on a wrong board'
            return None if got == 'passed' or step['message'] else 'no sentence for the operator'
        finally:
            self.sim.ctl('swap', board=board, gap_ms=1)
            self.free.put(board)

    def test_no_fault_passes_for_success_and_each_has_its_code(self):
        data, self.digest = image()
        self.path = self.file(data)
        self.free = queue.Queue()
        for k in range(self.boards):
            self.free.put('b%d' % (k + 1))
        cells = [(fault, once) for fault, (once, _) in FAULTS.items()]
        cells += [(fault + ',count=0', ever) for fault, (_, ever) in FAULTS.items() if ever]
        cells.sort(key=lambda c: not ('late' in c[0] or 'silent' in c[0] or 'stall' in c[0]))
        with concurrent.futures.ThreadPoolExecutor(self.boards) as pool:
            wrong = [(c[0], w) for c, w in zip(cells, pool.map(lambda c: self.one(*c), cells)) if w]
        self.assertEqual(wrong, [])


if __name__ == '__main__':
    unittest.main()
