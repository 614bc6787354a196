#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Power of a unit by what needs no USB: a program, a relay on a serial line, an output of a supply; and how it is left by
a run that fails, is aborted, or whose provd is killed. (Hubs and USB relays: tests/rigs/test_vm_power.py.)

    test_power.py [BUILD]
"""
import json
import os
import pty
import shutil
import signal
import subprocess
import tempfile
import threading
import tty
import unittest

import line


class Switch:
    """A program that switches, as three scripts and a file."""

    def __init__(self, home):
        self.dir = os.path.join(home, 'switch')
        os.mkdir(self.dir)
        self.state = os.path.join(self.dir, 'state')
        line.write(self.state, 'on\n')
        for name, text in (('on', f'echo on > {self.state}'), ('off', f'echo off > {self.state}'), ('status', f'cat {self.state}')):
            path = os.path.join(self.dir, name)
            line.write(path, f'#!/bin/sh\n{text}\n')
            os.chmod(path, 0o755)

    def now(self):
        return line.read(self.state).strip()

    def yaml(self):
        return '{kind: program, run_on: [%s/on], run_off: [%s/off], run_status: [%s/status]}' % ((self.dir,) * 3)


class Relay(threading.Thread):
    """A relay on a serial line: a0 01 STATE SUM switches, ff asks."""

    def __init__(self):
        super().__init__(daemon=True)
        self.master, slave = pty.openpty()
        tty.setraw(slave)
        self.slave, self.path = slave, os.ttyname(slave)
        self.closed, self.stuck, self.mute = False, False, False
        self.start()

    def run(self):
        got = b''
        try:
            while True:
                got += os.read(self.master, 64)
                while got:
                    if got[0] == 0xff:
                        got = got[1:]
                        if not self.mute:
                            os.write(self.master, b'CH1: ON \r\n' if self.closed else b'CH1: OFF\r\n')
                    elif len(got) >= 4:
                        self.closed = self.closed if self.stuck else got[2] == 1
                        got = got[4:]
                    else:
                        break
        except OSError:
            pass

    def way(self, query=True):
        asks = ", query: ff, answers_on: '4348313a204f4e200d0a', answers_off: '4348313a204f46460d0a'"
        return "{kind: serial_relay, address: 'tty:%s@9600', on: 'a0 01 01 a2', off: 'a0 01 00 a1'%s, answer: 300ms}" % (
            self.path, asks if query else '')

    def stop(self):
        os.close(self.master)
        os.close(self.slave)


class Bench(unittest.TestCase):
    def setUp(self):
        self.home = tempfile.mkdtemp(prefix='provd-power-')
        self.addCleanup(shutil.rmtree, self.home)

    def run_it(self, power, *args, **env):
        done = subprocess.run([line.binary('provctl'), '--json', 'exec', 'device.power', *args],
                              env=dict(os.environ, PROVD_POWER=power, **env), capture_output=True, text=True,
                              timeout=line.DEADLINE_S)
        return done.returncode, json.loads(done.stdout)

    def passed(self, power, *args, **env):
        status, run = self.run_it(power, *args, **env)
        self.assertEqual(status, 0, run)
        return run['steps'][-1]['evidence']

    def refused(self, code, says, power, *args, **env):
        status, run = self.run_it(power, *args, **env)
        self.assertEqual((status, run['code']), (3, code), run)
        self.assertIn(says, run['message'])

    def test_a_program(self):
        switch = Switch(self.home)
        seen = self.passed(switch.yaml(), 'state=off')
        self.assertEqual((seen['found'], seen['state'], switch.now()), ('on', 'off', 'off'))
        seen = self.passed(switch.yaml(), 'state=cycle', 'off_for=1ms')
        self.assertEqual((seen['found'], seen['state'], switch.now()), ('off', 'on', 'on'))
        line.write(os.path.join(switch.dir, 'off'), '#!/bin/sh\necho no answer from the box; exit 1\n')
        self.refused('power-switch', 'no answer from the box', switch.yaml(), 'state=off')
        os.unlink(os.path.join(switch.dir, 'off'))
        self.refused('tool-missing', 'off', switch.yaml(), 'state=off')

    def test_a_relay_on_a_serial_line(self):
        relay = Relay()
        self.addCleanup(relay.stop)
        seen = self.passed(relay.way(), 'state=on')
        self.assertEqual((seen['found'], seen['state'], relay.closed), ('off', 'on', True))
        relay.stuck = True
        self.refused('power-state', 'says that it is on', relay.way(), 'state=off')
        relay.stuck, relay.mute = False, True
        self.refused('power-switch', "the relay's answer", relay.way(), 'state=off')
        self.refused('no-evidence', 'cannot say how it is', relay.way(query=False), 'state=off')
        self.refused('power-switch', '/dev/nothing', relay.way().replace(relay.path, '/dev/nothing'), 'state=off')

    def test_an_output_of_a_supply(self):
        sim = line.Sim(self.home, 1, '--device', 'meter', '--link', 'tcp')
        self.addCleanup(sim.stop)
        env = {'PROVD_INSTRUMENT_psu': sim.boards()[0]['link']}
        seen = self.passed('{kind: scpi, instrument: psu}', 'state=on', **env)
        self.assertEqual((seen['found'], seen['state'], sim.boards()[0]['output']), ('off', 'on', True))
        sim.ctl('fault', board='b1', fault='refuse')
        self.refused('instrument-error', '-222', '{kind: scpi, instrument: psu}', 'state=off', **env)
        self.passed('{kind: scpi, instrument: psu}', 'state=off', **env)
        self.assertIs(sim.boards()[0]['output'], False)

    def test_what_is_no_way_to_switch(self):
        self.refused('invalid', "'kind' is missing", '{}', 'state=on')
        self.refused('invalid', "not 'role'", '{kind: hub, role: dut}', 'state=on')
        self.refused('power-switch', 'hub 99-9 is not plugged', '{kind: hub, hub: 99-9, port: 1}', 'state=on')
        self.refused('power-switch', 'is not plugged', '{kind: hid_relay, serial: NOONE, channel: 1}', 'state=on')


RECIPE = '''recipe: %s
version: 1
power_after: '%s'
ports: {console: {kind: tty, baud: 115200}}
steps:
  - {id: off, action: device.power, with: {state: 'off'}}
  - {id: silence, action: console.expect, with: {port: console, expect: 'never said'}, timeout: %s}
'''


CYCLES = '''recipe: cycles
version: 1
ports: {console: {kind: tty, baud: 115200}}
steps:
  - {id: cycle, action: device.power, with: {state: cycle, off_for: 120s}, timeout: 300s}
'''


class Station(unittest.TestCase):
    def setUp(self):
        self.l = line.Line(stations=0, boards=1)
        self.addCleanup(self.l.close)
        self.switch = Switch(self.l.home)
        self.l.config('tool_writable: [%s]' % self.switch.dir)
        line.write(os.path.join(self.l.home, 'stations.d', 'line.yaml'),
                   "stations:\n  - {id: P1, start: manual, power: %s, ports: {console: {path: 'platform-provsim-usb-0:1.1'}}}\n"
                   % self.switch.yaml())
        self.l.start()
        self.l.put_recipe(RECIPE % ('fails', 'as_found', '500ms'))
        self.l.put_recipe(RECIPE % ('waits', 'on', '120s'))
        self.l.put_recipe(CYCLES)

    def begin(self, recipe):
        job = self.l.api.post('/jobs', {'recipe': recipe, 'quantity': 1})['id']
        line.wait_for('P1 takes the start', lambda: self.l.api.request('POST', '/stations/P1/actions/start').status == 202)
        return job

    def ended(self, job):
        return line.wait_for('the run ends', lambda: next((r for r in self.l.api.get('/runs?job_id=' + job)['items']
                                                           if r['state'] == 'finished'), None))

    def until_silence(self):
        line.wait_for('the step that waits', lambda: ((self.l.api.get('/stations/P1')['run'] or {}).get('step') or {}).get('id') == 'silence')
        self.assertEqual(self.switch.now(), 'off')

    def test_a_run_that_fails_leaves_it_as_it_was_found(self):
        run = self.ended(self.begin('fails'))
        self.assertNotEqual(run['outcome'], 'passed')
        self.assertEqual(self.switch.now(), 'on')
        last = self.l.api.get('/runs/%s/steps' % run['id'])['items'][-1]
        self.assertEqual((last['id'] if 'id' in last else last['step'], last['outcome']), ('power-after', 'passed'))

    def test_a_run_that_is_aborted(self):
        job = self.begin('waits')
        self.until_silence()
        self.l.api.post('/stations/P1/actions/abort')
        self.assertEqual(self.ended(job)['outcome'], 'aborted')
        self.assertEqual(self.switch.now(), 'on')

    def test_a_provd_that_was_killed_puts_it_right_at_its_next_start(self):
        job = self.begin('waits')
        self.until_silence()
        self.l.provd.kill()
        self.assertEqual(self.switch.now(), 'off')
        self.l.start()
        line.wait_for('the power is put right', lambda: self.switch.now() == 'on')
        self.assertEqual(self.ended(job)['outcome'], 'interrupted')
        db = self.l.provd.db()
        self.addCleanup(db.close)
        line.wait_for('nothing is owed', lambda: not db.execute('SELECT count(*) FROM power_owed').fetchone()[0])

    def test_a_cycle_that_is_aborted_in_its_pause(self):
        job = self.begin('cycles')
        line.wait_for('the pause', lambda: self.switch.now() == 'off')
        self.l.api.post('/stations/P1/actions/abort')
        self.assertEqual(self.ended(job)['outcome'], 'aborted')
        self.assertEqual(self.switch.now(), 'on')

    def test_a_provd_that_was_killed_in_the_pause_of_a_cycle(self):
        job = self.begin('cycles')
        line.wait_for('the pause', lambda: self.switch.now() == 'off')
        self.l.provd.kill()
        self.assertEqual(self.switch.now(), 'off')
        self.l.start()
        line.wait_for('the power is put right', lambda: self.switch.now() == 'on')
        self.assertEqual(self.ended(job)['outcome'], 'interrupted')

    def test_a_switch_that_hangs_is_shown_while_it_does(self):
        self.begin('waits')
        self.until_silence()
        self.l.provd.kill()
        on, gate = os.path.join(self.switch.dir, 'on'), os.path.join(self.switch.dir, 'gate')
        os.mkfifo(gate)
        line.write(on, '#!/bin/sh\nread x < %s\necho on > %s\n' % (gate, self.switch.state))
        self.l.start()
        line.wait_for('the station says what it does', lambda: 'is switched on: a run broke off' in (
            self.l.api.get('/stations/P1').get('message') or ''))
        line.write(gate, 'go\n')
        line.wait_for('the power is put right', lambda: self.switch.now() == 'on')
        line.wait_for('the message goes', lambda: not self.l.api.get('/stations/P1').get('message'))

    def test_a_station_that_is_removed_says_what_it_owes(self):
        self.begin('waits')
        self.until_silence()
        self.l.provd.kill()
        on, stations = os.path.join(self.switch.dir, 'on'), os.path.join(self.l.home, 'stations.d', 'line.yaml')
        os.rename(on, on + '.away')
        self.l.start()
        line.wait_for('the station is held', lambda: 'before its next run' in (self.l.api.get('/stations/P1').get('message') or ''))
        before = line.read(stations)
        line.write(stations, before.replace('P1', 'P2'))
        os.kill(self.l.provd.process.pid, signal.SIGHUP)
        line.wait_for('what it owes is in the log', lambda: 'is still to be switched on: provd does it' in self.l.provd.log_text())
        os.rename(on + '.away', on)
        self.assertEqual(self.switch.now(), 'off')
        line.write(stations, before)
        os.kill(self.l.provd.process.pid, signal.SIGHUP)
        line.wait_for('the power is put right', lambda: self.switch.now() == 'on')

    def test_a_switch_that_is_away_holds_the_station(self):
        self.begin('waits')
        self.until_silence()
        self.l.provd.kill()
        on = os.path.join(self.switch.dir, 'on')
        os.rename(on, on + '.away')
        self.l.start()
        view = line.wait_for('the station says why', lambda: (lambda v: v if 'before its next run' in (v.get('message') or '') else None)(
            self.l.api.get('/stations/P1')))
        self.assertEqual(view['code'], 'tool-missing', view)
        os.rename(on + '.away', on)
        line.wait_for('the power is put right', lambda: self.switch.now() == 'on')
        self.assertEqual(view['power']['kind'], 'program')


if __name__ == '__main__':
    line.main()
