#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each fault of the simulator times each action that touches a device: a verified pass, or a
reported failure with a code that fits; never a pass on a wrong board, never a hang.

    test_false_pass.py [BUILD]

Every pass is looked at outside provd: the board's flash file and state. Two kinds of pass prove
less, and say so:
- console.command and console.config without read-back pass on the unit's word; their evidence says
  proof: acknowledged. Only such a pass may be given to a board that does not hold the value.
- a board whose read-back lies (lying-read) passes a flash step, for a read-back is all that the
  bootloader offers. The self-check of the application tells: the production recipe asks for it, and
  must not pass.
"""
import collections
import concurrent.futures
import json
import os
import queue
import subprocess
import sys
import time
import tty

import line

BOARDS = 12
WORKERS = 8
OLD = line.firmware(1024, 1)    # on every board when it comes: it is in its application
NEW = line.firmware(1500, 2)    # to be flashed: not a whole number of frames
SERIAL = 'SN20261122000042'
MAC = 'AC:DE:48:00:12:34'
LICENSE = 'LIC-2026-000042'
FUSES = '00c0ffee'
MAP = 'otp: provsim\nfields: {flags: {width: 32}}\n'
TEMP = 24.6
LIMIT_S = 14                    # of one action of the bench; each has less in its own arguments
RECIPE_LIMIT_S = 60

UNIT = {'timeout', 'unexpected-reply', 'device-refused', 'protocol', 'verify-mismatch',
        'read-back-mismatch', 'not-a-number', 'limit-low', 'limit-high'}
NOISE = UNIT
# How each fault is set for consoles and for the bootloader, and the codes that fit it.
FAULTS = {
    'drop': ('drop=2', 'drop=300', NOISE),
    'drop-reply': ('drop-reply=1', 'drop-reply=1', NOISE),
    'flip': ('flip=2', 'flip=300', NOISE),
    'flip-reply': ('flip-reply', 'flip-reply=20', NOISE),
    'late-ack': ('late-ack=600', 'late-ack=600', {'timeout', 'protocol'}),
    'lost-ack': ('lost-ack', 'lost-ack', {'timeout', 'protocol'}),
    'wrong-ack': ('wrong-ack', 'wrong-ack', {'protocol', 'unexpected-reply', 'device-refused'}),
    'nak': ('nak', 'nak', {'device-refused'}),
    'chatter': ('chatter', 'chatter', NOISE),
    'echo': ('echo', 'echo', NOISE),
    'prompt': ('prompt', 'prompt', NOISE),
    'split': ('split', 'split', set()),
    'stall': ('stall=3', 'stall=300', {'timeout'}),
    'disappear': ('disappear=3', 'disappear=300', {'device-gone'}),
    'replug': ('replug=3', 'replug=300', {'device-gone'}),
    'swap': ('swap=3', 'swap=300', {'device-gone', 'wrong-device'}),
    'not-ok': ('not-ok', 'not-ok', {'device-refused', 'unexpected-reply', 'read-back-mismatch', 'not-a-number'}),
    'refuse-serial': ('refuse-serial', 'refuse-serial', {'read-back-mismatch'}),
    'value-wrong': ('value-wrong', 'value-wrong', {'read-back-mismatch'}),
    'value-cut': ('value-cut', 'value-cut', {'read-back-mismatch'}),
    'key-other': ('key-other', 'key-other', set()),
    'csr-other': ('csr-other', 'csr-other', set()),
    'cert-cut': ('cert-cut', 'cert-cut', set()),
    'lying-read': ('lying-read=100', 'lying-read=100', {'verify-mismatch', 'unexpected-reply', 'device-refused'}),
    'weak-cell': ('weak-cell=100', 'weak-cell=100', {'verify-mismatch'}),
    'no-erase': ('no-erase', 'no-erase', {'verify-mismatch', 'device-refused'}),
    'slow-erase': ('slow-erase=1500', 'slow-erase=1500', {'timeout'}),
    'nan-temp': ('nan-temp', 'nan-temp', {'not-a-number'}),
    'temp': ('temp', 'temp', {'limit-high'}),
    'garbage': ('garbage', 'garbage', NOISE),
    'huge-line': ('huge-line', 'huge-line', NOISE),
    'nul': ('nul', 'nul', NOISE),
    'otp-half': ('otp-half=3', 'otp-half=3', {'device-gone'}),
    'otp-lie': ('otp-lie', 'otp-lie', {'read-back-mismatch'}),
    'otp-lost': ('otp-lost', 'otp-lost', {'timeout'}),
    'otp-protected': ('otp-protected', 'otp-protected', {'no-evidence', 'otp-locked'}),
}

BOOT = ('address=0x08010000', 'enter_timeout=1s')


def holds_serial(b, step):
    return b['state']['serial'] == SERIAL


def holds_flash(image):
    def check(b, step):
        return b['flash'][:len(image)] == image and not b['flash'][len(image):].strip(b'\xff')
    return check


def holds_fuses(b, step):
    return b['state']['values'].get('otp', {}).get('flags', {}).get('value') == FUSES


def is_read(b, step):
    with open(b['file'], 'rb') as f:
        got = f.read()
    return got == b['flash'][:1024] and step['evidence'].get('sha256') in (None, line.sha256(got))


# name: (arguments, where the faults are set, verified by)
ACTIONS = {
    'console.command': (('send=SET_SERIAL ' + SERIAL, 'expect=^OK$', 'timeout=500ms'), 'console', holds_serial),
    'console.command+read_back': (('send=SET_SERIAL ' + SERIAL, 'expect=^OK$', 'timeout=500ms',
                                   'read_back.send=GET_SERIAL', 'read_back.expect=^%s$' % SERIAL),
                                  'console', holds_serial),
    'console.measure': (('send=read temp', 'low=20', 'high=30', 'timeout=500ms'), 'console',
                        lambda b, step: abs(step['evidence']['value'] - TEMP) < 0.01),
    'console.sweep': (('send=read temp', r'pattern=^(?:\w+[ =:]+)?([-0-9.]+)', 'unit=degC', 'axis.start=1', 'axis.step=1', 'axis.points=1',
                       'limits=["1 1 20 30"]', 'timeout=500ms'), 'console', lambda b, step: step['evidence']['outside'] == []),
    'console.text': (('send=ping', 'equals=pong', 'timeout=500ms'), 'console', lambda b, step: step['evidence']['text'] == 'pong'),
    'console.config': (('values.API_URL=https://x/', 'read_back=true', 'timeout=500ms'), 'console',
                       lambda b, step: b['state']['config'] == {'API_URL': 'https://x/'}),
    'console.expect': (('expect=^APP|READY|sensors up', 'timeout=1500ms'), 'console',
                       lambda b, step: b['ctl']['state'] == 'application'),
    'device.identify': (('send=GET_UID', 'pattern=^([0-9a-f]{24})$', 'timeout=500ms'), 'console',
                        lambda b, step: step['evidence']['id'] == b['ctl']['uid']),
    'unit.serial': (('read=GET_SERIAL', r'pattern=^(SN\d{14})$', 'blank=(?i)^(NONE|unset|empty)?$',
                     'timeout=500ms', '--serial=' + SERIAL), 'console',
                    lambda b, step: step['evidence']['serial'] == (b['state']['serial'] or SERIAL)),
    'unit.serial+rework': (('read=GET_SERIAL', r'pattern=^(SN\d{14})$', 'blank=^NONE$', 'timeout=500ms', '--serial=' + SERIAL),
                           'digit',
                           lambda b, step: step['evidence']['serial'] == b['state']['serial']),
    'unit.mac': (('mac=' + MAC, 'index=1', 'timeout=500ms'), 'console',
                 lambda b, step: b['state']['values'].get('mac', {}) == {'1': MAC.lower()}),
    'unit.license': (('key=' + LICENSE, 'timeout=500ms'), 'console',
                     lambda b, step: b['state']['values'].get('license', {}) == {'key': LICENSE}),
    'unit.flags': (('flags.radio=1', 'flags.debug=0', 'timeout=500ms'), 'console',
                   lambda b, step: b['state']['values'].get('flags', {}) == {'radio': '1', 'debug': '0'}),
    'otp.read': (('map={map}', 'field=flags', 'timeout=500ms'), 'console',
                 lambda b, step: step['evidence']['value'] == '00000000'),
    'otp.write': (('map={map}', 'field=flags', 'value=' + FUSES, 'irreversible=yes-i-mean-it', 'timeout=500ms'),
                  'console', holds_fuses),
    'otp.lock': (('map={map}', 'field=flags', 'irreversible=yes-i-mean-it', 'timeout=500ms'), 'console',
                 lambda b, step: b['state']['values']['otp']['flags']['locked']),
    'serialboot.flash': (BOOT + ('image={new}', 'boot=true', 'erase_timeout=1s', 'ack_timeout=300ms', 'attempts=2'),
                         'boot', holds_flash(NEW)),
    'serialboot.read': (BOOT + ('size=1024', 'file={file}'), 'boot-read', is_read),
    'serialboot.erase': (BOOT + ('size=1024', 'erase_timeout=1s'), 'boot-short',
                         lambda b, step: not b['flash'].strip(b'\xff')),
    'serialboot.boot': (('boot_timeout=1s', 'ready=sensors up', 'ready_timeout=1s'), 'boot-short', lambda b, step: b['ctl']['state'] == 'application'),
}


# What the unit is told before the fault is set.
BEFORE = {'serialboot.boot': b'BOOT\r', 'unit.serial+rework': b'SET_SERIAL SN20261122000007\r'}


def fault_for(fault, where):
    console, boot, _ = FAULTS[fault]
    if where == 'digit' and fault == 'flip-reply':
        return 'flip-reply=10'
    if where == 'digit':
        return console
    if where == 'console':
        return console
    if where == 'boot':
        return boot
    # The other verbs of the bootloader send few bytes.
    return console


class Table:
    def __init__(self):
        self.rows = collections.OrderedDict()
        self.wrong = []

    def set(self, action, fault, cell, why=None):
        self.rows.setdefault(fault, {})[action] = cell
        if why:
            self.wrong.append('%s against %s: %s: %s' % (action, fault, cell, why))

    def print(self):
        actions = sorted({a for cells in self.rows.values() for a in cells})
        for action in actions:
            print('\n%s' % action)
            for fault in FAULTS:
                cell = self.rows.get(fault, {}).get(action)
                if cell:
                    print('  %-14s %s' % (fault, cell))


class Bench:
    """Boards of one provsim, handed out one by one, each with a fresh unit."""

    def __init__(self, l):
        self.l = l
        self.free = queue.Queue()
        for i in range(1, BOARDS + 1):
            self.free.put('b%d' % i)
        self.env = dict(os.environ, PROVSIM_CONTROL=l.sim.control)

    def fresh(self, board):
        """Another unit in the socket, its application up."""
        self.l.sim.ctl('clear-faults', board=board)
        before = self.l.sim.ctl('state', board=board)['state']['uid']
        self.l.sim.ctl('swap', board=board, gap_ms=1)

        def ready():
            s = self.l.sim.ctl('state', board=board)['state']
            return s.get('plugged') and s['uid'] != before and s['state'] == 'application' and s
        return line.wait_for('%s is fresh' % board, ready, every_s=0.01)

    def tell(self, board, link, text):
        commands = self.l.sim.ctl('state', board=board)['state']['unit']['counters'].get('commands', 0)
        fd = os.open(link, os.O_RDWR | os.O_NOCTTY)
        try:
            tty.setraw(fd)
            os.write(fd, text)
            line.wait_for('%s has heard %r' % (board, text), lambda: self.l.sim.ctl(
                'state', board=board)['state']['unit']['counters'].get('commands', 0) > commands, every_s=0.005)
        finally:
            os.close(fd)

    def look(self, board, unit, file):
        uid = unit['uid']
        ctl = self.l.sim.ctl('state', board=board)['state']
        flash = os.path.join(self.l.sim.boards_dir, '%s.flash.bin' % (board if ctl['uid'] == uid else uid))
        return {'ctl': ctl, 'state': ctl['unit'], 'flash': line._bytes_of(flash), 'file': file,
                'same': ctl['uid'] == uid, 'fired': ctl['faults_fired'] > unit['faults_fired']}

    def provctl(self, args, limit, at_open=None, link=None):
        begun = time.monotonic()
        p = subprocess.Popen([line.binary('provctl'), *args], env=self.env, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, preexec_fn=line._with_parent)
        try:
            if at_open:
                line.wait_for('provctl opens the line',
                              lambda: p.poll() is not None or link in _open_files(p.pid), 5, 0.005)
                at_open()
            out, err = p.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            p.kill()
            p.communicate()
            return None, 'hung for %.0f s' % (time.monotonic() - begun), begun
        text = out.decode(errors='replace')
        try:
            return p.returncode, json.loads(text), begun
        except ValueError:
            return p.returncode, 'no JSON: %r %r' % (text[:200], err[-300:]), begun

    def exec(self, action, fault):
        """A board that nothing was done to and that still answers too late is one of a busy machine: once more."""
        for _ in range(3):
            cell, wrong = self.exec_once(action, fault)
            if not (wrong and ' timeout ' in cell and cell.endswith('(the fault did not come)')):
                break
        return cell, wrong

    def exec_once(self, action, fault):
        args, where, verified = ACTIONS[action]
        board = self.free.get()
        try:
            unit = self.fresh(board)
            if action in BEFORE:
                self.tell(board, unit['link'], BEFORE[action])
            file = os.path.join(self.l.home, 'read-%s-%s' % (board, fault))
            self.l.sim.ctl('fault', board=board, fault=fault_for(fault, where))
            words = [a.format(new=os.path.join(self.l.home, 'new.bin'), file=file, map=os.path.join(self.l.home, 'map'))
                     if '{' in a and 'pattern' not in a
                     else a for a in args]
            words = ['exec', action.split('+')[0], 'port=tty:' + unit['link'], *words, '--json']
            reset = (lambda: self.l.sim.ctl('reset', board=board)) if action == 'console.expect' else None
            status, answer, _ = self.provctl(words, LIMIT_S, reset, unit['link'])
            return self.judge(action, fault, status, answer, self.look(board, unit, file), verified)
        finally:
            self.free.put(board)

    def recipe(self, fault):
        """The production recipe as it is, the fault in the bootloader's phase where it has one."""
        board = self.free.get()
        try:
            unit = self.fresh(board)
            self.l.sim.ctl('fault', board=board, fault=FAULTS[fault][1])
            status, answer, _ = self.provctl(
                ['recipe', 'run', line.PRODUCTION, '--port', 'console=tty:' + unit['link'], '--artifact',
                 'application=' + os.path.join(self.l.home, 'new.bin'), '--serial', SERIAL, '--json'], RECIPE_LIMIT_S)

            def verified(b, step):
                return holds_flash(NEW)(b, step) and holds_serial(b, step) and \
                    b['state'].get('lying_offset', -1) < 0
            return self.judge('production', fault, status, answer, self.look(board, unit, None), verified)
        finally:
            self.free.put(board)

    def judge(self, action, fault, status, answer, board, verified):
        """(cell, what is wrong with it or None)"""
        if not isinstance(answer, dict):
            return str(answer), 'no answer'
        fired = '' if board['fired'] or not board['same'] else ' (the fault did not come)'
        codes = FAULTS[fault][2]
        if answer['outcome'] == 'passed':
            return self.judge_pass(action, fault, status, answer, board, verified, fired)
        cell = '%s %s at %s%s' % (answer['outcome'], answer['code'], answer['step'], fired)
        want = {'failed': 1, 'error': 3, 'aborted': 4}[answer['outcome']]
        if status != want:
            return cell, 'exit status %s' % status
        if not answer['message']:
            return cell, 'no sentence for the operator'
        if answer['code'] not in codes:
            return cell, 'the code does not fit'
        return cell, None

    def judge_pass(self, action, fault, status, answer, board, verified, fired):
        steps = [s for s in answer['steps'] if s['outcome'] == 'passed']
        proof = steps[-1]['evidence'].get('proof', '') if action != 'production' else ''
        cell = 'passed' + (' (%s)' % proof if proof else '') + fired
        if status != 0:
            return cell, 'exit status %s' % status
        if not all(s['evidence'] for s in steps):
            return cell, 'a step passed without evidence'
        if not board['same']:
            return cell, 'another unit is in the socket'
        if verified(board, steps[-1]):
            return cell, None
        if proof == 'acknowledged':
            return cell + ', the board does not hold it', None
        if action == 'serialboot.flash' and fault == 'lying-read':
            return cell + ', the read-back lied', None
        return cell, 'a pass on a wrong board'


def _open_files(pid):
    found = []
    try:
        for f in os.listdir('/proc/%d/fd' % pid):
            found.append(os.readlink('/proc/%d/fd/%s' % (pid, f)))
    except OSError:
        pass
    return found


def on_bench(table):
    with line.Line(0, boards=0) as l:
        old, new = (os.path.join(l.home, n + '.bin') for n in ('old', 'new'))
        for path, data in ((old, OLD), (new, NEW)):
            with open(path, 'wb') as f:
                f.write(data)
        with open(os.path.join(l.home, 'map'), 'w') as f:
            f.write(MAP)
        l.sim = line.Sim(l.home, BOARDS, '--preload', old)
        bench = Bench(l)
        listed = subprocess.run([line.binary('provsim'), 'faults'], capture_output=True, text=True, check=True).stdout
        names = {row.split()[0].split('=')[0] for row in listed.split('\n\n')[1].splitlines() if row.strip()}
        assert names == set(FAULTS), 'faults without a row here, or the other way: %s' % (names ^ set(FAULTS))
        cases = [('production', f) for f in FAULTS] + [(a, f) for a in ACTIONS for f in FAULTS]
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            todo = {pool.submit(bench.recipe, f) if a == 'production' else pool.submit(bench.exec, a, f): (a, f)
                    for a, f in cases}
            for done in concurrent.futures.as_completed(todo):
                table.set(*todo[done], *done.result())
        return len(cases)


def on_line(table):
    """The production recipe through provd: faults that unplug are told by udev there."""
    faults = list(FAULTS)
    with line.Line(8, boards=0, station_extra='    quarantine_after: 0\n') as l:
        old = os.path.join(l.home, 'old.bin')
        with open(old, 'wb') as f:
            f.write(OLD)
        l.sim = line.Sim(l.home, 8, '--preload', old)
        l.start()
        l.prepare(NEW)
        for at in range(0, len(faults), 8):
            batch = faults[at:at + 8]
            for i, fault in enumerate(batch, 1):
                l.sim.ctl('swap', board='b%d' % i, gap_ms=100)
            uids = {}
            for i, fault in enumerate(batch, 1):
                s = line.wait_for('b%d is up' % i, lambda: (
                    s := l.sim.ctl('state', board='b%d' % i)['state'], s if s['state'] == 'application' else None)[1])
                uids[fault] = s['uid']
                l.sim.ctl('fault', board='b%d' % i, fault=FAULTS[fault][1])
            job = l.api.post('/jobs', {'recipe': 'production', 'quantity': len(batch),
                                       'stations': ['A%d' % i for i in range(1, len(batch) + 1)]})['id']

            def all_tried():
                runs = [r for r in l.api.get('/runs?limit=100&job_id=' + job)['items'] if r['state'] == 'finished']
                by = {}
                for r in reversed(runs):
                    by.setdefault(r['station'], r)
                return by if len(by) == len(batch) else None
            runs = line.wait_for('every station had a run', all_tried, RECIPE_LIMIT_S)
            if l.api.get('/jobs/' + job)['state'] == 'running':
                l.api.post('/jobs/%s/actions/abort' % job, headers=line.ANY)
            line.wait_for('the stations rest', lambda: all(
                s['run'] is None for s in l.api.get('/stations')['items']), RECIPE_LIMIT_S)
            for i, fault in enumerate(batch, 1):
                judge_run(table, l, fault, runs['A%d' % i], 'b%d' % i, uids[fault])
    return len(faults)


def judge_run(table, l, fault, run, board, uid):
    if run['outcome'] != 'passed':
        cell = '%s %s at %s' % (run['outcome'], run['code'], run['step'])
        fits = run['code'] in FAULTS[fault][2] and run['message']
        table.set('production through provd', fault, cell, None if fits else 'the code does not fit')
        return
    state = l.sim.ctl('state', board=board)['state']
    flash = line._bytes_of(os.path.join(l.sim.boards_dir, board + '.flash.bin'))
    good = state['uid'] == uid and holds_flash(NEW)({'flash': flash}, None) and \
        state['unit']['serial'] == run['serial'] and state['unit'].get('lying_offset', -1) < 0
    table.set('production through provd', fault, 'passed', None if good else 'a pass on a wrong board')


def main():
    if len(sys.argv) > 1:
        os.environ['PROVD_BUILD'] = os.path.abspath(sys.argv[1])
    table, begun = Table(), time.monotonic()
    n = on_bench(table)
    n += on_line(table)
    table.print()
    for wrong in table.wrong:
        print('FAILED: ' + wrong)
    print('%d cases in %.0f s, %d wrong' % (n, time.monotonic() - begun, len(table.wrong)))
    return 1 if table.wrong else 0


if __name__ == '__main__':
    sys.exit(main())
