# SPDX-License-Identifier: Apache-2.0
"""An answer that comes late is never the next question's: whole recipes on a unit that holds answers back.

    test_turns.py [BUILD]
"""
import json
import os
import pty
import select
import socket
import subprocess
import tempfile
import threading
import tty
import unittest

import line

HEAD = """recipe: turns
version: 1
unit: {model: m, serial: {from: job}}
ports: {console: {kind: tty, baud: 115200}}
steps:
"""
SELFTEST = '  - {id: selftest, action: console.command, with: {port: console, send: SELFTEST, expect: "^OK$", timeout: 300ms}}\n'


class Unit:
    """Keeps the answer to CAL until another line comes; its self-test fails."""

    def __init__(self, prompt=b'', selftest=(b'ERROR sensor\r\n',), twice=b''):
        self.twice = twice      # what comes for the second time before the self-test answers; that waits for more to do
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        self.address = 'tty:' + os.ttyname(self.slave)
        self.prompt, self.selftest = prompt, selftest
        self.heard, self.held = [], []
        self.end_r, self.end_w = os.pipe()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def answer(self, line):
        if line == 'CAL':
            self.held.append(b'OK\r\n')
            return
        while self.held:
            os.write(self.master, self.held.pop(0) + self.prompt)
        if line == 'SELFTEST' and self.twice:
            self.held += self.selftest
            os.write(self.master, self.twice + self.prompt)
            return
        if line == 'SELFTEST':
            for part in self.selftest:
                os.write(self.master, part)
            os.write(self.master, self.prompt)
            return
        text = {'OFF': b'OK\r\n', '': b''}.get(line, b'')
        if line.startswith('echo '):
            text = line[5:].encode() + b'\r\n'
        os.write(self.master, text + self.prompt)

    def serve(self):
        box = b''
        while True:
            ready, _, _ = select.select([self.master, self.end_r], [], [])
            if self.end_r in ready:
                return
            box += os.read(self.master, 4096)
            while b'\n' in box:
                line, _, box = box.partition(b'\n')
                line = line.strip().decode()
                if line:
                    self.heard.append(line)
                if line or self.prompt:
                    self.answer(line)

    def close(self):
        os.write(self.end_w, b'x')
        self.thread.join()
        for fd in (self.master, self.slave, self.end_r, self.end_w):
            os.close(fd)


class Turns(unittest.TestCase):
    def run_recipe(self, unit, steps, teardown=''):
        self.addCleanup(unit.close)
        with tempfile.TemporaryDirectory() as d:
            path = os.path.join(d, 'r.yaml')
            with open(path, 'w') as f:
                f.write(HEAD + steps + teardown)
            r = subprocess.run([line.binary('provctl'), '--json', 'recipe', 'run', path, '--port', 'console=' + unit.address,
                                '--serial', 'S1'], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
                               env=dict(os.environ, HOME=d))
        self.assertIn('{', r.stdout, r)
        report = json.loads(r.stdout[r.stdout.index('{'):])
        return r.returncode, {s['id']: s for s in report['steps']}

    def cal(self, more='', after=', on_fail: continue'):
        return ('  - {id: cal, action: console.command, with: {port: console, send: CAL, expect: "^OK$", timeout: 300ms%s}%s}\n'
                % (more, after))

    def test_nothing_else_is_asked_while_an_answer_may_come(self):
        unit = Unit()
        rc, steps = self.run_recipe(unit, self.cal() + SELFTEST)
        self.assertEqual(rc, 1)
        self.assertEqual(steps['cal']['code'], 'timeout')
        self.assertEqual(steps['selftest']['code'], 'out-of-step', steps)
        self.assertNotIn('SELFTEST', unit.heard)

    def test_a_link_that_is_opened_again_owes_the_same(self):
        unit = Unit()
        again = '  - {id: again, action: device.wait, with: {port: console}}\n'
        rc, steps = self.run_recipe(unit, self.cal() + again + SELFTEST)
        self.assertEqual(rc, 1)
        self.assertEqual(steps['again']['outcome'], 'passed', steps)
        self.assertEqual(steps['selftest']['code'], 'out-of-step', steps)

    def test_a_step_tried_again_is_answered_and_the_next_is_not_by_what_is_left(self):
        unit = Unit()
        release = '  - {id: off, action: console.command, with: {port: console, send: OFF, expect: "^OK$"}}\n'
        rc, steps = self.run_recipe(unit, self.cal(after=', retry: {attempts: 2}, on_fail: continue') + release + SELFTEST)
        self.assertEqual(rc, 1)
        self.assertEqual(steps['off']['code'], 'out-of-step', steps)
        self.assertEqual(unit.heard, ['CAL', 'CAL'])

    def test_a_prompt_or_a_number_brings_the_turn_back_and_the_self_test_fails_as_it_is(self):
        for unit, more in ((Unit(prompt=b'> '), ', prompt: "> "'), (Unit(), ', ping: "echo {nonce}"')):
            rc, steps = self.run_recipe(unit, self.cal(more) + SELFTEST.replace('timeout: 300ms', 'timeout: 2s' + more))
            self.assertEqual(rc, 1)
            self.assertEqual(steps['selftest']['code'], 'device-refused', (more, steps))
            self.assertIn('ERROR sensor', steps['selftest']['message'])

    def test_an_answer_that_comes_twice_passes_nothing_where_each_is_proved(self):
        for prompt, more in ((b'> ', ', prompt: "> "'), (b'', ', ping: "echo {nonce}"')):
            step = SELFTEST.replace('timeout: 300ms', 'timeout: 2s, prove: true' + more)
            rc, steps = self.run_recipe(Unit(prompt=prompt, twice=b'OK\r\n'), step)
            self.assertEqual((rc, steps['selftest']['code']), (1, 'device-refused'), (more, steps))
            rc, steps = self.run_recipe(Unit(prompt=prompt, selftest=(b'OK\r\n',)), step)
            self.assertEqual((rc, steps['selftest']['outcome']), (0, 'passed'), (more, steps))

    def test_an_error_after_an_answer_wins(self):
        for said in ((b'OK\rFAILED\r\n',), (b'OK\nFAILED\n',), (b'OK\r', b'\nFAILED\r\n'), (b'OK\r\n', b'FAI', b'LED')):
            rc, steps = self.run_recipe(Unit(selftest=said), SELFTEST)
            self.assertEqual((rc, steps['selftest']['code']), (1, 'device-refused'), (said, steps))
        rc, steps = self.run_recipe(Unit(prompt=b'> ', selftest=(b'OK\rFAILED\r\n',)), SELFTEST.replace('timeout', 'prompt: "> ", timeout'))
        self.assertEqual((rc, steps['selftest']['code']), (1, 'device-refused'), steps)
        for said in ((b'OK\r',), (b'OK\r', b'\n'), (b'OK\r\nfailed: 0\r\n',), (b'10%\rOK\r\n',)):
            rc, steps = self.run_recipe(Unit(selftest=said), SELFTEST)
            self.assertEqual((rc, steps['selftest']['outcome']), (0, 'passed'), (said, steps))

    def test_a_number_that_is_written_over_is_no_measurement(self):
        step = '  - {id: volt, action: console.measure, with: {port: console, send: SELFTEST, low: 3, high: 4, timeout: 300ms}}\n'
        for said, code in ((b'3.3\rFAIL\r\n', 'device-refused'), (b'3.3\r\nERR sensor\r\n', 'device-refused'), (b'3.3\r9.9\r\n', 'limit-high')):
            rc, steps = self.run_recipe(Unit(selftest=(said,)), step)
            self.assertEqual((rc, steps['volt']['code']), (1, code), (said, steps))
        rc, steps = self.run_recipe(Unit(selftest=(b'1.0\r3.3\r\n',)), step)
        self.assertEqual((rc, steps['volt']['outcome']), (0, 'passed'), steps)

    def test_the_teardown_is_sent_all_the_same_and_does_not_pass(self):
        unit = Unit()
        rc, steps = self.run_recipe(unit, self.cal(after=''), 'teardown:\n'
                                    '  - {id: off, action: console.command, with: {port: console, send: "OFF", expect: "^OK$", timeout: 300ms}}\n')
        self.assertEqual(rc, 1)
        self.assertIn('OFF', unit.heard)
        self.assertEqual(steps['off']['code'], 'out-of-step', steps)


class TcpUnit:
    """The same unit on a terminal server: what it owes outlives a connection."""

    def __init__(self):
        self.heard, self.held = [], []
        self.server = socket.create_server(('127.0.0.1', 0))
        self.address = '127.0.0.1:%d' % self.server.getsockname()[1]
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        while True:
            try:
                c, _ = self.server.accept()
            except OSError:
                return
            with c, c.makefile('rb') as lines:
                for text in lines:
                    text = text.strip().decode()
                    if text:
                        self.heard.append(text)
                    if text == 'SELFTEST':
                        c.sendall(b'OK\r\nERROR sensor\r\n')     # the first is the answer to CAL

    def close(self):
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        self.thread.join()


class Station(unittest.TestCase):
    def test_a_station_keeps_the_account_while_the_port_is_closed(self):
        unit = TcpUnit()
        with line.Line(stations=0, boards=1) as l:
            self.addCleanup(unit.close)
            with open(os.path.join(l.home, 'stations.d', 'line.yaml'), 'w') as f:
                f.write("stations:\n  - {id: T1, start: manual, ports: {console: {kind: tcp, tcp: '%s'}}}\n" % unit.address)
            l.start()
            l.put_recipe(HEAD.replace('unit: {model: m, serial: {from: job}}\n', '').replace(', baud: 115200', '') +
                         Turns.cal(self) + '  - {id: again, action: device.wait, with: {port: console}}\n' + SELFTEST)
            l.api.post('/jobs', {'recipe': 'turns', 'quantity': 1})
            line.wait_for('T1 is ready', lambda: l.api.get('/stations/T1')['state'] in ('ready', 'done'))
            l.api.post('/stations/T1/actions/start')
            run = line.wait_for('the run ends', lambda: (l.api.get('/runs?state=finished')['items'] or [None])[0])
            steps = {s['id']: s for s in l.api.get('/runs/%s/steps' % run['id'])['items']}
            self.assertEqual(steps['again']['outcome'], 'passed', steps)
            self.assertEqual(steps['selftest']['code'], 'out-of-step', steps)
            self.assertEqual((run['outcome'], run['code'], run['step']), ('failed', 'timeout', 'cal'), run)
            self.assertNotIn('SELFTEST', unit.heard)


if __name__ == '__main__':
    line.main()
