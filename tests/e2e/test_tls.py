#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The API over TLS: versions, certificates of clients, and an exchange while connections are open.

    test_tls.py [BUILD]
"""
import http.client
import os
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import tempfile
import time
import unittest

import line

# PROVD_HANDSHAKES=10000 for a long one.
HANDSHAKES = int(os.environ.get('PROVD_HANDSHAKES', '300'))


def openssl(*args, text=None):
    done = subprocess.run(['openssl', *args], input=text, capture_output=True, text=True, timeout=line.DEADLINE_S)
    assert done.returncode == 0, (args, done.stderr)
    return done.stdout


CA_CONF = """[ca]
default_ca = own
[own]
dir = %(dir)s
database = $dir/index.txt
serial = $dir/serial
new_certs_dir = $dir
certificate = $dir/ca.crt
private_key = $dir/ca.key
default_md = sha256
policy = any
unique_subject = no
x509_extensions = client
default_crl_days = 30
[any]
commonName = supplied
[client]
basicConstraints = CA:FALSE
extendedKeyUsage = clientAuth
subjectAltName = DNS:$ENV::SAN
"""


class Authority:
    """openssl ca in a folder of its own."""

    def __init__(self, home, name):
        self.dir = os.path.join(home, name)
        os.mkdir(self.dir)
        line.write(self.path('ca.cnf'), CA_CONF % {'dir': self.dir})
        line.write(self.path('index.txt'), '')
        line.write(self.path('serial'), '1000\n')
        openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', self.path('ca.key'),
                '-out', self.path('ca.crt'), '-subj', '/CN=' + name, '-days', '30',
                '-addext', 'keyUsage=critical,keyCertSign,cRLSign')

    def path(self, name):
        return os.path.join(self.dir, name)

    def client(self, name, start='20200101000000Z', end='20991231000000Z'):
        key, crt, csr = (self.path(name + x) for x in ('.key', '.crt', '.csr'))
        openssl('req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', csr,
                '-subj', '/CN=' + name)
        env = dict(os.environ, SAN=name + '.example')
        done = subprocess.run(['openssl', 'ca', '-batch', '-notext', '-config', self.path('ca.cnf'), '-in', csr, '-out', crt, '-startdate',
                               start, '-enddate', end], capture_output=True, text=True, env=env)
        assert done.returncode == 0, done.stderr
        return crt, key

    def revoke(self, crt):
        openssl_env = dict(os.environ, SAN='x')
        for args in (('-revoke', crt), ('-gencrl', '-out', self.path('crl.new'))):
            done = subprocess.run(['openssl', 'ca', '-config', self.path('ca.cnf'), *args], capture_output=True, text=True, env=openssl_env)
            assert done.returncode == 0, done.stderr
        os.rename(self.path('crl.new'), self.path('crl'))


def pair(home, name, subject, days='90'):
    """A certificate of the API, for 127.0.0.1 and localhost."""
    crt, key = os.path.join(home, name + '.crt'), os.path.join(home, name + '.key')
    openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', crt, '-subj',
            '/CN=' + subject, '-days', days, '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1')
    return crt, key


def hello():
    """The first message of a client."""
    out = ssl.MemoryBIO()
    client = ssl._create_unverified_context().wrap_bio(ssl.MemoryBIO(), out)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        return out.read()


class Secure(line.Api):
    """line.Api over TLS; the certificate of the API is not looked at here."""

    def __init__(self, port, token, cert=None):
        super().__init__(port, token)
        self.context = ssl.create_default_context()
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE
        if cert:
            self.context.load_cert_chain(*cert)

    def connect(self):
        return http.client.HTTPSConnection('127.0.0.1', self.port, timeout=self.timeout, context=self.context)


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.home = tempfile.mkdtemp(prefix='provd-tls-')
        cls.ours, cls.theirs = (Authority(cls.home, n) for n in ('ours', 'theirs'))
        cls.certs = {'mes': cls.ours.client('mes'), 'guest': cls.ours.client('guest'), 'gone': cls.ours.client('gone'),
                     'old': cls.ours.client('old', end='20210101000000Z'), 'early': cls.ours.client('early', start='20980101000000Z'),
                     'foreign': cls.theirs.client('mes')}
        cls.ours.revoke(cls.certs['gone'][0])
        cls.pairs = [pair(cls.home, 'first', 'first'), pair(cls.home, 'second', 'second')]

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.home)

    def line(self, tls='', more=''):
        l = line.Line(1, boards=0)
        self.addCleanup(l.close)
        self.crt, self.key = (os.path.join(l.home, n) for n in ('api.crt', 'api.key'))
        self.put(0)
        l.config('tls: {certificate: %s, key: %s%s}\n%s' % (self.crt, self.key, tls, more))
        line.write(l.provd.config, line.read(l.provd.config).replace(
            'listen: 127.0.0.1:0', 'listen: [127.0.0.1:0, "unix:%s/api.sock"]' % l.home))
        l.provd.start()
        return l

    def put(self, n):
        for given, path in zip(self.pairs[n], (self.crt, self.key)):
            shutil.copy(given, path + '.new')
            os.rename(path + '.new', path)

    def api(self, l, token=True, cert=None):
        api = Secure(l.provd.port, l.provd.token if token is True else token, cert)
        self.addCleanup(api.close)
        return api

    def cpu_s(self, l):
        fields = line.read('/proc/%d/stat' % l.provd.process.pid).rsplit(')', 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def sockets(self, l):
        fds = '/proc/%d/fd' % l.provd.process.pid
        found = 0
        for fd in os.listdir(fds):
            try:
                found += os.readlink(os.path.join(fds, fd)).startswith('socket:')
            except FileNotFoundError:
                pass  # closed meanwhile
        return found

    def shown(self, port):
        """The common name of what a new connection is shown."""
        der = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(('127.0.0.1', port)))
        return openssl('x509', '-inform', 'PEM', '-noout', '-subject', text=ssl.DER_cert_to_PEM_cert(der)).split('=')[-1].strip()

    def s_client(self, port, *args, text=''):
        return subprocess.run(['openssl', 's_client', '-connect', '127.0.0.1:%d' % port, '-cipher', 'ALL:@SECLEVEL=0', *args],
                              input=text, capture_output=True, text=True, timeout=line.DEADLINE_S)

    def test_versions_and_ciphers(self):
        l = self.line()
        for version in ('-tls1', '-tls1_1'):
            done = self.s_client(l.provd.port, version)
            self.assertIn('Cipher is (NONE)', done.stdout, version)
        for version, name in (('-tls1_2', 'TLSv1.2'), ('-tls1_3', 'TLSv1.3')):
            done = self.s_client(l.provd.port, version)
            self.assertIn('New, %s, Cipher is ' % name, done.stdout, done.stderr)
            self.assertNotIn('(NONE)', done.stdout)
            self.assertNotIn('Acceptable client certificate CA names\n/', done.stdout)
        for cipher in ('AES128-SHA', 'ECDHE-ECDSA-AES128-SHA', 'NULL'):
            done = subprocess.run(['openssl', 's_client', '-connect', '127.0.0.1:%d' % l.provd.port, '-tls1_2', '-cipher',
                                   cipher + ':@SECLEVEL=0'], input='', capture_output=True, text=True)
            self.assertNotEqual(done.returncode, 0, cipher)
        for group, spoken in (('X25519', True), ('P-256', True), ('P-521', False), ('ffdhe2048', False)):
            done = self.s_client(l.provd.port, '-tls1_3', '-groups', group)
            self.assertEqual('Cipher is (NONE)' not in done.stdout, spoken, group)
        for priority, code in (('NORMAL:-VERS-ALL:+VERS-TLS1.1', 1), ('NORMAL:-VERS-ALL:+VERS-TLS1.2', 0), ('NORMAL', 0)):
            done = subprocess.run(['gnutls-cli', '--priority', priority, '--x509cafile', self.crt, '-p', str(l.provd.port), '127.0.0.1'],
                                  input='', capture_output=True, text=True, timeout=line.DEADLINE_S)
            self.assertEqual(done.returncode, code, (priority, done.stderr, done.stdout[-300:]))
        # One who renegotiates loses the connection, and nobody else.
        done = self.s_client(l.provd.port, '-tls1_2', text='R\nGET /livez HTTP/1.1\n')
        self.assertNotIn('HTTP/1.1 200', done.stdout)
        self.assertEqual(self.api(l).request('GET', '/livez', raw=True).status, 200)
        # What is not TLS gets no answer.
        with socket.create_connection(('127.0.0.1', l.provd.port), timeout=line.DEADLINE_S) as s:
            s.sendall(b'GET /livez HTTP/1.1\r\nHost: x\r\n\r\n')
            self.assertNotIn(b'HTTP', s.recv(1000))
        # Users of this machine need none.
        path = os.path.join(l.home, 'api.sock')
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o660)
        done = subprocess.run([line.binary('provctl'), '--url', 'unix:' + path, 'station', 'list'], capture_output=True, text=True,
                              env=dict(os.environ, PROVD_TOKEN=l.provd.token), timeout=line.DEADLINE_S)
        self.assertIn('A1', done.stdout, done.stderr)
        # After a crash the socket is there, and is replaced; after an orderly end it is gone.
        l.provd.kill()
        self.assertTrue(os.path.exists(path))
        l.provd.start()
        self.assertEqual(l.provd.term(), 0)
        self.assertFalse(os.path.exists(path))

    def test_a_browser_keeps_to_tls(self):
        l = self.line()
        api = self.api(l, token=None)
        a = api.request('POST', '/session', {'token': l.provd.token}, {'Host': 'line3.example:%d' % l.provd.port})
        self.assertEqual(a.status, 201, a.body)
        self.assertIn('; Secure', a.headers['Set-Cookie'])
        self.assertIn('max-age=', a.headers['Strict-Transport-Security'])
        self.assertIsNone(api.request('GET', '/livez', headers={'Host': 'localhost'}, raw=True).headers['Strict-Transport-Security'])
        cookie = {'Cookie': a.headers['Set-Cookie'].split(';')[0]}
        for origin, status in (('http://127.0.0.1:%d' % l.provd.port, 403), ('https://127.0.0.1:%d' % l.provd.port, 200)):
            self.assertEqual(api.request('DELETE', '/session', headers=dict(cookie, Origin=origin)).status, status, origin)
        self.assertIs(api.request('GET', '/version', raw=True).json['insecure'], False)

    def test_certificates_of_clients(self):
        tls = ', client_ca: %s, client_crl: %s' % (self.ours.path('ca.crt'), self.ours.path('crl'))
        principals = 'principals: [{name: mes of hall 2, role: mes, san_dns: mes.example, scopes: {stations: [A1]}}]\n'
        for required in (False, True):
            l = self.line(tls + (', client_certificates: required' if required else ''), principals)
            mes = self.api(l, token=None, cert=self.certs['mes'])
            who = mes.get('/session')
            self.assertEqual((who['name'], who['role'], who['scopes']), ('mes of hall 2', 'mes', {'stations': ['A1']}))
            self.assertEqual(mes.request('GET', '/tokens').status, 403)
            # A browser would send its certificate for another site's page, too; a program says no origin.
            job = {'recipe': 'none', 'quantity': 1}
            self.assertEqual(mes.request('POST', '/jobs', job).status, 422)
            for origin, status in (('https://evil.example', 403), ('https://127.0.0.1:%d' % l.provd.port, 422)):
                self.assertEqual(mes.request('POST', '/jobs', job, {'Origin': origin}).status, status)
            # Good, and of nobody: it may only come with a token.
            guest = self.api(l, token=None, cert=self.certs['guest']).request('GET', '/session')
            self.assertEqual((guest.status, guest.json['code']), (401, 'unauthorized'))
            self.assertIn('is of no principal', guest.json['detail'])
            self.assertEqual(self.api(l, cert=self.certs['guest']).get('/session')['role'], 'admin')
            for cert, why in (('foreign', 'no authority of client_ca'), ('old', 'time is over'), ('early', 'not valid yet'),
                              ('gone', 'revoked')):
                for token in (None, True):  # a token does not make up for it
                    for path in ('/session', '/nothing/there'):
                        a = self.api(l, token, self.certs[cert]).request('GET', path)
                        self.assertEqual((a.status, a.json['code']), (401, 'certificate-refused'), (cert, a.body))
                        self.assertIn(why, a.json['detail'])
            none = self.api(l).request('GET', '/session')
            self.assertEqual((none.status, none.json.get('code')), (401, 'certificate-refused') if required else (200, None))
            if required:
                self.assertEqual(self.api(l, token=None).request('GET', '/livez', raw=True).status, 401)
            audit = lambda: {r['detail']['reason'] for r in self.api(l, cert=self.certs['mes']).all('/audit')
                             if r['action'] == 'auth.certificate'}
            reasons = line.wait_for('the audit trail', lambda: len(audit()) >= 4 + required and audit())
            for why in ('no authority', 'time is over', 'not valid yet', 'revoked') + (('none came',) if required else ()):
                self.assertTrue(any(why in r for r in reasons), (why, reasons))
            self.assertIn('was revoked', l.provd.log_text())
            l.close()

    def test_an_exchange_with_connections_open(self):
        l = self.line(', client_ca: %s' % self.ours.path('ca.crt'), 'principals: [{name: mes, role: mes, subject: CN=mes}]\n')
        self.assertEqual(self.shown(l.provd.port), 'first')
        # One that begins a handshake and does not go on has the deadline of a header.
        half = socket.create_connection(('127.0.0.1', l.provd.port), timeout=30)
        self.addCleanup(half.close)
        half.sendall(hello())
        kept, mes = self.api(l), self.api(l, token=None, cert=self.certs['mes'])
        self.assertEqual([a.request('GET', '/session').status for a in (kept, mes)], [200, 200])
        sockets = kept.connection.sock, mes.connection.sock
        before, failed = self.sockets(l), 0
        context = ssl.create_default_context(cafile=self.pairs[0][0])
        context.load_verify_locations(self.pairs[1][0])
        for n in range(HANDSHAKES):
            if n == HANDSHAKES // 2:
                self.put(1)
            with socket.create_connection(('127.0.0.1', l.provd.port), timeout=line.DEADLINE_S) as s:
                try:
                    context.wrap_socket(s, server_hostname='localhost').close()
                except OSError:
                    failed += 1
        self.assertEqual(failed, 0)
        line.wait_for('the new one', lambda: self.shown(l.provd.port) == 'second')
        self.assertEqual([a.request('GET', '/session').status for a in (kept, mes)], [200, 200])
        self.assertEqual((kept.connection.sock, mes.connection.sock), sockets, 'the connections lived on')
        line.wait_for('no connection is left open', lambda: self.sockets(l) <= before)
        # A key that is not the certificate's: the pair before stays, and that is said everywhere.
        shutil.copy(self.pairs[0][1], self.key)
        health = lambda: {w['code'] for w in kept.request('GET', '/readyz', raw=True).json['warnings']}
        line.wait_for('the warning', lambda: 'tls-files-not-taken' in health())
        self.assertEqual(self.shown(l.provd.port), 'second')
        self.assertIn('is not that of the first certificate', l.provd.log_text())
        self.assertIn('provd_tls_files_refused 1', kept.request('GET', '/metrics', raw=True).body.decode())
        # One that ends soon, by a reload and at once.
        crt, key = pair(l.home, 'short', 'short', '7')
        os.rename(crt, self.crt)
        os.rename(key, self.key)
        l.provd.process.send_signal(signal.SIGHUP)
        line.wait_for('the third one', lambda: self.shown(l.provd.port) == 'short')
        self.assertEqual(health(), {'tls-certificate-ends'})
        events = lambda: [(e['data']['taken'], e['data']['subject']) for e in kept.all('/events?type=tls-certificate')]
        line.wait_for('the third event', lambda: len(events()) == 3)
        self.assertEqual(events(), [(True, 'CN=second'), (False, 'CN=second'), (True, 'CN=short')])
        # It is cut; until then it has cost nothing but its connection.
        used, begun = self.cpu_s(l), time.monotonic()
        while half.recv(65536):
            pass
        self.assertLess(self.cpu_s(l) - used, 0.2 * (time.monotonic() - begun) + 0.2)

    def events(self, l, cert):
        """A live stream by a certificate, past its head."""
        context = ssl._create_unverified_context()
        context.load_cert_chain(*cert)
        s = context.wrap_socket(socket.create_connection(('127.0.0.1', l.provd.port), timeout=line.DEADLINE_S))
        s.sendall(b'GET /api/v1/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n')
        self.assertTrue(s.recv(65536).startswith(b'HTTP/1.1 200'))
        self.addCleanup(s.close)
        return s

    def until(self, s, text):
        got = b''
        while text not in got:
            part = s.recv(65536)
            self.assertNotEqual(part, b'', got[-300:])
            got += part

    def test_files_and_streams(self):
        crl = os.path.join(self.home, 'streams.crl')
        shutil.copy(self.ours.path('crl'), crl)
        l = self.line(', client_ca: %s, client_crl: %s' % (self.ours.path('ca.crt'), crl),
                      'principals: [{name: wall, role: operator, subject: CN=wall}, {name: mes, role: mes, subject: CN=mes}]\n')
        api, wall = self.api(l), self.ours.client('wall')
        # Both ways, more than any buffer holds.
        image = line.firmware(9 * 1024 * 1024)
        put = api.request('PUT', '/artifacts/%s?name=firmware.bin' % line.sha256(image), image, {'Content-Type': 'application/octet-stream'})
        self.assertEqual(put.status, 201, put.body)
        self.assertEqual(api.request('GET', '/artifacts/%s/content' % line.sha256(image)).body, image)
        # A stream that rested gets what happens, and is not an idle connection.
        streams = [self.events(l, c) for c in (wall, self.certs['mes'])]
        self.assertEqual(self.api(l, None, wall).request('POST', '/stations/A1/actions/disable').status, 202)
        for s in streams:
            self.until(s, b'disabled')
        # The one is revoked: its stream ends, and does not come back; the other's is opened again.
        self.ours.revoke(wall[0])
        shutil.copy(self.ours.path('crl'), crl + '.new')
        os.rename(crl + '.new', crl)
        for s in streams:
            while s.recv(65536):
                pass
        self.assertEqual(self.api(l, None, wall).request('GET', '/session').json['code'], 'certificate-refused')
        # What principals may do is read again by a reload; connections that are open are of the new ones then.
        mes = self.api(l, None, self.certs['mes'])
        stream = self.events(l, self.certs['mes'])
        self.assertEqual(mes.get('/session')['role'], 'mes')
        line.write(l.provd.config, line.read(l.provd.config).replace('role: mes, subject: CN=mes', 'role: viewer, subject: CN=mes'))
        l.provd.process.send_signal(signal.SIGHUP)
        line.wait_for('the new role', lambda: mes.get('/session')['role'] == 'viewer')
        while stream.recv(65536):
            pass
        # A name that a token has is not taken, and what was there stays.
        api.post('/tokens', {'name': 'anna', 'role': 'viewer'})
        line.write(l.provd.config, line.read(l.provd.config).replace('name: mes,', 'name: Anna,'))
        l.provd.process.send_signal(signal.SIGHUP)
        line.wait_for('the refusal', lambda: 'has the name of the token' in l.provd.log_text())
        self.assertEqual(mes.get('/session')['name'], 'mes')
        self.assertEqual(api.request('POST', '/tokens', {'name': 'Mes', 'role': 'viewer'}).status, 409)

    def ended(self, s):
        s.setblocking(False)
        try:
            while s.recv(65536):
                pass  # the other side's part of the handshake
        except BlockingIOError:
            return False
        except ConnectionResetError:
            pass
        return True

    def test_handshakes_that_stop_leave_room_for_others(self):
        l = self.line()
        silent, first = [], hello()
        for n in range(300):
            silent.append(socket.create_connection(('127.0.0.1', l.provd.port), timeout=30))
            if n % 2:
                silent[-1].send(first)
        # More than an address may hold without a token: the others are cut, and there is room.
        self.assertEqual(self.api(l).request('GET', '/session').status, 200)
        cut = lambda: sum(self.ended(s) for s in silent)
        self.assertLess(line.wait_for('the oldest are cut', lambda: max(0, cut() - (300 - 192 - 2))), 190, 'and not all of them')
        for s in silent:
            s.close()

    def test_a_first_start_and_provctl(self):
        l = line.Line(1, boards=0)
        self.addCleanup(l.close)
        made = os.path.join(l.home, 'tls')
        os.mkdir(made)
        args = [line.binary('provd'), '--make-certificate', made, '--host', 'localhost', '--host', '127.0.0.1']
        done = subprocess.run(args, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        crt, key = os.path.join(made, 'provd.crt'), os.path.join(made, 'provd.key')
        self.assertEqual(stat.S_IMODE(os.stat(key).st_mode), 0o600)
        again = subprocess.run(args, capture_output=True, text=True)
        self.assertEqual(again.returncode, 1)
        self.assertIn('not overwritten', again.stderr)
        l.config('tls: {certificate: %s, key: %s, client_ca: %s}\n'
                 'principals: [{name: cell, role: operator, subject: CN=mes}]\n' % (crt, key, self.ours.path('ca.crt')))
        for mode, said in ((0o644, 'others cannot read'), (0o600, None)):
            os.chmod(key, mode)
            if said:
                for check, code in (([], 1), (['--check'], 2)):
                    done = subprocess.run([line.binary('provd'), '--config', l.provd.config, *check], capture_output=True, text=True,
                                          timeout=line.DEADLINE_S)
                    self.assertEqual(done.returncode, code)
                    self.assertIn(said, done.stderr)
        l.provd.start()
        url = 'https://localhost:%d' % l.provd.port
        cert = self.certs['mes']
        env = dict(os.environ, PROVD_TOKEN=l.provd.token, PROVCTL_CACERT=crt)
        bare = {k: v for k, v in os.environ.items() if k != 'PROVD_TOKEN'}
        bare['HOME'] = l.home
        for args, env, code, said in (
                (['--url', url], env, 0, 'A1'),
                (['--url', url], dict(os.environ, PROVD_TOKEN=l.provd.token), 3, '--cacert'),
                (['--url', url, '--cacert', self.pairs[0][0]], env, 3, 'is not trusted here'),
                (['--url', url.replace('https', 'http')], env, 3, 'https, not http?'),
                (['--url', url, '--cacert', crt, '--cert', cert[0], '--key', cert[1]], bare, 0, 'A1'),
                (['--url', url, '--cacert', crt], dict(bare, PROVCTL_CERT=cert[0], PROVCTL_KEY=cert[1]), 0, 'A1'),
                (['--url', url, '--cacert', crt], bare, 3, 'no token'),
                (['--url', url, '--cacert', crt, '--cert', cert[0], '--key', key], bare, 3, '--key')):
            done = subprocess.run([line.binary('provctl'), *args, 'station', 'list'], env=env, capture_output=True, text=True,
                                  timeout=line.DEADLINE_S)
            self.assertEqual(done.returncode, code, (args, done.stdout, done.stderr))
            self.assertIn(said, done.stdout + done.stderr, args)


if __name__ == '__main__':
    line.main()
