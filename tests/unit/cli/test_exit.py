#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""provctl's exit statuses and messages without a daemon.

    test_exit.py PROVCTL
"""
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

PROVCTL = sys.argv.pop()
RECIPE = 'recipe: x\nversion: 1\nsteps:\n  - {id: a, action: tool.run, with: {argv: [%s]}}\n'


def run(*args, **env):
    return subprocess.run([PROVCTL, *args], capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL,
                          env=dict(os.environ, PROVD_URL='http://127.0.0.1:1', PROVD_TOKEN='pvd_x', **env))


class Exit(unittest.TestCase):
    def test_help_and_version_are_0(self):
        for args in (['--help'], ['--version'], ['job', 'submit', '--help'], ['job', '--help'], ['help'], ['help', 'job'],
                     ['help', 'job', 'submit']):
            self.assertEqual(run(*args).returncode, 0, args)

    def test_usage_is_2_and_names_the_nearest_command(self):
        for args in ([], ['stationn'], ['job'], ['--nonsense'], ['job', 'submit'], ['exec'], ['exec', 'consol.command'],
                     ['exec', 'console.command', 'nonsense'], ['exec', 'console.command', 'port=tty:/dev/null', 'sent=x']):
            r = run(*args)
            self.assertEqual(r.returncode, 2, (args, r))
            self.assertTrue(r.stderr, args)
        self.assertIn("did you mean 'console.command'", run('exec', 'consol.command').stderr)

    def test_a_slip_is_answered_with_what_was_meant(self):
        for args, meant in ((['job', 'sumbit'], 'job submit'), (['jobs', 'list'], 'job list'),
                            (['list', 'jobs'], 'job list'), (['statoin', 'list'], 'station list'), (['tok'], 'token'),
                            (['--jsno', 'job'], '--json'), (['run', 'list', '--outcom=failed'], '--outcome'),
                            (['job', 'submit', 'x', '--quantty', '1'], '--quantity')):
            r = run(*args)
            self.assertEqual(r.returncode, 2, (args, r))
            self.assertIn("did you mean '%s" % meant, r.stderr, args)
        self.assertIn('--station, --job', run('run', 'list', '--xyzzy').stderr)

    def test_a_word_too_many_or_half_a_number_is_refused(self):
        for args in (['station', 'list', 'A1'], ['station', 'start', 'A1', 'A2'], ['job', 'list', '--state', 'x'],
                     ['pool', 'create', 'p', '--pattern', 'x', '--first', '1x'], ['test', '--baudrate', 'fast']):
            self.assertEqual(run(*args).returncode, 2, args)

    def test_help_of_all_of_a_group_and_of_one(self):
        self.assertIn('job submit', run('help').stdout)
        for args in (['help', 'job'], ['job', '--help']):
            r = run(*args)
            self.assertEqual(r.returncode, 0, r)
            self.assertIn('job submit', r.stdout)
            self.assertNotIn('station list', r.stdout)
        for line in run('--help').stdout.splitlines():
            if line.startswith('  ') and not line.startswith('  help'):
                name = line[2:23].split('  ')[0].split()
                self.assertTrue(run('help', *name).stdout.startswith('usage: provctl ' + ' '.join(name)), name)
                self.assertTrue(run(*name, '--help').stdout.startswith('usage: provctl ' + ' '.join(name)), name)
        self.assertEqual(run('help', 'nonsense').returncode, 2)

    def test_completion_of_each_shell(self):
        for shell in ('bash', 'zsh', 'fish'):
            text = run('completion', shell).stdout
            self.assertTrue('job submit' in text or "-a submit" in text, shell)
            if shutil.which(shell):
                r = subprocess.run([shell, '-n', '/dev/stdin'], input=text, text=True, capture_output=True, timeout=30)
                self.assertEqual((r.returncode, r.stderr), (0, ''), shell)
        self.assertEqual(run('completion', 'csh').returncode, 2)

    def test_a_connection_that_does_not_come_about_says_why(self):
        mute = socket.create_server(('127.0.0.1', 0))
        taken = 'http://127.0.0.1:%d' % mute.getsockname()[1]
        threading.Thread(target=lambda: mute.accept()[0].close(), daemon=True).start()
        for url, words in (('http://127.0.0.1:1', 'nothing listens on 127.0.0.1:1'), ('127.0.0.1:1', 'nothing listens'),
                           ('ftp+x://h', 'is not an address'), (taken, 'without an answer')):
            r = run('--url', url, 'station', 'list')
            self.assertEqual(r.returncode, 3, (url, r))
            self.assertIn(words, r.stderr, url)
        mute.close()

    def test_a_port_that_is_not_there_is_named_with_those_that_are(self):
        r = run('test', '--port', '/dev/ttyUSB99')
        self.assertEqual(r.returncode, 3, r)
        self.assertIn('there is no /dev/ttyUSB99', r.stderr)

    def test_a_port_of_the_wrong_kind_is_2_and_says_which_the_action_takes(self):
        for action, address, takes in (('fastboot.getvar', 'tty:/dev/null', 'takes tcp, udp or usb'),
                                       ('console.command', 'usb:1-1', 'takes tty or tcp'),
                                       ('dfu.list', 'tcp:127.0.0.1:1', 'takes usb'),
                                       ('stm32.info', 'udp:127.0.0.1:1', 'takes tty or tcp')):
            r = run('exec', action, 'port=' + address, *{'fastboot.getvar': ['name=product'],
                                                        'console.command': ['send=x']}.get(action, []))
            self.assertEqual(r.returncode, 2, r)
            self.assertIn(takes, r.stderr)

    def test_records_are_verified_without_a_daemon_and_bad_input_is_named(self):
        for args in ((), ('a', 'b'), ('a', '--database', 'b'), ('a', '--from', '1'), ('--database', 'x', '--from', '0'), ('--database', 'x', '--to', 'y')):
            r = run('record', 'verify', *args)
            self.assertEqual(r.returncode, 2, (args, r))
            self.assertIn('record', r.stderr)
        for args, words in ((('/nonexistent',), 'No such file'), (('--database', '/nonexistent'), 'No such file'), (('/dev/null',), '0 bytes'),
                            (('/dev/null', '--key', '/dev/null'), 'holds no public key'), (('--database', '/dev/null'), 'database /dev/null')):
            r = run('record', 'verify', *args)
            self.assertIn(r.returncode, (2, 3), (args, r))
            self.assertIn(words, r.stderr, args)
        for args in ((), ('x', '--run', 'y'), ('--run', 'y', '--from', '1'), ('--from', 'x'), ('--run', 'y', '--signer', 'z')):
            self.assertEqual(run('record', 'export', *args).returncode, 2, args)

    def test_a_recipe_with_mistakes_is_2_and_a_good_one_0(self):
        with tempfile.NamedTemporaryFile('w', suffix='.yaml') as f:
            f.write('recipe: x\nversion: 1\nsteps:\n  - {action: nothing.at-all}\n')
            f.flush()
            r = run('recipe', 'check', f.name)
            self.assertEqual(r.returncode, 2, r)
            self.assertIn(':4:', r.stdout + r.stderr)
        with tempfile.NamedTemporaryFile('w', suffix='.yaml') as f:
            f.write("recipe: x\nversion: 1\nports: {c: {kind: tty}}\nsteps:\n"
                    "  - {id: a, action: console.command, with: {port: c, send: hi}}\n")
            f.flush()
            self.assertEqual(run('recipe', 'check', f.name).returncode, 0)

    def test_a_link_that_is_not_there_is_3(self):
        r = run('exec', 'console.command', 'port=tty:/dev/none', 'send=x')
        self.assertEqual(r.returncode, 3, r)
        self.assertIn('device-gone', r.stdout)

    def test_no_daemon_is_3_and_says_where_it_looked(self):
        r = run('station', 'list')
        self.assertEqual(r.returncode, 3, r)
        self.assertIn('127.0.0.1', r.stderr)

    def test_a_person_who_is_not_there_is_4(self):
        self.assertEqual(run('exec', 'operator.prompt', 'text=Green?').returncode, 4)


if __name__ == '__main__':
    unittest.main(verbosity=2)
