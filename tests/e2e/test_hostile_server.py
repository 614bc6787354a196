#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The OpenOCD that stays (stay: true), replaced by servers that hang, lie, flood, break off and die: the right
code and sentence, bounded memory and log, the other station undisturbed, the next unit tried with a fresh server,
and nothing left running.

    test_hostile_server.py [BUILD]
"""
import os
import signal
import sys
import unittest

if len(sys.argv) > 1 and os.path.isdir(sys.argv[1]):
    os.environ['PROVD_BUILD'] = os.path.abspath(sys.argv.pop(1))

import line

# As OpenOCD as far as provd sees it. Its mode is what the file of its station's port says as it starts.
SERVER = r'''#!/usr/bin/python3 -IS
import os, re, signal, socket, sys, time
DIR = %r
TCP = re.search(r'remote_bitbang port (\d+)', ' '.join(sys.argv)).group(1)
with open(os.path.join(DIR, 'mode-' + TCP)) as f:
    MODE, _, TEXT = f.read().partition(':')
def note(kind):
    with open(os.path.join(DIR, 'pids-' + TCP), 'a') as f:
        f.write('%%d %%s\n' %% (os.getpid(), kind))
def say(text):
    os.write(2, text.encode() + b'\n')
def die():
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGSEGV)
def hang():
    while True:
        time.sleep(60)
def flood(mib=1 << 40):
    block = b'Info : all is well with page 0x08000000\n' * 25000
    while mib > 0:
        os.write(1, block)
        mib -= 1
note('server')
say('Open On-Chip Debugger 0.12.0')
if MODE == 'no-port':
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    hang()
if MODE == 'wrong-port':
    say('Info : Listening on port 1 for tcl connections')
    hang()
if MODE == 'no-number':
    say('Info : Listening on port 99999999 for tcl connections')
    hang()
if MODE == 'port-and-out':
    say('Info : Listening on port 1 for tcl connections')
    sys.exit(0)
listener = socket.create_server(('127.0.0.1', 0))
if MODE.startswith('daemon'):
    gone, stays = os.pipe()
    if os.fork():
        os.close(stays)
        os.read(gone, 1)
        sys.exit(0)
    os.close(gone)
    os.setsid()
    for s in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(s, signal.SIG_IGN)
    note('daemon')
say('Info : Listening on port %%d for tcl connections' %% listener.getsockname()[1])
client, _ = listener.accept()
asked = b''
def answer(text=b'0 {}'):
    client.sendall(number + b' ' + text + b'\x1a')
while True:
    while b'\x1a' not in asked:
        got = client.recv(65536)
        if not got:
            sys.exit(0)
        asked += got
    script, asked = asked.split(b'\x1a', 1)
    command = re.sub(r'\\(.)', r'\1', re.search(r'catch (.*) provd_m\]', script.decode()).group(1))
    number = re.search(rb'; list (\d+) ', script).group(1)
    work = command.startswith('program')
    if MODE == 'mute' or (MODE == 'mute-at-work' and work):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        hang()
    elif MODE == 'rubbish' and work:
        client.sendall(bytes(x for x in os.urandom(5000) if x != 0x1a) + b'\x1a')
    elif MODE == 'unterminated' and work:
        client.sendall(number + b' 0 {}')
    elif MODE == 'endless' and work:
        while True:
            client.sendall(b'x' * 65536)
    elif MODE == 'notices' and work:
        while True:
            client.sendall(b'type target_event event halted\r\n\x1a' * 1000)
    elif MODE == 'says' and work:
        say(TEXT)
        answer(b'1 {}')
    elif MODE == 'answers' and work:
        answer(b'1 {' + TEXT.encode() + b'}')
    elif MODE == 'closes' and work:
        client.shutdown(socket.SHUT_RDWR)
        client.close()
        hang()
    elif MODE == 'dies' and work:
        die()
    elif MODE == 'lies-empty':
        client.sendall(b'\x1a')
    elif MODE == 'lies-always':
        answer()
    else:
        if command.startswith('echo'):
            say(command[6:-1])
        if work and MODE == 'floods-endless':
            told, tell = os.pipe()
            if os.fork() == 0:
                note('flood')
                flood(20)
                os.close(tell)
                flood()
            os.close(tell)
            os.read(told, 1)
        if work and MODE == 'floods':
            flood(1024)
        if work and MODE == 'daemon-alone':
            os.close(stays)
            hang()
        if work and MODE == 'says-rubbish':
            os.write(2, os.urandom(300000) + b'\n')
        if work and MODE != 'lies-work':
            say('** Programming Started **\n** Programming Finished **\n** Verified OK **\n** Resetting Target **')
        answer()
        if command.startswith('echo') and MODE == 'dies-after' and worked:
            die()
        if command.startswith('echo') and MODE == 'floods-after' and worked:
            flood()
        worked = work
'''

RECIPE = '''recipe: stay
version: 1
unit: {model: probe-1}
ports: {probe: {kind: any}}
artifacts: {fw: fw.hex}
steps:
  - id: flash
    action: openocd.program
    with: {port: probe, target: stm32f1x, image: '${artifacts.fw}', stay: true}
    timeout: %s
'''
HEX = b':020000040800F2\n:080000000102030405060708D4\n:00000001FF\n'

# Mode of the server: outcome, code, what the sentence says.
MODES = {
    'no-port': ('error', 'tool-failed', 'listened on no port in time'),
    'wrong-port': ('error', 'tool-failed', 'takes no connection on the port 1 that it named'),
    'no-number': ('error', 'tool-failed', 'listens on port 99999999'),
    'port-and-out': ('error', 'tool-failed', 'OpenOCD '),
    'mute': ('failed', 'timeout', "did not answer 'set provd 1' in time"),
    'mute-at-work': ('failed', 'timeout', "did not answer 'program i0.hex verify reset' in time"),
    'rubbish': ('error', 'tool-failed', 'OpenOCD: '),
    'unterminated': ('failed', 'timeout', 'in time'),
    'endless': ('error', 'tool-failed', 'more than 1048576 bytes'),
    'notices': ('failed', 'timeout', 'in time'),
    'closes': ('error', 'tool-failed', 'closed its connection'),
    'dies': ('error', 'tool-failed', 'OpenOCD was ended by signal 11'),
    'lies-empty': ('error', 'tool-failed', 'not a number, code and text'),
    'lies-always': ('error', 'tool-failed', 'did not print in 2 s what it was asked to print'),
    'lies-work': ('error', 'no-evidence', 'Programming Finished'),
    'says-rubbish': ('passed', None, ''),
    'daemon': ('passed', None, ''),
    'daemon-alone': ('error', 'tool-failed', 'ended by itself, with status 0'),
}
# They need time to be read.
FLOODS = {
    'floods': ('error', 'tool-failed', 'more than 8192 KiB'),
    'floods-endless': ('error', 'tool-failed', 'more than 8192 KiB'),
}
# A failure is the same whether it is printed or is the result, which marks none by itself.
TEXTS = {
    'invalid command name "nosuchcmd"': ('error', 'recipe-invalid'),
    'Error: timed out while waiting for target halted': ('failed', 'timeout'),
    'Error: stm32x device protected': ('failed', 'device-refused'),
    'Warn : no flash bank found for address 0x09000000': ('error', 'image-range'),
    'checksum mismatch - attempting binary compare': ('failed', 'verify-mismatch'),
    'Error: the moon is full': ('error', 'tool-failed'),
}


class Shop(line.Line):
    """P1 has the hostile server, P2 a good one."""

    def __init__(self, timeout='3s'):
        super().__init__(stations=0, boards=0)
        self.bin = os.path.join(self.home, 'bin')
        os.mkdir(self.bin)
        self.config('tool_sandbox: required\ntool_writable: [%s]\n' % self.bin)
        path = os.path.join(self.bin, 'openocd')
        with open(path, 'w') as f:
            f.write(SERVER % self.bin)
        os.chmod(path, 0o755)
        with open(os.path.join(self.home, 'stations.d', 'line.yaml'), 'w') as f:
            f.write('stations:\n' + ''.join(
                "  - {id: P%d, start: manual, quarantine_after: 0, ports: {probe: {kind: probe, tcp: '127.0.0.1:%d'}}}\n"
                % (i, i) for i in (1, 2)))
        self.mode('good')
        self.mode('good', 2)
        self.path = os.environ['PATH']
        os.environ['PATH'] = self.bin + ':' + self.path
        self.start()
        self.put_firmware(HEX, 'fw.hex')
        self.put_recipe(RECIPE % timeout)
        self.api.post('/jobs', {'recipe': 'stay', 'quantity': 1000})

    def close(self):
        super().close()
        os.environ['PATH'] = self.path

    def mode(self, mode, station=1):
        with open(os.path.join(self.bin, 'mode-%d' % station), 'w') as f:
            f.write(mode)

    def pids(self, station=1, kind=''):
        path = os.path.join(self.bin, 'pids-%d' % station)
        if not os.path.exists(path):
            return []
        with open(path) as f:
            return [int(x.split()[0]) for x in f if x.endswith('\n') and x.split()[1].startswith(kind)]

    def living(self, station=1):
        return [p for p in self.pids(station) if line.alive(p)]

    def begin(self, station):
        name = '/stations/P%d' % station
        line.wait_for('P%d is ready' % station, lambda: self.api.get(name)['state'] in ('ready', 'done'))
        seen = {r['id'] for r in self.api.all('/runs')}
        self.api.post(name + '/actions/start')
        return line.wait_for('a run', lambda: next(
            (r['id'] for r in self.api.all('/runs') if r['id'] not in seen and r['station'] == 'P%d' % station), None))

    def end(self, run):
        line.wait_for('the run ends', lambda: self.api.get('/runs/' + run)['state'] == 'finished')
        return self.api.get('/runs/' + run), self.api.get('/runs/%s/steps' % run)['items'][0]

    def provision(self, station=1):
        return self.end(self.begin(station))

    def jobs(self, station=1):
        """Of the server that the run had, after it passed."""
        run, step = self.provision(station)
        assert run['outcome'] == 'passed', step
        return step['evidence']['server_jobs']

    def scratch(self):
        return os.listdir(os.path.join(self.home, 'state', 'scratch'))


class HostileServer(unittest.TestCase):
    def one(self, s, mode, outcome, code, says):
        s.mode('good')
        s.jobs()
        # A server that did a job, then a fresh one that is hostile.
        for pid in s.living():
            os.kill(pid, signal.SIGKILL)
        s.mode(mode)
        run = s.begin(1)
        neighbour, _ = s.provision(2)
        record, step = s.end(run)
        self.assertEqual(neighbour['outcome'], 'passed')
        self.assertEqual((record['outcome'], record['code']), (outcome, code), step)
        self.assertIn(says, step['message'] or '')
        log = s.api.all('/runs/%s/log' % run)
        self.assertLess(len(log), 2000)
        about = ' '.join(x['text'] for x in log if x['dir'] == '#')
        if says.endswith('in time') and code == 'timeout':
            self.assertIn('OpenOCD still runs after', about)
        if mode in FLOODS:
            self.assertIn(' lines are left out', about)
        if outcome != 'passed':
            self.assertEqual(s.living(), [], 'a failed server was kept')
            self.assertEqual(len(s.scratch()), 1, 'of P2')
        s.mode('good')
        self.assertEqual(s.jobs(), 1 if outcome != 'passed' else 2)

    def all_of(self, modes, timeout):
        sanitized = line.sanitized()
        with Shop(timeout) as s:
            for mode, (outcome, code, says) in modes.items():
                with self.subTest(mode):
                    self.one(s, mode, outcome, code, says)
            self.assertEqual(len(s.pids(2)), 1, 'the good server was started again')
            if not sanitized:
                self.assertLess(s.provd.peak_kib(), 100 * 1024, 'KiB of provd')
            self.assertLess(s.provd.db_bytes(), 16 << 20)
            s.provd.term()
            self.assertEqual(s.living() + s.living(2), [])

    def test_each_has_its_code_and_the_next_unit_a_fresh_server(self):
        self.all_of(MODES, '3s')

    def test_each_failure_text_has_its_code_printed_or_as_a_result(self):
        self.all_of({'%s:%s' % (how, text): (*code, text)
                     for how in ('says', 'answers') for text, code in TEXTS.items()}, '30s')

    def test_a_flood_is_bounded_and_not_believed(self):
        self.all_of(FLOODS, '50s')

    def test_one_that_dies_or_floods_between_two_units_is_replaced(self):
        for mode in ('dies-after', 'floods-after'):
            with self.subTest(mode), Shop(timeout='30s') as s:
                s.mode(mode)
                self.assertEqual([s.jobs() for _ in range(3)], [1, 1, 1])
                self.assertEqual(len(s.pids()), 3)
                self.assertEqual(len(s.scratch()), 1)
                s.provd.term()
                self.assertEqual(s.living(), [])

    def test_one_that_dies_at_work_is_tried_once_more_with_a_fresh_one(self):
        with Shop() as s:
            s.jobs()
            for pid in s.living():
                os.kill(pid, signal.SIGKILL)
            s.mode('dies')
            record, step = s.provision()
            self.assertEqual(record['code'], 'tool-failed', step)
            self.assertEqual(len(s.pids()), 2)
            s.mode('good')
            self.assertEqual([s.jobs(), s.jobs()], [1, 2])

    def test_a_killed_provd_leaves_nothing_of_them(self):
        for mode in ('good', 'daemon', 'floods-after', 'mute-at-work'):
            with self.subTest(mode), Shop(timeout='60s') as s:
                s.mode(mode)
                if mode == 'mute-at-work':
                    s.begin(1)
                    line.wait_for('it runs', s.pids)
                else:
                    s.jobs()
                pids = s.pids()
                self.assertTrue(all(line.alive(p) for p in pids))
                s.provd.kill()
                line.wait_for('all have gone', lambda: not any(line.alive(p) for p in pids), 5)
                s.start()
                self.assertEqual(s.scratch(), [])

    def test_an_abort_ends_one_that_hangs_within_a_second(self):
        with Shop(timeout='60s') as s:
            s.mode('mute-at-work')
            run = s.begin(1)
            line.wait_for('it runs', s.pids)
            start = line.time.monotonic()
            s.api.post('/stations/P1/actions/abort')
            record, _ = s.end(run)
            self.assertEqual(record['outcome'], 'aborted')
            self.assertLess(line.time.monotonic() - start, 1.5)
            self.assertEqual(s.living(), [])


if __name__ == '__main__':
    line.main()
