#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Foreign programs under a whole provd: every bad one has its outcome, and none is left running.

A "programmer" of the test's own is a shell script. Its daemon leaves the process group and the
session, ignores TERM, and writes its number into a file.
"""
import os
import signal
import unittest

import line

RECIPE = '''
recipe: tools
version: %d
unit: {model: provsim-1}
ports:
  console: {kind: tty, baud: 115200}
steps:
  - id: program
    action: tool.run
    with:
      argv: ['%s', '%s', '%s']
      success: ['^verified']
      causes: ['device-refused: (?i)\\bfailed\\b', 'timeout: no answer']
      version: '^Programmer (\\S+)'
    timeout: %s
'''
PROGRAMMER = '''#!/bin/sh
# programmer MODE DIR
daemon() {
    setsid sh -c "$0-daemon $1 &" &
    while [ ! -s $1/daemon ]; do :; done
}
echo "Programmer 1.4.2"
echo $$ > $2/tool
pwd > $2/where
case $1 in
good) echo "verified 4096 bytes" ;;
lies) echo "Writing failed at page 3"; echo "verified 4096 bytes" ;;
mute) : ;;
hangs) trap '' TERM; daemon $2; echo verified; while :; do sleep 60; done ;;
daemon) daemon $2; echo verified ;;
floods) echo verified; yes "page written and compared, all is well" | head -c 1073741824 ;;
rubbish) head -c 500000 /dev/urandom; echo; echo verified ;;
signal) echo verified; kill -ABRT $$ ;;
closes) echo verified; exec >&- 2>&-; sleep 600 ;;
talks) echo "erasing"; while [ ! -e $2/go ]; do sleep 0.02; done; echo verified; sleep 0.3; echo over ;;
esac
'''

DAEMON = '''#!/bin/sh
trap '' TERM HUP
echo $$ > $1/daemon.part
mv $1/daemon.part $1/daemon
while :; do sleep 60; done
'''


def landlock_abi():
    """What this kernel can confine: 0 nothing, from 6 on signals too."""
    return max(0, line.libc.syscall(444, None, line.ctypes.c_size_t(0), 1))


def parent(pid):
    with open('/proc/%d/stat' % pid) as f:
        return int(f.read().rsplit(')', 1)[1].split()[1])


def end(pid):
    if line.alive(pid):
        os.kill(pid, signal.SIGKILL)


class Shop(line.Line):
    def __init__(self):
        super().__init__(1, station_extra='    quarantine_after: 0\n')
        self.program = os.path.join(self.home, 'programmer')
        # The only place, but for its own directory, where a program may leave something.
        self.out = os.path.join(self.home, 'out')
        os.mkdir(self.out)
        self.config('tool_sandbox: required\ntool_writable: [%s]\n' % self.out)
        self.version = 0
        for name, text in ((self.program, PROGRAMMER), (self.program + '-daemon', DAEMON)):
            with open(name, 'w') as f:
                f.write(text)
            os.chmod(name, 0o755)
        self.start()

    def job(self, mode, timeout='30s', program=None, version=None):
        """version: of a recipe that is there already."""
        if version:
            return self.api.post('/jobs', {'recipe': 'tools', 'quantity': 1})['id']
        self.version += 1
        self.put_recipe(RECIPE % (self.version, program or self.program, mode, self.out, timeout))
        return self.api.post('/jobs', {'recipe': 'tools', 'quantity': 1})['id']

    def run_mode(self, *args, **kw):
        """The step of the run, once it has ended. The next one needs the next unit."""
        seen = {r['id'] for r in self.api.all('/runs')}
        job = self.job(*args, **kw)
        run = line.wait_for('the run ends', lambda: next(
            (r for r in self.api.all('/runs') if r['id'] not in seen and r['state'] == 'finished'), None))
        # The units that are bad are made again, until the job is stopped.
        self.api.request('POST', '/jobs/%s/actions/stop' % job, headers=line.ANY)
        self.job_done(job)
        self.sim.ctl('swap', board='b1', gap_ms=200)
        return dict(self.api.get('/runs/' + run['id']), steps=self.api.get('/runs/' + run['id'] + '/steps')['items'])

    def number(self, name):
        path = os.path.join(self.out, name)
        line.wait_for(name + ' runs', lambda: os.path.exists(path) and os.path.getsize(path))
        with open(path) as f:
            return int(f.read())

    def scratch(self):
        return os.listdir(os.path.join(self.home, 'state', 'scratch'))


CODES = {
    'good': ('passed', None),
    'lies': ('failed', 'device-refused'),
    'mute': ('error', 'no-evidence'),
    'hangs': ('failed', 'timeout'),
    'daemon': ('passed', None),
    'floods': ('error', 'tool-failed'),
    'rubbish': ('passed', None),
    'signal': ('error', 'tool-failed'),
    'closes': ('failed', 'timeout'),
}


class Tools(unittest.TestCase):
    def test_every_bad_program_has_its_outcome_and_leaves_nothing(self):
        with Shop() as s:
            for mode, (outcome, code) in CODES.items():
                with self.subTest(mode):
                    for name in ('daemon', 'tool', 'where'):
                        if os.path.exists(os.path.join(s.out, name)):
                            os.unlink(os.path.join(s.out, name))
                    run = s.run_mode(mode, timeout='3s' if code == 'timeout' else '40s')
                    self.assertEqual((run['outcome'], run['code']), (outcome, code), run)
                    self.assertFalse(line.alive(s.number('tool')))
                    if mode in ('hangs', 'daemon'):
                        self.assertFalse(line.alive(s.number('daemon')), 'a daemon is left')
                    self.assertEqual(s.scratch(), [])
                    with open(os.path.join(s.out, 'where')) as f:
                        self.assertIn(os.path.join(s.home, 'state', 'scratch') + '/tool-', f.read())
                    if outcome == 'passed':
                        evidence = run['steps'][0]['evidence']
                        self.assertEqual(evidence['version'], '1.4.2')
                        self.assertEqual(evidence['program'], s.program)
                        self.assertTrue(evidence['lines'][0].startswith('verified'))
            if not line.sanitized():
                self.assertLess(s.provd.peak_kib(), 100 * 1024, 'KiB of provd, after 1 GiB of output')
            self.assertLess(s.provd.db_bytes(), 16 << 20)
            for name, code in (('/no/such/programmer', 'tool-missing'), ('/etc/passwd', 'tool-missing')):
                run = s.run_mode('good', program=name)
                self.assertEqual((run['outcome'], run['code']), ('error', code), run)

    def test_what_a_tool_says_is_in_the_log_and_told_before_it_ends(self):
        with Shop() as s:
            stream = s.provd.events()
            with_log = line.Events(s.provd.port, s.provd.token, query='?log=true')
            self.addCleanup(stream.stop)
            self.addCleanup(with_log.stop)
            s.job('talks', '40s')
            run = line.wait_for('a run', lambda: s.api.all('/runs'))[0]['id']
            follower = line.subprocess.Popen(
                [line.binary('provctl'), 'run', 'log', '--follow', run], stdout=line.subprocess.PIPE, text=True,
                env=dict(os.environ, PROVD_URL='http://127.0.0.1:%d' % s.provd.port, PROVD_TOKEN=s.provd.token))
            self.addCleanup(follower.stdout.close)
            self.addCleanup(follower.kill)

            def texts():
                return [x['text'] for x in s.api.all('/runs/%s/log' % run)]
            line.wait_for('the line is on record', lambda: 'erasing' in texts())
            self.assertEqual(s.api.get('/runs/' + run)['state'], 'open')
            line.wait_for('and told', lambda: 'erasing' in [
                x['text'] for e in with_log.events if e[1] == 'run-log' for x in e[2]['lines']])
            said = next(x for x in follower.stdout if 'erasing' in x)
            self.assertRegex(said, r'^20\S+Z < erasing$')
            with open(os.path.join(s.out, 'go'), 'w'):
                pass
            rest = follower.stdout.read()
            self.assertEqual(follower.wait(line.DEADLINE_S), 0)
            self.assertIn(' < over\n', rest)
            kept = s.api.all('/runs/%s/log' % run)
            self.assertEqual([x['k'] for x in kept], list(range(1, len(kept) + 1)))
            told = [x['k'] for e in with_log.events if e[1] == 'run-log' for x in e[2]['lines']]
            self.assertEqual(told, [x['k'] for x in kept])
            self.assertFalse([e for e in stream.events if e[1] == 'run-log'])
            said = s.provctl('run', 'log', run)
            self.assertEqual(said.stdout.count('\n'), len(kept))

    def test_what_was_said_survives_a_killed_provd(self):
        with Shop() as s:
            s.job('hangs', '60s')
            s.number('daemon')
            run = line.wait_for('a run', lambda: s.api.all('/runs'))[0]['id']
            line.wait_for('its log', lambda: 'Programmer 1.4.2' in [
                x['text'] for x in s.api.all('/runs/%s/log' % run)])
            s.provd.kill()
            s.start()
            self.assertEqual(s.api.get('/runs/' + run)['outcome'], 'interrupted')
            self.assertIn('Programmer 1.4.2', [x['text'] for x in s.api.all('/runs/%s/log' % run)])

    def test_an_aborted_run_leaves_nothing(self):
        with Shop() as s:
            s.job('hangs', '60s')
            tool, daemon = s.number('tool'), s.number('daemon')
            s.api.post('/stations/A1/actions/abort')
            line.wait_for('the run is aborted', lambda: [
                r for r in s.api.all('/runs') if r['outcome'] == 'aborted'])
            self.assertFalse(line.alive(tool))
            self.assertFalse(line.alive(daemon))
            self.assertEqual(s.scratch(), [])

    def test_a_killed_provd_leaves_nothing(self):
        with Shop() as s:
            s.job('hangs', '60s')
            tool, daemon = s.number('tool'), s.number('daemon')
            s.provd.kill()
            line.wait_for('both are gone', lambda: not line.alive(tool) and not line.alive(daemon), 5)
            self.assertNotEqual(s.scratch(), [])
            s.start()
            self.assertEqual(s.scratch(), [])

    def test_what_outlives_even_the_keeper_is_ended_at_the_next_start(self):
        with Shop() as s:
            s.job('hangs', '60s')
            tool, daemon = s.number('tool'), s.number('daemon')
            self.addCleanup(end, daemon)
            os.kill(parent(tool), signal.SIGKILL)
            line.wait_for('the run ends', lambda: [
                r for r in s.api.all('/runs') if r['state'] == 'finished'])
            self.assertFalse(line.alive(tool))
            self.assertTrue(line.alive(daemon), 'nothing is left to sweep: the test is void')
            s.provd.kill()
            s.start()
            line.wait_for('the daemon is gone', lambda: not line.alive(daemon), 5)
            self.assertIn('of the provd before this one still ran', s.provd.log_tail())

    def test_check_says_which_programs_are_missing(self):
        with Shop() as s:
            s.version += 1
            s.put_recipe(RECIPE % (s.version, 'no-such-programmer', 'good', s.home, '30s'))
            said = line.subprocess.run([line.binary('provd'), '--check', '--config', s.provd.config],
                                       capture_output=True, text=True, timeout=line.DEADLINE_S)
            self.assertEqual(said.returncode, 0, said)
            self.assertIn('recipe tools version 1: step program needs the program no-such-programmer, '
                          'which is not installed', said.stderr)
            path = os.path.join(s.home, 'r.yaml')
            with open(path, 'w') as f:
                f.write(RECIPE % (9, 'no-such-programmer', 'good', s.home, '30s'))
            said = s.provctl('recipe', 'check', path)
            self.assertEqual(said.returncode, 0, said)
            self.assertIn('warning: step program needs the program no-such-programmer', said.stderr)

    def test_a_recipe_gets_at_no_token_and_changes_no_record(self):
        with Shop() as s:
            state = os.path.join(s.home, 'state')
            for words in (['cat', state + '/admin-token'], ['cp', state + '/provd.db', s.out + '/copy'],
                          ['sh', '-c', 'echo x >> %s/provd.db' % state], ['rm', '-f', state + '/provd.db'],
                          ['sh', '-c', 'cat /proc/*/root%s/admin-token' % state],
                          ['sh', '-c', 'cp %s/admin-token /tmp/' % state],
                          ['sh', '-c', 'kill -9 %d' % s.provd.process.pid],
                          ['sh', '-c', 'echo x > %s' % (s.home + '/stations.d/line.yaml')]):
                if 'kill' in words[-1] and landlock_abi() < 6:
                    print('skipped: signals are not scoped by this kernel')
                    continue
                s.version += 1
                s.put_recipe('recipe: tools\nversion: %d\nunit: {model: provsim-1}\n'
                             'ports: {console: {kind: tty, baud: 115200}}\nsteps:\n'
                             '  - action: tool.run\n    with: {argv: %s, success: ["."]}\n' % (s.version, words))
                run = s.run_mode('', version=s.version)
                self.assertEqual(run['outcome'], 'error', words)
                self.assertNotIn(s.provd.token, str(s.api.all('/runs/%s/log' % run['id'])))
            self.assertEqual(os.listdir(s.out), [])
            self.assertEqual(s.api.get('/records')['holds'], [])


if __name__ == '__main__':
    line.main()
