#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measuring instruments: provsim's meter, first by Debian's lxi, then by provd; its faults; and eight stations that share one.

    test_instrument.py [BUILD]
"""
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import unittest

import line

RECIPE = '''
recipe: meter
version: 1
unit: {model: provsim-1}
ports: {console: {kind: tty, baud: 115200}}
steps:
  - {id: chip, action: device.identify, with: {port: console, send: GET_UID, pattern: '^([0-9a-f]{24})$'}}
'''


class Bench(unittest.TestCase):
    def setUp(self):
        self.home = tempfile.mkdtemp(prefix='provd-meter-')
        self.addCleanup(shutil.rmtree, self.home)
        self.sim = line.Sim(self.home, 1, '--device', 'meter', '--link', 'tcp', '--meter-gain', '1.01', '--meter-offset', '0.002')
        self.addCleanup(self.sim.stop)
        self.address = self.sim.boards()[0]['link']

    def fault(self, fault):
        self.sim.ctl('fault', board='b1', fault=fault)

    def run_it(self, action, *args):
        return subprocess.run([line.binary('provctl'), '--json', 'exec', action, 'instrument=meter', *args],
                              env=dict(os.environ, PROVD_INSTRUMENT_meter=self.address), capture_output=True, text=True,
                              timeout=line.DEADLINE_S)

    def do(self, action, *args):
        """(exit status, the run, its step)"""
        done = self.run_it(action, *args)
        run = json.loads(done.stdout)
        return done.returncode, run, run['steps'][-1]

    def passed(self, action, *args):
        status, run, step = self.do(action, *args)
        self.assertEqual(status, 0, run)
        return step

    def refused(self, code, says, action, *args):
        status, run, _ = self.do(action, *args)
        self.assertEqual((status, run['code']), (3, code), run)
        self.assertIn(says, run['message'])

    def test_lxi_and_provd_read_the_same(self):
        if not shutil.which('lxi'):
            self.skipTest('lxi (lxi-tools) is not installed')
        port = self.address.rsplit(':', 1)[1]

        def lxi(text):
            return subprocess.run(['lxi', 'scpi', '--address', '127.0.0.1', '--port', port, '--raw', text], check=True,
                                  capture_output=True, text=True, timeout=line.DEADLINE_S).stdout.strip()
        self.assertEqual(lxi('*IDN?'), 'Example,M1,42,1.0')
        there = lxi('VOLT 1.5;:MEAS:VOLT?')
        self.assertAlmostEqual(float(there), 1.5 * 1.01 + 0.002)
        step = self.passed('instrument.measure', 'query=MEAS:VOLT?', 'unit=V')
        self.assertEqual(step['outputs']['value'], float(there))
        self.assertEqual(self.passed('instrument.identify')['outputs'],
                         {'maker': 'Example', 'model': 'M1', 'serial': '42', 'firmware': '1.0'})

    def test_lxi_and_provd_read_the_same_block(self):
        if not shutil.which('lxi'):
            self.skipTest('lxi (lxi-tools) is not installed')
        host, port = self.address.split(':')[1:3]
        said = subprocess.run(['lxi', 'scpi', '--address', host, '--port', port, '--raw', 'WAV:DATA?'], capture_output=True, timeout=line.DEADLINE_S)
        to = os.path.join(self.home, 'wave.bin')
        step = self.passed('instrument.query', 'send=WAV:DATA?', 'file=' + to)
        with open(to, 'rb') as f:
            wave = f.read()
        self.assertEqual(wave[256:], bytes(range(256)))
        self.assertIn(b'#3512' + wave, said.stdout)
        self.assertEqual(step['evidence']['answer'], {'kind': 'block', 'bytes': 512, 'sha256': line.sha256(wave)})
        self.passed('instrument.query', 'send=*IDN?', 'file=' + to)
        self.assertEqual(line.read(to), 'Example,M1,42,1.0')

    def test_a_value_is_set_read_back_and_measured_in_the_unit_of_the_recipe(self):
        step = self.passed('instrument.set', 'send=VOLT 3.3', 'read_back.query=VOLT?', 'read_back.unit=mV', 'read_back.value=3300',
                           'read_back.tolerance=0.1')
        self.assertEqual(step['evidence']['read_back'], 3300)
        for unit, factor in (('V', 1), ('mV', 1000), ('uV', 1e6)):
            step = self.passed('instrument.measure', 'query=MEAS:VOLT?', 'unit=' + unit)
            self.assertAlmostEqual(step['outputs']['value'], 3.335 * factor, delta=1e-6 * factor)
        self.fault('prefix')        # "3335 mV" is 3.335 V
        step = self.passed('instrument.measure', 'query=MEAS:VOLT?', 'unit=V', 'low=3.3', 'high=3.4')
        self.assertEqual((step['evidence']['answer'], step['outputs']['value']), ('3335 mV', 3.335))
        self.fault('prefix')
        status, run, _ = self.do('instrument.measure', 'query=MEAS:VOLT?', 'unit=A')
        self.assertEqual((status, run['code']), (1, 'not-a-number'), run)

    def test_what_instruments_say_without_a_value_is_none(self):
        for fault in ('overrange', 'garbage'):
            self.fault(fault)
            status, run, step = self.do('instrument.measure', 'query=MEAS:VOLT?', 'unit=V')
            self.assertEqual((status, run['code'], step['measurements'][0]['verdict']), (1, 'not-a-number', 'fail'), run)

    def test_an_error_and_a_late_answer_have_their_own_codes_and_the_next_answer_is_right(self):
        self.passed('instrument.set', 'send=VOLT 1')
        self.refused('instrument-error', "'MEAS:FOO?' was refused with error -113", 'instrument.query', 'send=MEAS:FOO?')
        self.refused('instrument-error', 'Data out of range', 'instrument.set', 'send=VOLT 5000')
        self.fault('hangup')
        self.refused('instrument', "instrument 'meter'", 'instrument.identify')
        self.sim.ctl('unplug', board='b1')
        self.refused('instrument', 'cannot be reached', 'instrument.identify')
        self.sim.ctl('plug', board='b1')
        self.address = self.sim.boards()[0]['link']
        self.passed('instrument.set', 'send=VOLT 2')
        self.assertAlmostEqual(self.passed('instrument.measure', 'query=MEAS:VOLT?')['outputs']['value'], 2.022)

    def test_a_value_settles_or_fails(self):
        self.fault('noise=5,count=12')      # 5 mV up and down, then at rest
        step = self.passed('instrument.measure', 'query=MEAS:VOLT?', 'unit=mV', 'samples=4', 'spread=0.5')
        self.assertGreater(step['evidence']['readings'], 12)
        self.assertAlmostEqual(step['outputs']['value'], 2)
        self.fault('noise=5,count=0')
        status, run, _ = self.do('instrument.measure', 'query=MEAS:VOLT?', 'unit=mV', 'samples=4', 'spread=0.5', 'settle_within=100ms')
        self.assertEqual((status, run['code']), (1, 'not-settled'), run)

    def test_a_meter_on_a_serial_line(self):
        home = os.path.join(self.home, 'serial')
        os.mkdir(home)
        sim = line.Sim(home, 1, '--device', 'meter')
        self.addCleanup(sim.stop)
        self.address = 'tty:' + sim.boards()[0]['link']
        self.passed('instrument.set', 'send=VOLT 1.25')
        self.assertEqual(self.passed('instrument.measure', 'query=READ?', 'unit=mV')['outputs']['value'], 1250)

    def test_slips_of_a_recipe_are_found_before_anything_is_asked(self):
        for args, says in ((('spread=1',), "'samples' of 2 or more"), (('low=2', 'high=1'), 'no value can pass')):
            done = self.run_it('instrument.measure', 'query=MEAS:VOLT?', *args)
            self.assertEqual(done.returncode, 2, done)
            self.assertIn(says, done.stderr)

    def test_units_that_do_not_fit_are_a_slip_of_the_recipe_and_no_verdict(self):
        for action, *args in (('measure', 'query=MEAS:VOLT?'), ('sweep', 'query=VOLT {point};:MEAS:VOLT?', 'from=0', 'to=1', 'points=2')):
            done = self.run_it('instrument.' + action, *args, 'unit=V', 'answers_in=A')
            self.assertEqual(done.returncode, 2, done)
            self.assertIn("'answers_in' is A, and 'unit' is V: one cannot be converted into the other", done.stderr)
            done = self.run_it('instrument.' + action, *args, 'answers_in=mV', 'low=1')
            self.assertEqual(done.returncode, 2, done)
            self.assertIn("'answers_in' needs 'unit'", done.stderr)


class Liar(unittest.TestCase):
    """An instrument that takes part in the dialogue and answers one question as it likes."""

    def setUp(self):
        self.server = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(self.server.close)
        self.answer = b''
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        known = {'SYST:ERR?': b'0,"No error"', '*IDN?': b'Example,M1,42,1.0'}
        try:
            while True:
                peer, _ = self.server.accept()
                with peer, peer.makefile('rb') as lines:
                    for message in lines:
                        parts = message.decode().strip().split(';', 2)
                        if len(parts) == 3:
                            peer.sendall(b'%s;%s\n' % (parts[0].split()[1].encode(), known.get(parts[2].lstrip(':'), self.answer)))
        except OSError:
            pass

    def do(self, answer, action, *args):
        self.answer = answer
        done = subprocess.run([line.binary('provctl'), '--json', 'exec', action, 'instrument=meter', *args],
                              env=dict(os.environ, PROVD_INSTRUMENT_meter='tcp:127.0.0.1:%d' % self.server.getsockname()[1]),
                              capture_output=True, text=True, timeout=line.DEADLINE_S)
        return done.returncode, json.loads(done.stdout)

    def test_what_is_no_plain_number_passes_nowhere(self):
        args = ('instrument.measure', 'query=MEAS:VOLT?', 'unit=V', 'low=-1e40', 'high=1e40')
        self.assertEqual(self.do(b'1.5', *args)[0], 0)
        for answer in (b'', b'NaN', b'INF', b'OL', b'9.9E37', b'-9.9E+37', b'9.91E37', b'1,5', b'1.5,1.6', b'1.5;1.6', b'1.5 A', b'0x15',
                       b'1.5 k', b'--1.5', b'1.5\xff', b'1.5E+0\t3'):
            status, run = self.do(answer, *args)
            self.assertEqual((status, run['code']), (1, 'not-a-number'), (answer, run))
        for answer in (b'1.5\0', b'1.5E+0\0', b'\0', b'1\0.5'):
            status, run = self.do(answer, *args)
            self.assertEqual((status, run['code']), (3, 'instrument'), (answer, run))
            self.assertIn('has a NUL at position', run['message'])

    def test_a_unit_that_instruments_answer_in_two_ways_is_said_by_the_recipe(self):
        for unit in ('bar', 'mbar', 'Wh', 'mAh', 'min'):
            done = subprocess.run([line.binary('provctl'), 'exec', 'instrument.measure', 'instrument=meter', 'query=X?', 'unit=' + unit,
                                   'high=0.5'], env=dict(os.environ, PROVD_INSTRUMENT_meter='tcp:127.0.0.1:1'), capture_output=True,
                                  text=True, timeout=line.DEADLINE_S)
            self.assertEqual(done.returncode, 2, done)
            self.assertIn("'answers_in' is needed with it", done.stderr)
            self.assertEqual(self.do(b'0.9', 'instrument.measure', 'query=X?', 'unit=' + unit, 'answers_in=' + unit, 'high=0.5')[1]['code'],
                             'limit-high')
        for unit, answer in (('hPa', b'90'), ('mV', b'9E-4'), ('kOhm', b'900')):
            self.assertEqual(self.do(answer, 'instrument.measure', 'query=X?', 'unit=' + unit, 'low=0.89', 'high=0.91')[0], 0)

    def test_an_answer_that_is_too_long_for_a_record_is_not_kept(self):
        self.assertEqual(self.do(b'A' * 65536, 'instrument.query', 'send=X?')[0], 0)
        for n in (65537, 1000000):
            for action in (('instrument.query', 'send=X?'), ('instrument.measure', 'query=X?')):
                status, run = self.do(b'\xff' * n, *action)
                self.assertEqual((status, run['code']), (3, 'instrument'))
                self.assertIn('has %d bytes, no more than 65536 expected' % n, run['message'])
                self.assertLess(len(json.dumps(run)), 5000)


class Row(unittest.TestCase):
    STATIONS, MEASUREMENTS, METER = 8, 6, ()

    def setUp(self):
        self.line = line.Line(self.STATIONS, boards=0, station_extra='    quarantine_after: 0\n')
        self.addCleanup(self.line.close)
        app = os.path.join(self.line.home, 'app.bin')
        with open(app, 'wb') as f:
            f.write(line.firmware())
        self.line.sim = line.Sim(self.line.home, self.STATIONS, '--preload', app)
        home = os.path.join(self.line.home, 'meter')
        os.mkdir(home)
        self.meter = line.Sim(home, 1, '--device', 'meter', '--link', 'tcp', *self.METER)
        self.addCleanup(self.meter.stop)

    def begin(self, steps, more='', quantity=1):
        self.line.config("instruments: {meter: {address: '%s', owner: the lab, %s}}\n" % (self.meter.boards()[0]['link'], more))
        self.line.start()
        self.line.put_recipe(RECIPE + steps)
        self.line.api.post('/jobs', {'recipe': 'meter', 'quantity': quantity})

        def ended():
            runs = self.line.api.get('/runs?state=finished&limit=100')['items']
            return runs if len(runs) >= quantity else None
        return line.wait_for('the runs end', ended)

    def steps_of(self, run):
        return [s for s in self.line.api.get('/runs/%s/steps' % run['id'])['items'] if s['action'].startswith('instrument.')]


class Shared(Row):
    def test_eight_stations_share_a_meter_fairly_and_get_their_own_values(self):
        steps = ''.join("  - {id: m%d, action: instrument.measure, with: {instrument: meter, query: 'VOLT %d;:MEAS:VOLT?', unit: V, low: %d, "
                        "high: %d}}\n" % (i, i, i, i) for i in range(1, self.MEASUREMENTS + 1))
        self.meter.ctl('fault', board='b1', fault='twice,count=0')
        runs = self.begin(steps, quantity=self.STATIONS)
        turns = []
        for run in runs:
            self.assertEqual(run['outcome'], 'passed', run)
            for step in self.steps_of(run):
                self.assertEqual(step['outputs']['value'], int(step['id'][1:]))
                self.assertEqual(step['evidence']['instrument']['owner'], 'the lab')
                turns.append(step['evidence']['instrument']['queue'])
        self.assertEqual(sorted(t['turn'] for t in turns), list(range(1, self.STATIONS * self.MEASUREMENTS + 1)))
        ahead = [t['turn'] - t['asked'] for t in turns]
        self.assertLessEqual(max(ahead), self.STATIONS - 1)     # each other station once at most

    def test_a_late_answer_is_its_own_code_and_never_the_next_ones(self):
        # The first reading is none and comes late: a run that took it for its own would fail.
        self.meter.ctl('fault', board='b1', fault='overrange')
        self.meter.ctl('fault', board='b1', fault='late=900')
        self.line.config("instruments: {meter: {address: '%s', answer: 300ms}}\n" % self.meter.boards()[0]['link'])
        self.line.start()
        self.line.put_recipe(RECIPE + "  - {id: m, action: instrument.measure, with: {instrument: meter, query: 'VOLT 2;:MEAS:VOLT?', unit: V}}\n")
        self.line.api.post('/jobs', {'recipe': 'meter', 'quantity': 1})

        def passed():
            runs = self.line.api.get('/runs?state=finished')['items']
            return runs if any(r['outcome'] == 'passed' for r in runs) else None
        runs = line.wait_for('a run passes', passed)
        late = [r for r in runs if r['outcome'] != 'passed']
        self.assertIn('instrument-late', {r['code'] for r in late}, late)
        self.assertNotIn('failed', {r['outcome'] for r in late})
        self.assertIn("instrument 'meter': no answer to", next(r for r in late if r['code'] == 'instrument-late')['message'])
        (good,) = [r for r in runs if r['outcome'] == 'passed']
        self.assertEqual(self.steps_of(good)[0]['outputs']['value'], 2)

    def test_a_calibration_that_has_run_out_measures_nothing(self):
        run = self.begin("  - {id: m, action: instrument.measure, with: {instrument: meter, query: 'MEAS:VOLT?', unit: V}}\n",
                         "calibrated_until: '2026-01-31'")[0]
        self.assertEqual((run['outcome'], run['code']), ('error', 'calibration-due'), run)
        self.assertIn("instrument 'meter': its calibration held until 2026-01-31", run['message'])
        self.assertIn('it is looked after by the lab', run['message'])
        self.assertEqual(self.meter.boards()[0]['readings'], 0)

    def test_another_instrument_at_the_address_is_not_used(self):
        run = self.begin("  - {id: m, action: instrument.measure, with: {instrument: meter, query: 'MEAS:VOLT?', unit: V}}\n",
                            "identity: '^Example,M1,43,'")[0]
        self.assertEqual((run['outcome'], run['code']), ('error', 'instrument'), run)
        self.assertIn("is Example M1 with serial number 42: provd.yaml says that it fits '^Example,M1,43,'", run['message'])

    def test_an_instrument_that_is_not_in_the_configuration_stops_before_the_first_step(self):
        run = self.begin("  - {id: m, action: instrument.measure, with: {instrument: metre, query: 'MEAS:VOLT?'}}\n")[0]
        self.assertEqual((run['outcome'], run['code']), ('error', 'preflight'), run)
        self.assertIn("provd.yaml names no instrument 'metre', did you mean 'meter'?", run['message'])


class Sweep(Row):
    """Every five hundredth reading is lost, and each answer comes twice."""
    STATIONS, METER = 1, ('--meter-lose-every', '500')
    POINTS = 10000

    def test_a_sweep_of_ten_thousand_points_keeps_values_units_and_order(self):
        self.meter.ctl('fault', board='b1', fault='twice,count=0')
        (run,) = self.begin("""  - id: sweep
    action: instrument.sweep
    with: {instrument: meter, query: 'VOLT {point};:MEAS:VOLT?', unit: mV, from: -5, to: 5, points: %d, file: sweep.csv, low: -5000, high: 5000}
""" % self.POINTS, 'answer: 100ms')
        self.assertEqual(run['outcome'], 'passed', run)
        (step,) = self.steps_of(run)
        self.assertEqual((step['outputs']['min'], step['outputs']['max']), (-5000, 5000))
        self.assertGreaterEqual(step['evidence']['asked_again'], self.POINTS // 500)
        head, *rows = self.line.api.request('GET', '/runs/%s/files/sweep.csv' % run['id']).body.decode().splitlines()
        self.assertEqual(head, 'point,value (mV)')
        self.assertEqual(len(rows), self.POINTS)
        for i, row in enumerate(rows):
            point, value = (float(x) for x in row.split(','))
            self.assertAlmostEqual(point, -5 + 10 * i / (self.POINTS - 1), places=8)
            self.assertAlmostEqual(value, point * 1000, delta=1e-4)


if __name__ == '__main__':
    line.main()
