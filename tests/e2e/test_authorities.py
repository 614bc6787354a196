#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Issuers of the plant: EST against a server that is checked with curl and openssl first, and CMP against openssl's own
server, with openssl's own client first.

    test_authorities.py [BUILD]
"""
import os
import socket
import subprocess
import unittest

import est
import keyd
import line

RECIPE = line.read(os.path.join(line.ROOT, 'recipes', 'birth.yaml'))
SECRET = 'cmp-secret-5501'


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Row(line.Line):
    def __init__(self, config, recipe):
        super().__init__(1, boards=0, station_extra='    quarantine_after: 0\n')
        try:
            self.vault = os.path.join(self.home, 'vault')
            os.mkdir(self.vault)
            self.authority = keyd.Authority(self.vault, 'plant')
            self.config(config(self))
            app = os.path.join(self.home, 'app.bin')
            with open(app, 'wb') as f:
                f.write(line.firmware())
            self.sim = line.Sim(self.home, 1, '--preload', app)
            self.start()
            self.api.post('/pools', {'id': 'birth-sn', 'pattern': 'BC{seq:06}', 'first': 1, 'last': 999})
            self.put_recipe(recipe)
            self.seen = set()
        except BaseException:
            self.close()
            raise

    def run_one(self, **params):
        self.api.post('/jobs', {'recipe': 'birth@1', 'quantity': 1, 'params': params})

        def ended():
            runs = [r for r in self.api.get('/runs?state=finished&limit=50')['items'] if r['id'] not in self.seen]
            return runs[-1] if runs else None
        run = line.wait_for('the run ends', ended)
        self.seen.add(run['id'])
        return run

    def next_unit(self):
        self.sim.ctl('next', board='b1', gap_ms=200)

    def again(self):
        self.sim.ctl('unplug', board='b1')
        line.wait_for('the unit is gone', lambda: self.api.get('/stations/A1')['state'] == 'empty')
        self.sim.ctl('plug', board='b1')

    def certificates(self, unit):
        return self.api.get('/units/%s/certificates' % unit)['items']


class Est(unittest.TestCase):
    def row(self, label='line', password=est.PASSWORD):
        def config(r):
            self.est = est.Authority(r.vault, r.authority, label)
            self.addCleanup(self.est.close)
            line.write(os.path.join(r.vault, 'password'), password + '\n')
            return ("secrets: {est-password: {file: %s/password}}\n"
                    "services:\n  est: {url: '%s', ca: %s, auth: basic, user: %s, token: est-password, timeout: 5s}\n"
                    "issuers:\n  plant: {kind: est, service: est, certificate: %s%s}\n"
                    % (r.vault, self.est.url, self.est.ca, est.USER, r.authority.chain, ', path: ' + label if label else ''))
        recipe = RECIPE.replace('      profile: idevid\n', '').replace("      values: {serial: '${unit.serial}', model: '${unit.model}'}\n", '') \
            .replace('default: factory', 'default: plant')
        self.recipe = recipe
        r = Row(config, recipe)
        self.addCleanup(r.close)
        return r

    def test_the_server_of_this_test_by_curl_and_openssl(self):
        r = self.row()
        device = keyd.Device(r.vault, '/CN=by curl')
        path = lambda name: os.path.join(r.vault, name)
        with open(path('req.b64'), 'w') as f:
            f.write(''.join(x for x in device.csr.decode().splitlines(True) if 'REQUEST' not in x))
        curl = ['curl', '-sS', '--fail', '--cacert', self.est.ca, '-u', est.USER + ':' + est.PASSWORD]
        keyd.run(*curl, '-H', 'Content-Type: application/pkcs10', '-H', 'Content-Transfer-Encoding: base64', '--data-binary', '@' + path('req.b64'),
                 '-o', path('got.b64'), self.est.url + '/.well-known/est/line/simpleenroll')
        keyd.run('openssl', 'base64', '-d', '-in', path('got.b64'), '-out', path('got.p7'))
        keyd.run('openssl', 'pkcs7', '-inform', 'DER', '-in', path('got.p7'), '-print_certs', '-out', path('got.pem'))
        keyd.run('openssl', 'verify', '-CAfile', r.authority.root, '-untrusted', r.authority.cert, path('got.pem'))
        keyd.run(*curl, '-o', path('ca.b64'), self.est.url + '/.well-known/est/line/cacerts')
        keyd.run('openssl', 'base64', '-d', '-in', path('ca.b64'), '-out', path('ca.p7'))
        self.assertIn('CN=Root', keyd.run('openssl', 'pkcs7', '-inform', 'DER', '-in', path('ca.p7'), '-print_certs', '-noout').replace(' = ', '='))

    def test_a_unit_gets_a_certificate_of_the_plant(self):
        for label in ('line', None):
            with self.subTest(label):
                r = self.row(label)
                run = r.run_one()
                self.assertEqual((run['outcome'], run['serial']), ('passed', 'BC000001'), run)
                got, = r.certificates('BC000001')
                self.assertEqual((got['state'], got['issuer'], got['profile']), ('delivered', 'plant', ''))
                pem = os.path.join(r.vault, 'leaf.pem')
                line.write(pem, got['pem'])
                keyd.run('openssl', 'verify', '-x509_strict', '-CAfile', r.authority.root, '-untrusted', r.authority.cert, pem)
                self.assertEqual(int(got['serial'], 16),
                                 int(keyd.run('openssl', 'x509', '-in', pem, '-noout', '-serial').split('=')[1], 16))
                self.assertEqual(len(self.est.issued), 1)
                issuer, = r.api.get('/issuers')['items']
                self.assertEqual((issuer['kind'], issuer['ready']), ('est', True))
                self.assertNotIn(est.PASSWORD, r.provd.log_text())

    def test_each_way_to_fail(self):
        r = self.row()
        for kind, code, part in (('refuse', 'service-refused', 'the key is on a list'), ('html', 'service-answer', 'is that an EST service?'),
                                 ('no-base64', 'service-answer', 'is not base64'), ('other-key', 'service-answer', 'is for the key'),
                                 ('lost', 'service-unreachable', '')):
            with self.subTest(kind):
                self.est.fault(kind)
                run = r.run_one()
                self.assertEqual((run['outcome'], run['code'], run['step']), ('error', code, 'certificate'), run)
                self.assertIn(part, run['message'])
                r.again()
                run = r.run_one()
                self.assertEqual(run['outcome'], 'passed', run)
                states = [c['state'] for c in r.certificates(run['serial'])]
                self.assertEqual(states, ['delivered', 'void'], kind)
                r.next_unit()
        reasons = [c['reason'] for n in range(1, 6) for c in r.certificates('BC%06d' % n) if c['state'] == 'void']
        self.assertTrue(any('may have been issued' in x for x in reasons), reasons)

    def test_an_authority_that_lies(self):
        r = self.row()
        for kind, code, part in (('other-ca', 'issuer-invalid', 'does not lead to those that are trusted'), ('ca', 'issuer-invalid', 'may issue others'),
                                 ('other-name', 'issuer-invalid', "names 'CN=somebody else'"), ('no-time', 'issuer-invalid', 'expired'),
                                 ('redirect', 'service-refused', 'status 302')):
            with self.subTest(kind):
                self.est.fault(kind)
                run = r.run_one()
                self.assertEqual((run['outcome'], run['code'], run['step']), ('error', code, 'certificate'), run)
                self.assertIn(part, run['message'])
                r.again()
                run = r.run_one()
                self.assertEqual(run['outcome'], 'passed', run)
                r.next_unit()
        self.assertNotIn('/elsewhere', [p for m, p in self.est.requests])

    def test_a_crowd_of_certificates_is_no_chain(self):
        r = self.row()
        self.est.fault('many')
        run = r.run_one()
        self.assertEqual(run['outcome'], 'passed', run)
        self.assertEqual(r.certificates(run['serial'])[0]['chain'].strip(), line.read(r.authority.cert).strip())

    def test_later_is_waited_for(self):
        r = self.row()
        self.est.fault('later')
        run = r.run_one()
        self.assertEqual(run['outcome'], 'passed', run)
        self.assertEqual([p for m, p in self.est.requests if m == 'POST'], ['/.well-known/est/line/simpleenroll'] * 2)

    def test_what_the_authority_wants_is_asked_for(self):
        r = self.row()
        # What the unit's request has: a key of P-256 that signs with SHA-256, and a serial number in its name; an OID that nobody knows
        # is passed over (RFC 7030, 4.5.2).
        self.est.want('OID:serialNumber', 'OID:ecdsa-with-SHA256', 'OID:1.3.6.1.4.1.32473.99.1', ['SEQUENCE', 'OID:id-ecPublicKey', ['SET', 'OID:prime256v1']])
        self.assertEqual(r.run_one()['outcome'], 'passed')
        self.assertIn(('GET', '/.well-known/est/line/csrattrs'), self.est.requests)
        for wanted, part in ((['OID:challengePassword'], "'challengePassword'"), (['OID:ecdsa-with-SHA384'], 'another signature'),
                             ([['SEQUENCE', 'OID:id-ecPublicKey', ['SET', 'OID:secp384r1']]], 'another curve'),
                             (['OID:rsaEncryption'], 'a key of another kind'), (['OID:emailAddress'], "'emailAddress'"),
                             ([['SEQUENCE', 'OID:extReq', ['SET', ['SEQUENCE', 'OID:subjectAltName']]]], 'no such extension')):
            with self.subTest(wanted):
                r.next_unit()
                asked = len(self.est.requests)
                self.est.want(*wanted)
                run = r.run_one()
                self.assertEqual((run['outcome'], run['code'], run['step']), ('error', 'csr-attributes', 'certificate'), run)
                self.assertIn(part, run['message'])
                self.assertEqual([m for m, _ in self.est.requests[asked:]], ['GET'])
        self.assertEqual(len(self.est.issued), 1)
        r.next_unit()
        self.est.wanted = b'\x30\x02\x05\x00'
        run = r.run_one()
        self.assertEqual((run['outcome'], run['code']), ('error', 'service-answer'), run)
        r.next_unit()
        self.est.wanted = b'\x30\x00'
        self.assertEqual(r.run_one()['outcome'], 'passed')

    def test_a_certificate_is_renewed(self):
        r = self.row()
        r.put_recipe(self.recipe.replace('version: 1', 'version: 2').replace("      csr: '${steps.csr.csr}'", "      csr: '${steps.csr.csr}'\n      renew: true"))

        def renew():
            r.api.post('/jobs', {'recipe': 'birth@2', 'quantity': 1})
            run = line.wait_for('the run ends', lambda: next((x for x in r.api.get('/runs?state=finished&limit=50')['items'] if x['id'] not in r.seen), None))
            r.seen.add(run['id'])
            return run
        run = renew()
        self.assertEqual((run['outcome'], run['code']), ('error', 'not-found'), run)
        self.assertIn('that could be renewed', run['message'])
        self.assertEqual(self.est.issued, [])
        r.api.post('/jobs/%s/actions/abort' % run['job'], headers=line.ANY)
        r.again()
        first = r.run_one()
        self.assertEqual(first['outcome'], 'passed', first)
        r.again()
        second = renew()
        self.assertEqual((second['outcome'], second['serial']), ('passed', first['serial']), second)
        self.assertEqual([p.rsplit('/', 1)[1] for m, p in self.est.requests if m == 'POST'], ['simpleenroll', 'simplereenroll'])
        new, old = [c for c in r.certificates(first['serial']) if c['state'] != 'void']
        self.assertEqual((new['state'], new['subject'], new['sha256'] == old['sha256']), ('delivered', old['subject'], False))

    def test_a_wrong_password_and_a_profile(self):
        r = self.row(password='wrong')
        run = r.run_one()
        self.assertEqual((run['outcome'], run['code']), ('error', 'service-refused'), run)
        self.assertIn('401', run['message'])


class Cmp(unittest.TestCase):
    """openssl's server gives one certificate, whoever asks: that of a key which is here."""
    RECIPE = """recipe: birth
version: 1
unit: {model: provsim-1, serial: {pool: birth-sn}}
ports: {console: {kind: tty}}
params: {csr: {type: string}}
steps:
  - id: certificate
    action: key.certificate
    with: {issuer: plant, csr: '${params.csr}'}
    timeout: TIMEOUT
  - id: set-serial
    action: console.command
    with: {port: console, send: 'SET_SERIAL ${unit.serial}', expect: '^OK$', read_back: {send: GET_SERIAL, expect: '^${unit.serial}$'}}
"""

    def row(self, secret=SECRET, server=(), timeout='20s'):
        def config(r):
            self.path = lambda name: os.path.join(r.vault, name)
            self.device = keyd.Device(r.vault, '/CN=by cmp')
            line.write(self.path('device.csr'), self.device.csr.decode())
            keyd.run('openssl', 'x509', '-req', '-in', self.path('device.csr'), '-CA', r.authority.cert, '-CAkey', r.authority.key, '-CAcreateserial', '-days', '30',
                     '-out', self.path('device.pem'), '-extfile', est.Authority.extensions(type('X', (), {'where': r.vault})))
            self.port = free_port()
            log = open(self.path('server.log'), 'w')
            self.addCleanup(log.close)
            self.server = subprocess.Popen(
                ['openssl', 'cmp', '-port', str(self.port), '-srv_ref', 'line-7', '-srv_secret', 'pass:' + SECRET, '-rsp_cert', self.path('device.pem'),
                 '-rsp_extracerts', r.authority.cert, *server], stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=line._with_parent)
            self.addCleanup(self.end)
            line.wait_for('the authority listens', self.listens)
            line.write(self.path('secret'), secret + '\n')
            return ("secrets: {cmp: {file: %s/secret}}\nservices:\n  pki: {url: 'http://127.0.0.1:%d', timeout: 5s}\n"
                    "issuers:\n  plant: {kind: cmp, service: pki, path: /, reference: line-7, secret: cmp, certificate: %s}\n"
                    % (r.vault, self.port, r.authority.chain))
        r = Row(config, self.RECIPE.replace('TIMEOUT', timeout))
        self.addCleanup(r.close)
        return r

    def listens(self):
        with socket.socket() as s:
            return s.connect_ex(('127.0.0.1', self.port)) == 0

    def end(self):
        self.server.kill()
        self.server.wait()

    def test_openssl_first_and_then_provd(self):
        r = self.row()
        keyd.run('openssl', 'cmp', '-cmd', 'p10cr', '-server', '127.0.0.1:%d' % self.port, '-path', 'pkix/', '-ref', 'line-7', '-secret', 'pass:' + SECRET,
                 '-csr', self.path('device.csr'), '-certout', self.path('first.pem'))
        self.assertEqual(line.read(self.path('first.pem')), line.read(self.path('device.pem')))
        run = r.run_one(csr=self.device.csr.decode())
        self.assertEqual(run['outcome'], 'passed', run)
        got, = r.certificates(run['serial'])
        self.assertEqual((got['state'], got['pem']), ('issued', line.read(self.path('device.pem'))))
        self.assertIn(line.read(r.authority.cert).strip(), got['chain'])
        self.assertNotIn(SECRET, r.provd.log_text())

    def test_another_key_than_the_certificate_s(self):
        r = self.row()
        run = r.run_one(csr=keyd.Device(r.vault, '/CN=other').csr.decode())
        self.assertEqual((run['outcome'], run['code']), ('error', 'service-refused'), run)
        self.assertIn('rejection', run['message'])
        self.assertEqual(len(r.api.get('/events?type=certificate-void')['items']), 1)

    def test_a_wrong_secret(self):
        r = self.row(secret='wrong-secret')
        run = r.run_one(csr=self.device.csr.decode())
        self.assertEqual((run['outcome'], run['code'] in ('service-refused', 'service-answer')), ('error', True), run)

    def test_an_authority_that_wants_time_is_polled(self):
        r = self.row(server=('-poll_count', '2', '-check_after', '1'))
        run = r.run_one(csr=self.device.csr.decode())
        self.assertEqual(run['outcome'], 'passed', run)
        self.assertEqual(r.certificates(run['serial'])[0]['pem'], line.read(self.path('device.pem')))

    def test_an_authority_that_wants_more_time_than_the_step_has(self):
        r = self.row(server=('-poll_count', '2', '-check_after', '50'))
        run = r.run_one(csr=self.device.csr.decode())
        self.assertEqual((run['outcome'], run['code']), ('error', 'service-unreachable'), run)
        self.assertIn('wants to be asked again in 50 s', run['message'])
        got, = r.api.get('/events?type=certificate-void')['items']
        self.assertIn('may have been issued', got['data']['reason'])

    def test_a_person_ends_the_wait_for_an_authority(self):
        r = self.row(server=('-poll_count', '2', '-check_after', '50'), timeout='80s')
        job = r.api.post('/jobs', {'recipe': 'birth@1', 'quantity': 1, 'params': {'csr': self.device.csr.decode()}})['id']
        line.wait_for('the certificate is ordered', lambda: r.api.get('/events?type=certificate-ordered')['items'])
        line.wait_for('the authority was asked', lambda: self.polled())
        r.api.post('/stations/A1/actions/abort')
        # Had it waited for the authority, the run would have passed.
        run = line.wait_for('the run ends', lambda: r.api.get('/runs?state=finished')['items'], 30)[0]
        self.assertEqual((run['outcome'], run['code'], run['job']), ('aborted', 'aborted', job), run)

    def polled(self):
        """The server got the request, and the first poll."""
        return line.read(self.path('server.log')).count('Received request') >= 2

    def test_an_authority_that_is_away(self):
        r = self.row()
        self.end()
        run = r.run_one(csr=self.device.csr.decode())
        self.assertEqual((run['outcome'], run['code']), ('error', 'service-unreachable'), run)


class SignedCmp(Cmp):
    """The same, with messages that each side signs."""

    def row(self, server=(), signer='ra', client_issuer=None, mode=0o600, timeout='20s'):
        path = {}

        def issue(r, name, issuer, extension=''):
            key, cert = os.path.join(r.vault, name + '.key'), os.path.join(r.vault, name + '.pem')
            keyd.run('openssl', 'req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', cert + '.csr', '-subj', '/CN=' + name)
            line.write(cert + '.ext', 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n' + extension)
            keyd.run('openssl', 'x509', '-req', '-in', cert + '.csr', '-CA', issuer.cert, '-CAkey', issuer.key, '-CAcreateserial', '-days', '30', '-out', cert,
                     '-extfile', cert + '.ext')
            return key, cert

        def config(r):
            self.path = lambda name: os.path.join(r.vault, name)
            self.stranger = keyd.Authority(r.vault, 'stranger')
            self.device = keyd.Device(r.vault, '/CN=by cmp')
            line.write(self.path('device.csr'), self.device.csr.decode())
            keyd.run('openssl', 'x509', '-req', '-in', self.path('device.csr'), '-CA', r.authority.cert, '-CAkey', r.authority.key, '-CAcreateserial', '-days', '30',
                     '-out', self.path('device.pem'), '-extfile', est.Authority.extensions(type('X', (), {'where': r.vault})))
            path['client'] = issue(r, 'line-7', self.stranger if client_issuer == 'stranger' else r.authority)
            os.chmod(path['client'][0], mode)
            key, cert = issue(r, signer, self.stranger if signer == 'stranger' else r.authority, '' if signer == 'unit' else 'extendedKeyUsage=cmcRA\n')
            self.port = free_port()
            log = open(self.path('server.log'), 'w')
            self.addCleanup(log.close)
            self.server = subprocess.Popen(
                ['openssl', 'cmp', '-port', str(self.port), '-srv_key', key, '-srv_cert', cert, '-srv_trusted', r.authority.root,
                 '-srv_untrusted', r.authority.cert, '-rsp_cert', self.path('device.pem'), '-rsp_extracerts', r.authority.cert, *server],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=line._with_parent)
            self.addCleanup(self.end)
            line.wait_for('the authority listens', self.listens)
            return ("services:\n  pki: {url: 'http://127.0.0.1:%d', timeout: 5s}\n"
                    "issuers:\n  plant: {kind: cmp, service: pki, path: /, client_certificate: %s, client_key: %s, certificate: %s}\n"
                    % (self.port, path['client'][1], path['client'][0], r.authority.chain))
        r = Row(config, self.RECIPE.replace('TIMEOUT', timeout))
        self.addCleanup(r.close)
        self.client = path['client']
        return r

    def test_openssl_first_and_then_provd(self):
        r = self.row()
        keyd.run('openssl', 'cmp', '-cmd', 'p10cr', '-server', '127.0.0.1:%d' % self.port, '-path', 'pkix/', '-key', self.client[0], '-cert', self.client[1],
                 '-untrusted', r.authority.cert, '-trusted', r.authority.root, '-csr', self.path('device.csr'), '-certout', self.path('first.pem'))
        self.assertEqual(line.read(self.path('first.pem')), line.read(self.path('device.pem')))
        run = r.run_one(csr=self.device.csr.decode())
        self.assertEqual(run['outcome'], 'passed', run)
        got, = r.certificates(run['serial'])
        self.assertEqual((got['state'], got['pem']), ('issued', line.read(self.path('device.pem'))))

    def test_who_else_signs_for_the_authority_is_refused(self):
        for signer, code, part in (('stranger', 'service-answer', ''), ('unit', 'service-untrusted', "signs its messages as '/CN=unit'")):
            with self.subTest(signer):
                r = self.row(signer=signer)
                run = r.run_one(csr=self.device.csr.decode())
                self.assertEqual((run['outcome'], run['code']), ('error', code), run)
                self.assertIn(part, run['message'])
                self.assertEqual(len(r.api.get('/events?type=certificate-void')['items']), 1)
                self.end()

    def test_a_client_that_the_authority_does_not_know(self):
        r = self.row(client_issuer='stranger')
        run = r.run_one(csr=self.device.csr.decode())
        self.assertEqual((run['outcome'], run['code'] in ('service-refused', 'service-answer')), ('error', True), run)

    def test_a_key_that_everyone_may_read(self):
        r = self.row(mode=0o644)
        run = r.run_one(csr=self.device.csr.decode())
        self.assertEqual((run['outcome'], run['code']), ('error', 'invalid'), run)
        self.assertIn('may be read by everyone', run['message'])

    test_a_wrong_secret = None


if __name__ == '__main__':
    line.main()
