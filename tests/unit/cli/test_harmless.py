#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What other people wrote reaches a terminal harmless, on every way through provctl: tables, texts, errors, JSON.

The API is a server of this test, whose every string is full of what acts on a terminal or hides in it.

    test_harmless.py PROVCTL
"""
import http.server
import json
import os
import re
import subprocess
import sys
import threading
import unittest

PROVCTL = sys.argv.pop()
BAD = ([*range(1, 0x20)] + [*range(0x7f, 0xa0)] + [0x61c] + [*range(0x200b, 0x2010)] + [*range(0x2028, 0x202f)] +
       [*range(0x2060, 0x2070)] + [0xfeff, 0xe0041])
EVIL = 'A' + ''.join(map(chr, BAD)) + '\x1b]0;owned\x07\x1b[2J\x9b31mZ größe'
BAD_OUT = re.compile('[' + ''.join(re.escape(chr(c)) for c in [0] + BAD if c not in (9, 10)) + ']')


def item():
    """An item of any list: every member that a table of provctl names."""
    o = {k: EVIL for k in 'state message serial recipe version outcome code step attached_at name sha256 format '
                          'created_at kind pattern node path vid pid station port text answer model external_ref role '
                          'principal token address action target at dir yaml'.split()}
    return dict(o, id=EVIL, k=1, run={'serial': EVIL, 'recipe': {'name': EVIL}, 'step': {'id': EVIL}},
                last={'outcome': EVIL, 'serial': EVIL}, today={'passed': 1, 'failed': 0}, yaml='ports:\n  ' + EVIL + '\n')


ANSWER = dict(item(), items=[item()], next_cursor=None, serial_number=EVIL, hint=EVIL,
              steps=[dict(item(), duration_ms=1, measurements=[{'name': EVIL, 'value': EVIL, 'unit': EVIL, 'verdict': EVIL}])])
PROBLEM = {'detail': EVIL, 'code': 'invalid', 'errors': [{'pointer': '/' + EVIL, 'detail': EVIL},
                                                         {'line': 3, 'column': 1, 'detail': EVIL}]}


class Api(http.server.BaseHTTPRequestHandler):
    def answer(self):
        refuse = self.server.refuse
        body = json.dumps(PROBLEM if refuse else ANSWER, ensure_ascii=False).encode()
        self.rfile.read(int(self.headers.get('Content-Length') or 0))
        self.send_response(400 if refuse else 200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, *_):
        pass


COMMANDS = [c.split() for c in (
    'station list', 'station show A1', 'station start A1', 'port list', 'job list', 'job show J', 'job pause J',
    'run list', 'run show R', 'run log R', 'unit list', 'unit show S', 'prompt list', 'outbox list', 'artifact list', 'recipe list',
    'recipe approve x@1', 'pool list', 'token list', 'token create viewer x', 'token revoke T', 'audit list')]


class Harmless(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Api)
        cls.server.refuse = False
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown()
        cls.server.server_close()

    def run_it(self, *args, **kw):
        env = dict(os.environ, PROVD_URL='http://127.0.0.1:%d' % self.server.server_port, PROVD_TOKEN='pvd_x')
        return subprocess.run([PROVCTL, *args], env=env, capture_output=True, timeout=60, **kw)

    def harmless(self, what, data):
        text = data.decode('utf-8')  # strict: nothing that is not UTF-8
        found = BAD_OUT.search(text)
        self.assertIsNone(found, '%s: %r in %r' % (what, found, text[:300]))
        return text

    def test_every_command_shows_it_as_escapes(self):
        self.server.refuse = False
        for command in COMMANDS:
            r = self.run_it(*command)
            text = self.harmless(command, r.stdout)
            self.harmless(command, r.stderr)
            # No run begins here, and provctl says so.
            self.assertEqual(r.returncode, 1 if command[1] == 'start' else 0, (command, r.stderr))
            shown = re.search(r'\\x1b]0;owned\\x07|\\u001B]0;owned\\u0007', text)
            self.assertTrue(shown and 'größe' in text, '%s: %s' % (command, text[:300]))

    def test_a_line_break_makes_no_line_of_a_table(self):
        self.server.refuse = False
        for command in (['run', 'list'], ['station', 'list'], ['run', 'log', 'R']):
            lines = self.run_it(*command).stdout.decode().splitlines()
            self.assertEqual(len(lines), 1 if command[1] == 'log' else 2, lines)

    def test_json_is_harmless_and_means_the_same(self):
        self.server.refuse = False
        for command in (['station', 'list'], ['run', 'show', 'R'], ['unit', 'list']):
            text = self.harmless(command, self.run_it('--json', *command).stdout)
            self.assertEqual(json.loads(text), ANSWER, command)
        line = json.loads(self.harmless('log', self.run_it('--json', 'run', 'log', 'R').stdout))
        self.assertEqual(line, item())

    def test_errors_of_the_api_are_harmless_too(self):
        self.server.refuse = True
        for command in COMMANDS + [['recipe', 'put', __file__], ['job', 'submit', 'x', '--quantity', '1']]:
            r = self.run_it(*command)
            self.assertNotEqual(r.returncode, 0, command)
            text = self.harmless(command, r.stderr)
            self.harmless(command, r.stdout)
            self.assertTrue('\\u009b31mZ' in text, '%s: %s' % (command, text[:300]))

    def test_words_of_the_command_line_come_back_harmless(self):
        for args in ([EVIL], ['job', EVIL], ['--' + EVIL], ['run', 'list', '--' + EVIL], ['run', 'show', 'a', EVIL],
                     ['image', 'info', '/none/' + EVIL], ['recipe', 'check', '/none/' + EVIL], ['completion', EVIL],
                     ['exec', EVIL], ['actions', EVIL]):
            r = self.run_it(*args)
            self.assertNotEqual(r.returncode, 0, args)
            self.harmless(args, r.stderr + r.stdout)
        bad = os.fsencode('/none/') + b'\xff\xc0\x80\xed\xa0\x80\x1b[2J'
        r = self.run_it('recipe', 'check', bad)
        self.harmless('bytes that are not UTF-8', r.stderr + r.stdout)
        self.assertIn(b'\\xff\\xc0\\x80\\xed\\xa0\\x80\\x1b[2J', r.stderr)

    def test_what_a_recipe_file_says_is_harmless(self):
        recipe = 'recipe: "x\\e[2J\\u202e"\nversion: 1\n"\\e]0;t\\a": 3\nsteps:\n  - {id: "\\e[31m", action: no.such}\n'
        r = self.run_it('recipe', 'check', '/dev/stdin', input=recipe.encode())
        self.assertEqual(r.returncode, 2, r)
        self.harmless('a recipe', r.stderr + r.stdout)

    def test_a_terminal_gets_our_colours_and_nothing_else(self):
        self.server.refuse = False
        script = '%s run list; %s station list' % (PROVCTL, PROVCTL)
        env = dict(os.environ, PROVD_URL='http://127.0.0.1:%d' % self.server.server_port, PROVD_TOKEN='pvd_x')
        main, sub = os.openpty()
        child = subprocess.Popen(['sh', '-c', script], env=env, stdin=sub, stdout=sub, stderr=sub)
        os.close(sub)
        out = b''
        try:
            while (data := os.read(main, 65536)):
                out += data
        except OSError:
            pass  # the last one closed it
        os.close(main)
        self.assertEqual(child.wait(60), 0)
        self.harmless('terminal', re.sub(rb'\x1b\[[0-9]*m', b'', out).replace(b'\r\n', b'\n'))


if __name__ == '__main__':
    unittest.main(verbosity=2)
