#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Instruments by VXI-11 and HiSLIP: Debian's lxi first (VXI-11, with the portmapper at port 111 of a network of the test's own), then
provd on the same, with each fault; late answers; a multiplexer.

There is no second client for HiSLIP: liblxi 1.18 has the name of it and no more, and Debian 12 has no other.

    test_lxi.py [BUILD]
"""
import concurrent.futures
import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import unittest

if len(sys.argv) > 1 and os.path.isdir(sys.argv[1]):
    os.environ['PROVD_BUILD'] = os.path.abspath(sys.argv.pop(1))

import line

LXI = os.path.join(line.ROOT, 'sim', 'scpi', 'virtual_lxi.py')
KINDS = ('vxi11', 'hislip')


class Instrument:
    """provsim's meter, and what makes a LAN instrument of it."""

    def __init__(self, case, *args, faults=(), settings=()):
        self.home = tempfile.mkdtemp(prefix='provd-lxi-')
        case.addCleanup(shutil.rmtree, self.home)
        self.sim = line.Sim(self.home, 1, '--device', 'meter', '--link', 'tcp', '--meter-gain', '1.01', *settings)
        case.addCleanup(self.sim.stop)
        for f in faults:
            args += ('--fault', f)
        self.process = subprocess.Popen([sys.executable, LXI, '--meter', self.sim.boards()[0]['link'][4:], *args],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=line._with_parent)
        case.addCleanup(self.stop)
        self.ports = json.loads(self.process.stdout.readline())

    def stop(self):
        self.process.communicate(timeout=line.DEADLINE_S)

    def calls(self):
        self.process.stdin.write('calls\n')
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def fault(self, fault):
        self.sim.ctl('fault', board='b1', fault=fault)

    def address(self, kind):
        return '%s:127.0.0.1:%d' % (kind, self.ports[kind])


class Bench(unittest.TestCase):
    def do(self, address, action, *args):
        """(exit status, the run, its last step)"""
        done = subprocess.run([line.binary('provctl'), '--json', 'exec', action, 'instrument=meter', *args],
                              env=dict(os.environ, PROVD_INSTRUMENT_meter=address), capture_output=True, text=True,
                              timeout=line.DEADLINE_S)
        run = json.loads(done.stdout)
        return done.returncode, run, run['steps'][-1]

    def passed(self, address, action, *args):
        status, run, step = self.do(address, action, *args)
        self.assertEqual(status, 0, run)
        return step

    def refused(self, address, code, says, action, *args):
        status, run, _ = self.do(address, action, *args)
        self.assertEqual((status, run['code']), (3, code), run)
        self.assertIn(says, run['message'])


class Kinds(Bench):
    def test_set_measure_and_its_errors(self):
        i = Instrument(self)
        for kind in KINDS:
            with self.subTest(kind):
                at = i.address(kind)
                self.assertEqual(self.passed(at, 'instrument.identify')['outputs']['serial'], '42')
                self.passed(at, 'instrument.set', 'send=VOLT 1.5', 'read_back.query=VOLT?', 'read_back.unit=V',
                            'read_back.value=1.5', 'read_back.tolerance=0.01')
                self.assertAlmostEqual(self.passed(at, 'instrument.measure', 'query=MEAS:VOLT?', 'unit=V')['outputs']['value'],
                                       1.515)
                self.refused(at, 'instrument-error', "'FOO?' was refused with error -113", 'instrument.query', 'send=FOO?')
                self.refused(at, 'instrument-error', '-222', 'instrument.set', 'send=VOLT 5000')
                self.passed(at, 'instrument.sweep', 'query=VOLT {point};:MEAS:VOLT?', 'from=0', 'to=2', 'points=5', 'unit=V',
                            'file=' + os.path.join(i.home, kind + '.csv'))
        calls = i.calls()
        self.assertGreater(calls['395183 15'], 0, 'no device clear by VXI-11')
        self.assertGreater(calls['hislip 19'], 0, 'no device clear by HiSLIP')
        self.assertEqual(calls['395183 23'], calls['395183 10'], 'a link was left')

    def test_a_late_answer_is_never_the_next_ones(self):
        def late(kind):
            i = instruments[kind]
            self.passed(i.address(kind), 'instrument.set', 'send=VOLT 1.5')
            i.fault('late=7000')
            self.refused(i.address(kind), 'instrument-late', "no answer to 'MEAS:VOLT?'", 'instrument.measure',
                         'query=MEAS:VOLT?', 'unit=V')
            # The reading that is still on its way is 1.515 V.
            self.passed(i.address(kind), 'instrument.set', 'send=VOLT 0.5')
            self.assertAlmostEqual(self.passed(i.address(kind), 'instrument.measure', 'query=MEAS:VOLT?', 'unit=V')
                                   ['outputs']['value'], 0.505)
        instruments = {kind: Instrument(self) for kind in KINDS}
        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(late, KINDS))

    def test_answers_in_pieces_without_an_end_of_line_and_old_ones(self):
        i = Instrument(self, faults=('pieces', 'no-newline', 'old-reply'))
        for kind in KINDS:
            with self.subTest(kind):
                self.passed(i.address(kind), 'instrument.set', 'send=VOLT 2')
                step = self.passed(i.address(kind), 'instrument.measure', 'query=MEAS:VOLT?', 'unit=V')
                self.assertAlmostEqual(step['outputs']['value'], 2.02)

    def test_each_fault_has_its_sentence(self):
        for fault, code, says in (('garbage', 'instrument', 'cannot be reached'), ('locked', 'instrument', 'another client has locked the instrument'),
                                  ('no-clear', 'instrument', 'device_clear')):
            i = Instrument(self, faults=(fault,))
            for kind in KINDS:
                if kind == 'hislip' and fault == 'locked':
                    continue
                with self.subTest(fault + ' ' + kind):
                    says_it = 'HiSLIP error 1' if (fault, kind) == ('no-clear', 'hislip') else says
                    self.refused(i.address(kind), code, says_it, 'instrument.identify')
        i = Instrument(self)
        self.refused(i.address('vxi11') + '/gpib0,5', 'instrument', "no device 'gpib0,5'", 'instrument.identify')
        self.refused(i.address('hislip') + '/hislip7', 'instrument', 'no such device', 'instrument.identify')


class Multiplexer(Bench):
    """One instrument, routed to many."""

    def measure(self, at, channel, *args):
        return ('instrument.measure', 'query=MEAS:VOLT?', 'unit=V', 'route.send=ROUT:CLOS (@%d)' % channel,
                'route.query=ROUT:CLOS? (@%d)' % channel) + args

    def test_each_reading_is_that_of_its_channel(self):
        i = Instrument(self, settings=('--meter-channels', '4'))
        for kind in KINDS:
            at = i.address(kind)
            self.passed(at, 'instrument.set', 'send=VOLT 1')
            for channel in (103, 101, 104):
                step = self.passed(at, *self.measure(at, channel))
                self.assertAlmostEqual(step['outputs']['value'], (channel - 100) * 1.01)
                self.assertEqual(step['evidence']['route'], {'sent': 'ROUT:CLOS (@%d)' % channel, 'answer': '1'})
            self.refused(at, 'instrument-error', '-222', *self.measure(at, 107))

    def test_a_relay_that_does_not_close_measures_nothing(self):
        i = Instrument(self, settings=('--meter-channels', '4'))
        at = i.address('hislip')
        before = i.sim.boards()[0]['readings']
        i.fault('relay')
        self.refused(at, 'instrument', 'does the relay close', *self.measure(at, 102))
        self.assertEqual(i.sim.boards()[0]['readings'], before)
        self.passed(at, *self.measure(at, 102))


class Silent(Bench):
    def test_is_said_to_be_out_of_reach(self):
        i = Instrument(self, faults=('silent',))
        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(lambda kind: self.refused(i.address(kind), 'instrument', 'cannot be reached', 'instrument.identify'),
                          KINDS))


class Reference(unittest.TestCase):
    """In a network of its own, where port 111 is free."""

    def test_lxi_and_provd_find_it_by_the_portmapper(self):
        if not shutil.which('lxi'):
            self.skipTest('lxi (lxi-tools) is not installed')
        if subprocess.run(['unshare', '-rn', 'true'], capture_output=True).returncode != 0:
            self.skipTest('no network namespace may be made here')
        done = subprocess.run(['unshare', '-rn', sys.executable, os.path.abspath(__file__), 'Inside'], capture_output=True,
                              text=True, timeout=line.DEADLINE_S, env=dict(os.environ, PROVD_LXI_INSIDE='1'))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


@unittest.skipUnless(os.environ.get('PROVD_LXI_INSIDE'), 'Reference runs it, in a network of its own')
class Inside(Bench):
    def setUp(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            fcntl.ioctl(s, 0x8914, struct.pack('16sh14x', b'lo', 0x41))  # SIOCSIFFLAGS: IFF_UP, IFF_RUNNING

    def lxi(self, text):
        return subprocess.run(['lxi', 'scpi', '--address', '127.0.0.1', text], check=True, capture_output=True, text=True,
                              timeout=line.DEADLINE_S).stdout.strip()

    def test_the_same(self):
        Instrument(self, '--portmapper', '111')
        self.assertEqual(self.lxi('*IDN?'), 'Example,M1,42,1.0')
        there = float(self.lxi('VOLT 1.5;:MEAS:VOLT?'))
        step = self.passed('vxi11:127.0.0.1', 'instrument.measure', 'query=MEAS:VOLT?', 'unit=V')
        self.assertEqual(step['outputs']['value'], there)

    def test_a_portmapper_without_vxi_11(self):
        Instrument(self, '--portmapper', '111', faults=('no-program',))
        self.refused('vxi11:127.0.0.1', 'instrument', 'its portmapper has no VXI-11', 'instrument.identify')

    def test_no_portmapper(self):
        self.refused('vxi11:127.0.0.1', 'instrument', 'portmapper', 'instrument.identify')


if __name__ == '__main__':
    unittest.main()
