#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""People who log in with user and password: Debian's Linux-PAM with passwords of the test's own (libpam-wrapper, pam_matrix).

    test_accounts.py [BUILD]
"""
import concurrent.futures
import ctypes.util
import itertools
import os
import pathlib
import signal
import subprocess
import unittest

import line

MODULE = 'pam_matrix.so'
PEOPLE = '''
principals:
  - {name: Anna Berg, role: supervisor, user: aberg}
  - {name: Old Hand, role: operator, user: old, scopes: {stations: [A1]}}
'''


def module():
    found = subprocess.run(['dpkg', '-L', 'libpam-wrapper'], capture_output=True, text=True).stdout.split()
    return next((p for p in found if p.endswith('/' + MODULE)), None)


@unittest.skipUnless(module() and ctypes.util.find_library('pam_wrapper'), 'libpam-wrapper is not installed')
@unittest.skipIf(line.sanitized(), 'a wrapper that is loaded first does not go with a sanitizer')
class Accounts(unittest.TestCase):
    def setUp(self):
        self.line = line.Line(1, boards=0)
        self.addCleanup(self.line.close)
        self.services, self.passwords = (os.path.join(self.line.home, n) for n in ('pam.d', 'passwords'))
        os.mkdir(self.services)
        self.matrix = 'required %s passdb=%s verbose' % (module(), self.passwords)
        self.service(self.matrix, self.matrix)
        line.write(self.passwords, 'aberg:Ab3rg pässword:provd-test\nold:hand:provd-test\nnobody:right:provd-test\nelsewhere:right:sshd\n')
        self.line.config('pam: provd-test\n' + PEOPLE)
        self.line.provd.wrap = ['env', 'LD_PRELOAD=' + ctypes.util.find_library('pam_wrapper'), 'PAM_WRAPPER=1',
                                'PAM_WRAPPER_SERVICE_DIR=' + self.services]

    def service(self, auth, account):
        line.write(os.path.join(self.services, 'provd-test'), 'auth %s\naccount %s\n' % (auth, account))

    def start(self):
        self.line.provd.start()
        self.api = self.line.provd.api()
        self.addCleanup(self.api.close)

    def open(self, body):
        api = line.Api(self.line.provd.port, None)
        try:
            return api.request('POST', '/session', body)
        finally:
            api.close()

    def login(self, user, password):
        return self.open({'user': user, 'password': password})

    def browser(self, answer):
        """Requests with the cookie that it was given."""
        api = line.Api(self.line.provd.port, None)
        self.addCleanup(api.close)
        cookie = {'Cookie': answer.headers['Set-Cookie'].split(';')[0], 'Origin': 'http://127.0.0.1:%d' % self.line.provd.port}
        return lambda method, path, body=None: api.request(method, path, body, cookie)

    def test_a_right_password_is_a_session_and_nothing_else_is(self):
        self.start()
        self.assertTrue(self.api.get('/version')['passwords'])
        opened = self.login('aberg', 'Ab3rg pässword')
        self.assertEqual((opened.status, opened.json['name'], opened.json['role']), (201, 'Anna Berg', 'supervisor'))
        ask = self.browser(opened)
        self.assertEqual(ask('GET', '/session').json['name'], 'Anna Berg')
        self.assertEqual(ask('POST', '/stations/A1/actions/disable', {}).status, 202)
        self.assertEqual(ask('GET', '/tokens').status, 403)
        self.assertEqual([a['principal'] for a in self.api.get('/audit?limit=1000')['items'] if a['action'] == 'station.disable'], ['Anna Berg'])
        # The same sentence for each: who guesses does not learn what was wrong.
        answers = [self.login(*p) for p in (('aberg', 'wrong'), ('nobody', 'right'), ('elsewhere', 'right'), ('unknown', 'x'))]
        self.assertEqual({(a.status, a.json['detail']) for a in answers}, {(401, 'the user or the password is wrong')})
        self.assertEqual(ask('DELETE', '/session').status, 200)
        self.assertEqual(ask('GET', '/session').status, 401)
        # A password is in no log and no record.
        log = self.line.provd.log_text()
        self.assertEqual(self.line.provd.term(20), 0)
        state = pathlib.Path(self.line.home, 'state')
        records = b''.join(p.read_bytes() for p in state.glob('provd.db*'))
        for secret in ('Ab3rg pässword', 'wrong'):
            self.assertNotIn(secret, log.replace('a wrong token', ''))
            self.assertNotIn(('"%s"' % secret).encode(), records)

    def test_guessing_waits_and_a_body_is_one_of_two(self):
        self.start()
        for _ in range(5):
            self.assertEqual(self.login('aberg', 'guess').status, 401)
        waits = self.login('aberg', 'Ab3rg pässword')
        self.assertEqual((waits.status, waits.headers['Retry-After'] is not None), (429, True))
        # Others of that address are looked at, and who guesses does not learn by it who they are.
        answers = [self.login(*p) for p in (('old', 'wrong'), ('stranger', 'wrong'))]
        self.assertEqual([(a.status, a.json['detail']) for a in answers], [(401, 'the user or the password is wrong')] * 2)
        self.assertIn('auth.failed', {a['action'] for a in self.api.get('/audit?limit=1000')['items']})
        for body, pointer in (({}, ''), ({'user': 'x'}, ''), ({'password': 'x'}, ''), ({'token': 'x', 'user': 'x'}, '/token'),
                              ({'user': 'x', 'password': ''}, '/password')):
            a = self.open(body)
            self.assertEqual((a.status, [e['pointer'] for e in a.json['errors']]), (422, [pointer]), body)

    def test_who_is_taken_away_is_out_and_a_restart_asks_again(self):
        self.start()
        anna, old = (self.browser(self.login(*p)) for p in (('aberg', 'Ab3rg pässword'), ('old', 'hand')))
        self.assertEqual(old('POST', '/stations/A1/actions/disable', {}).status, 202)
        text = line.read(self.line.provd.config)
        line.write(self.line.provd.config, text.replace('user: old', 'user: other'))
        self.line.provd.process.send_signal(signal.SIGHUP)
        line.wait_for('the old one is out', lambda: old('GET', '/session').status == 401)
        self.assertEqual(anna('GET', '/session').status, 200)
        self.assertEqual(self.line.provd.term(20), 0)
        self.line.provd.start()
        self.assertEqual(self.browser(self.login('aberg', 'Ab3rg pässword'))('GET', '/session').status, 200)

    def test_who_is_taken_away_with_a_change_that_needs_a_restart_is_out(self):
        self.start()
        old = self.browser(self.login('old', 'hand'))
        text = line.read(self.line.provd.config)
        made = subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=x',
                               '-keyout', self.passwords + '.key', '-out', self.passwords + '.pem'], capture_output=True)
        self.assertEqual(made.returncode, 0, made.stderr)
        line.write(self.line.provd.config, text.replace('user: old', 'user: other') +
                   'tls: {certificate: %s, key: %s}\n' % (self.passwords + '.pem', self.passwords + '.key'))
        self.line.provd.process.send_signal(signal.SIGHUP)
        line.wait_for('that needs a restart', lambda: 'that needs a restart' in self.line.provd.log_text())
        self.assertEqual(old('GET', '/session').status, 401)

    def test_an_account_that_has_expired_is_refused_and_nobody_else_learns_of_a_right_password(self):
        self.service(self.matrix, 'required pam_debug.so acct=authtok_expired')
        self.start()
        a = self.login('aberg', 'Ab3rg pässword')
        self.assertEqual((a.status, a.json['detail']), (401, 'the user or the password is wrong'))
        self.assertEqual(self.line.provd.term(20), 0)
        self.service(self.matrix, 'required pam_debug.so acct=new_authtok_reqd')
        self.start()
        a, other = self.login('aberg', 'Ab3rg pässword'), self.login('nobody', 'right')
        self.assertEqual(a.status, 401)
        self.assertIn('has to be changed first', a.json['detail'])
        self.assertEqual((other.status, other.json['detail']), (401, 'the user or the password is wrong'))

    def test_a_directory_that_does_not_answer_holds_up_logins_alone(self):
        gate, program = self.passwords + '.gate', self.passwords + '.sh'
        os.mkfifo(gate)
        line.write(program, '#!/bin/sh\nread x < %s\n' % gate)
        os.chmod(program, 0o700)
        self.service('required pam_exec.so quiet %s' % program, self.matrix)
        self.start()
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            logins = [pool.submit(self.login, 'user%d' % i, 'x') for i in range(12)]
            try:
                refused = [a.result() for a in itertools.islice(concurrent.futures.as_completed(logins), 9)]
                self.assertEqual({(a.status, a.headers['Retry-After']) for a in refused}, {(429, '1')})
                self.assertEqual(self.api.get('/runs')['items'], [])
            finally:
                opened = os.open(gate, os.O_RDWR)
                os.write(opened, b'\n' * 12)
            self.assertEqual({a.result().status for a in logins}, {401, 429})
            os.close(opened)

    def test_without_pam_and_without_its_service(self):
        line.write(self.line.provd.config, line.read(self.line.provd.config).replace('pam: provd-test', 'pam: not-there'))
        self.start()
        a = self.login('aberg', 'x')
        self.assertIn((a.status, a.json['code']), ((401, 'unauthorized'), (503, 'service-unreachable')))
        self.assertEqual(self.line.provd.term(20), 0)
        line.write(self.line.provd.config, line.read(self.line.provd.config).replace('pam: not-there\n', ''))
        check = subprocess.run([line.binary('provd'), '--check', '--config', self.line.provd.config], capture_output=True, text=True)
        self.assertEqual(check.returncode, 2)
        self.assertIn("'pam' is needed", check.stderr)
        line.write(self.line.provd.config, line.read(self.line.provd.config).replace(PEOPLE, ''))
        self.line.provd.start()
        a = self.login('aberg', 'x')
        self.assertEqual((a.status, a.json['errors'][0]['pointer']), (422, '/user'))
        api = self.line.provd.api()
        self.addCleanup(api.close)
        self.assertFalse(api.get('/version')['passwords'])


if __name__ == '__main__':
    line.main()
