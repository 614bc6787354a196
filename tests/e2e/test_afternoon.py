#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Pages whose commands are run: docs/integrator.md, "One afternoon", and docs/recipes.md, "A cloud to try it with". Each command in its
order, in one shell, and what it says.

    test_afternoon.py [BUILD]
"""
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest

import line

END = '--- end of block %d'


def blocks(page, name):
    """[(commands, what they say or None)] of the section."""
    with open(os.path.join(line.ROOT, 'docs', page), encoding='utf-8') as f:
        section = re.search(r'^##+ %s\n(.*?)^## ' % name, f.read(), re.M | re.S).group(1)
    found = []
    for kind, text in re.findall(r'^```(\w+)\n(.*?)^```$', section, re.M | re.S):
        if kind == 'sh':
            found.append([text, None])
        elif kind == 'text':
            found[-1][1] = text
    return found


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Afternoon(unittest.TestCase):
    page, section, least = 'integrator.md', 'One afternoon', 11

    def setUp(self):
        for program in ('curl', 'jq', 'openssl'):
            if not shutil.which(program):
                self.skipTest('%s is not installed' % program)
        self.home = tempfile.mkdtemp(prefix='provd-afternoon-')
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)
        os.symlink(os.path.join(line.ROOT, 'recipes'), os.path.join(self.home, 'recipes'))
        # The ports of the page may be in use here.
        self.ports = {'8620': str(free_port()), '9099': str(free_port()), '8443': str(free_port())}

    def here(self, text):
        for port, other in self.ports.items():
            text = text.replace(port, other)
        return text

    def script(self, found):
        return ''.join('%s\necho; echo "%s"\n' % (self.here(commands), END % i) for i, (commands, _) in enumerate(found))

    def run_all(self, found):
        path = os.pathsep.join([os.path.dirname(line.binary(p)) for p in ('provd', 'provsim', 'provctl')] + [os.environ['PATH']])
        errors = open(os.path.join(self.home, 'errors'), 'w')
        self.addCleanup(errors.close)
        shell = subprocess.Popen(['bash', '-euo', 'pipefail', '-c', self.script(found)], cwd=self.home, text=True,
                                 env=dict(os.environ, PATH=path), stdout=subprocess.PIPE, stderr=errors,
                                 start_new_session=True)
        try:
            said, _ = shell.communicate(timeout=line.DEADLINE_S)
        except subprocess.TimeoutExpired:
            os.killpg(shell.pid, signal.SIGKILL)
            said, _ = shell.communicate()
            self.fail('not within %d s:\n%s%s' % (line.DEADLINE_S, said, self.log()))
        finally:
            self.end(shell.pid)
        return shell.returncode, said

    def end(self, group):
        """provd, provsim and the receiver are still of the shell's session."""
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def log(self):
        text = ''
        for name in ('errors', 'provd.log'):
            path = os.path.join(self.home, name)
            if os.path.exists(path):
                with open(path) as f:
                    text += '--- %s\n%s' % (name, f.read()[-3000:])
        return text

    def test_each_command_does_what_the_page_says(self):
        found = blocks(self.page, self.section)
        self.assertGreaterEqual(len(found), self.least)
        status, said = self.run_all(found)
        for i, (commands, expected) in enumerate(found):
            text, end, said = said.partition('\n%s\n' % (END % i))
            self.assertTrue(end, 'ended with %d in:\n%s\nafter:\n%s\n%s' % (status, commands, text, self.log()))
            self.assertIsNotNone(expected, 'the page says nothing of:\n' + commands)
            pattern = '.*'.join(re.escape(p) for p in expected.strip().split('...'))
            self.assertTrue(re.fullmatch(pattern, text.strip(), re.S), '%s\nsaid:\n%s\nexpected:\n%s' % (commands, text, expected))
        self.assertEqual(status, 0)


class Cloud(Afternoon):
    page, section, least = 'recipes.md', 'A cloud to try it with', 3


if __name__ == '__main__':
    line.main()
