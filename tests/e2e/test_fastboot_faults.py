#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each fault of the virtual fastboot device at each command of a session: a pass over partitions
that hold what was sent, or a failure with a code that fits. Never a pass on a wrong partition,
never a hang.

    test_fastboot_faults.py [BUILD]

One pass proves less, and says so: a device that has no fetch and answers OKAY to a flash that went
wrong passes with proof: acknowledged (rot). Where it has fetch, it may not.
"""
import concurrent.futures
import os
import signal
import subprocess
import time
import unittest

import fastboot_bench
import line
from fastboot_bench import Bench

IMAGE = line.firmware(300000, 21) + bytes(100000) + line.firmware(123456, 22)
SHORT = ('flash_timeout=1s', 'download_timeout=1s')
WORKERS = 10
LIMIT_S = 45

# version, unlocked, has-slot, current-slot, max-download-size, is-logical, version, partition-size,
# download, flash, version, then reading back
SYNCS = (6, 10)
OUT_OF_STEP = {'protocol', 'timeout'}
REFUSED = {'device-refused', 'unsupported'}
# fault with %d for the number of the command: codes that fit
AT_COMMAND = {
    'fail=%d': REFUSED,
    'long-fail=%d': REFUSED,
    'silence=%d': {'timeout'},
    'garbage=%d': {'protocol'},
    'split=%d': {'protocol'},
    'merge=%d': {'timeout'},
    'twice=%d': {'protocol', 'unexpected-reply'},     # by when the second one comes
}
ONCE = {
    'info=100': None,  # passes
    'text': None,
    'late=300': None,
    'late=7000': {'timeout'},
    'data-size=1': {'protocol'},
    'data-size=4096': {'protocol'},
    'data-garbage': {'protocol'},
    'hangup=0': {'device-gone'},
    'hangup=1000': {'device-gone'},
    'hangup=500000': {'device-gone'},
    'stall=0': {'timeout'},
    'stall=400000': {'timeout'},
    'rot=5000': {'verify-mismatch'},
    'rot=350000': {'verify-mismatch'},
}


def one(link, fault, codes, args, device):
    """(what was wrong or None, outcome) of one flash under one fault."""
    with Bench(link, *device) as b:
        image = b.file('image', IMAGE)
        b.fault(fault)
        begin = time.monotonic()
        status, step, whole = b.exec('fastboot.flash', 'partition=boot', 'image=' + image, *SHORT, *args)
        took = time.monotonic() - begin
        name = '%s %s %s' % (link, fault, ' '.join(args))
        holds = b.partition('boot_a', len(IMAGE)) == IMAGE
        if took > LIMIT_S / 2:
            return '%s: took %.0f s' % (name, took), whole['code']
        if whole['passed']:
            if not holds:
                return '%s: passed over a wrong partition' % name, 'passed'
            if codes and fault.split('=')[0] not in ('fail', 'long-fail', 'twice', 'silence', 'garbage', 'split', 'merge'):
                return '%s: passed, %s expected' % (name, codes), 'passed'
            return None, 'passed'
        if codes is None:
            return '%s: %s: %s, a pass expected' % (name, whole['code'], whole['message']), whole['code']
        if whole['code'] not in codes:
            return '%s: %s: %s, one of %s expected' % (name, whole['code'], whole['message'], codes), whole['code']
        if not whole['message']:
            return '%s: no sentence' % name, whole['code']
        # What was begun and failed is said to be damaged; what was not begun is not.
        told = 'damaged' in whole['message']
        if told and b.partition('boot_a') == bytes(8 << 20) and 'silence' not in fault and 'merge' not in fault \
                and 'late' not in fault and fault.split('=')[0] not in ('fail', 'long-fail', 'garbage', 'split'):
            return '%s: called damaged, is blank' % name, whole['code']
        return None, whole['code']


class Matrix(unittest.TestCase):
    def run_all(self, jobs):
        wrong, outcomes = [], {}
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            futures = [pool.submit(one, *j) for j in jobs]
            for f in concurrent.futures.as_completed(futures):
                bad, outcome = f.result()
                outcomes[outcome] = outcomes.get(outcome, 0) + 1
                if bad:
                    wrong.append(bad)
        print('\n%d runs: %s' % (len(jobs), ', '.join('%s %d' % x for x in sorted(outcomes.items()))))
        self.assertEqual(wrong, [])

    def test_each_fault_at_each_command_over_tcp(self):
        fetch = ('--fetch', '2')
        # A refusal where the version is asked again is an answer that belongs to another question.
        jobs = [('tcp', f % n, codes | ({'protocol'} if n in SYNCS else set()), (), fetch)
                for f, codes in AT_COMMAND.items() for n in range(14)]
        jobs += [('tcp', f, codes, (), fetch) for f, codes in ONCE.items()]
        # In pieces: a byte of each download, and only the last piece's rot stays.
        jobs += [('tcp', f, codes, ('limit=256K',), fetch) for f, codes in ONCE.items()
                 if '=' in f and f not in ('hangup=500000', 'stall=400000', 'rot=5000', 'rot=350000')]
        self.run_all(jobs)

    def test_the_same_over_udp(self):
        fetch = ('--fetch', '2')
        # UDP cannot look ahead: an answer too many is only seen by what the next ones say.
        jobs = [('udp', f % n, codes | OUT_OF_STEP | {'unexpected-reply'}, (), fetch)
                for f, codes in AT_COMMAND.items() for n in (0, 2, 6, 8, 9, 10)]
        jobs += [('udp', f, codes and codes | {'timeout', 'device-gone'}, (), fetch) for f, codes in ONCE.items()]
        self.run_all(jobs)

    def test_without_fetch_a_rotten_flash_passes_only_as_acknowledged(self):
        with Bench('tcp') as b:
            b.fault('rot=100')
            step = b.passes('fastboot.flash', 'partition=boot', 'image=' + b.file('image', IMAGE))
            self.assertNotEqual(b.partition('boot_a', len(IMAGE)), IMAGE)
            self.assertEqual(step['outputs']['proof'], 'acknowledged')
            b.fails('device-refused', 'fetch', 'fastboot.flash', 'partition=boot',
                    'image=' + b.file('image', IMAGE), 'verify=fetch')

    def test_a_piece_that_fails_leaves_a_partition_that_is_called_damaged(self):
        with Bench('tcp') as b:
            b.fault('fail=11')  # flash of the second piece
            b.fails('device-refused', 'partition boot_a is damaged (piece 2 of', 'fastboot.flash', 'partition=boot',
                    'image=' + b.file('image', IMAGE), 'limit=128K')
            # It begins again from the first piece.
            b.passes('fastboot.flash', 'partition=boot', 'image=' + b.file('image', IMAGE), 'limit=128K')
            self.assertEqual(b.partition('boot_a', len(IMAGE)), IMAGE)


class Restarts(unittest.TestCase):
    def test_a_device_that_does_not_come_back_and_another_that_does(self):
        for link in ('tcp', 'udp'):
            with Bench(link) as b:
                b.fault('lost')
                b.fails('device-gone', '', 'fastboot.reboot', 'to=bootloader', 'wait=3s')
            with Bench(link) as b:
                b.fault('swap-reboot')
                b.fails('wrong-device', 'expected', 'fastboot.reboot', 'to=bootloader', 'wait=8s')

    def test_userspace_that_is_not_reached(self):
        with Bench('tcp') as b:
            b.fault('no-userspace')
            b.fails('unexpected-reply', 'fastbootd', 'fastboot.reboot', 'to=fastboot')
        files = fastboot_bench.package(super_empty_img=b'gDla' + bytes(8188))
        for fault, code in (('no-userspace', 'unexpected-reply'), ('lie-userspace,count=0', 'device-refused'),
                            ('lost', 'device-gone'), ('swap-reboot', 'wrong-device')):
            with Bench('tcp') as b:
                zip_path = fastboot_bench.write_zip(os.path.join(b.home, 'p.zip'), files)
                b.fault(fault)
                b.fails(code, '', 'fastboot.flashall', 'package=' + zip_path, 'wait=3s')
                if fault != 'swap-reboot':
                    self.assertEqual(b.partition('system_a'), bytes(24 << 20))

    def test_a_factory_image_whose_device_is_lost_or_another_after_its_bootloader(self):
        package = fastboot_bench.package('require product=provsim\nrequire version-bootloader=sim-2.0\n')
        for fault, code in (('lost', 'device-gone'), ('swap-reboot', 'wrong-device')):
            with Bench('tcp') as b:
                image = fastboot_bench.write_zip(os.path.join(b.home, 'f.zip'), fastboot_bench.factory(b.home, package))
                b.fault(fault)
                b.fails(code, 'before the package: task 2 of 4 (reboot bootloader)', 'fastboot.flashall', 'package=' + image, 'wait=3s')
                self.assertNotIn('flash:radio', b.commands())


class Quick(unittest.TestCase):
    def test_a_cancel_ends_it_within_a_second(self):
        for link in ('tcp', 'udp'):
            with Bench(link) as b:
                b.fault('stall=1000')
                p = subprocess.Popen([line.binary('provctl'), 'exec', 'fastboot.flash', '--json', 'port=' + b.link,
                                      'partition=boot', 'image=' + b.file('image', IMAGE)],
                                     stdout=subprocess.PIPE, preexec_fn=line._with_parent)
                line.wait_for('the download has begun', lambda: any(
                    c.startswith('download') for c in b.commands()))
                begin = time.monotonic()
                p.send_signal(signal.SIGINT)
                out, _ = p.communicate(timeout=LIMIT_S)
                self.assertLess(time.monotonic() - begin, 1.0)
                self.assertEqual(p.returncode, 4, out)

    def test_a_device_that_leaves_is_noticed_within_a_second(self):
        with Bench('tcp') as b:
            b.fault('hangup=200000')
            begin = time.monotonic()
            b.fails('device-gone', '', 'fastboot.flash', 'partition=boot', 'image=' + b.file('image', IMAGE))
            self.assertLess(time.monotonic() - begin, 1.5)


if __name__ == '__main__':
    line.main()
