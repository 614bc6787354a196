#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""recipes/birth.yaml on a line: what units get is verified by openssl alone, and the records know every certificate.

    test_keys.py [BUILD]
"""
import base64
import json
import os
import signal
import unittest

import keyd
import line

RECIPE = os.path.join(line.ROOT, 'recipes', 'birth.yaml')
PROFILES = os.path.join(line.ROOT, 'systemd', 'profiles')


class Row(line.Line):
    """One station, and an issuer whose key is in an encrypted file or a token."""

    def __init__(self, token=False):
        super().__init__(1, boards=0, station_extra='    quarantine_after: 0\n')
        try:
            os.environ['PROVD_KEYD'] = line.binary('provd-keyd')
            self.vault = os.path.join(self.home, 'vault')
            os.mkdir(self.vault)
            self.authority = keyd.Authority(self.vault, 'factory', passphrase=None if token else 'an open secret')
            if token:
                self.token_in(self.authority)
            self.signer = os.path.join(self.vault, 'records.key')
            keyd.run('openssl', 'genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', self.signer)
            os.chmod(self.signer, 0o600)
            self.config('profiles: %s\nissuers:\n%ssigners:\n  records: {key: %s}\n'
                        % (PROFILES, self.authority.yaml(['idevid', 'tls-client']), self.signer))
            app = os.path.join(self.home, 'app.bin')
            with open(app, 'wb') as f:
                f.write(line.firmware())
            self.sim = line.Sim(self.home, 1, '--preload', app)
            self.start()
            self.api.post('/pools', {'id': 'birth-sn', 'pattern': 'BC{seq:06}', 'first': 1, 'last': 999})
            self.put_recipe(line.read(RECIPE).replace('delay: 2s', 'delay: 100ms'))
            self.seen = set()
        except BaseException:
            self.close()
            raise

    def token_in(self, authority):
        self.soft = keyd.SoftToken(self.vault)
        self.soft.import_key(authority.key, 'issuer', 'a1')
        os.unlink(authority.key)
        authority.key = self.soft.uri('issuer') + '?module-path=' + os.path.join(line.build_dir(), 'sim', 'token', 'switch_token.so')
        authority.pin = self.soft.pin
        self.switch = os.path.join(self.vault, 'switch')
        os.environ.update(self.soft.env, PROVSIM_TOKEN_SWITCH=self.switch)

    def close(self):
        super().close()
        for name in ('PROVD_KEYD', 'SOFTHSM2_CONF', 'PROVSIM_TOKEN_SWITCH'):
            os.environ.pop(name, None)

    def order(self, n=1):
        return self.api.post('/jobs', {'recipe': 'birth@1', 'quantity': n})['id']

    def next_run(self):
        def ended():
            runs = [r for r in self.api.get('/runs?state=finished&limit=50')['items'] if r['id'] not in self.seen]
            return runs[-1] if runs else None
        run = line.wait_for('the run ends', ended)
        self.seen.add(run['id'])
        return run

    def again(self):
        """The same unit is plugged again."""
        self.sim.ctl('unplug', board='b1')
        line.wait_for('the unit is gone', lambda: self.api.get('/stations/A1')['state'] == 'empty')
        self.sim.ctl('plug', board='b1')

    def keyd_pid(self):
        return int(keyd.run('pgrep', '-P', str(self.provd.process.pid), '-x', 'provd-keyd'))

    def private_key(self):
        """What the unit has, as it was given to it."""
        (_, state, _), = self.sim.units()
        return bytes.fromhex(state['values']['key']['private'])

    def files_of_provd(self):
        """All that was written, but what the test and the virtual boards keep."""
        for folder, _, files in os.walk(self.home):
            if not folder.startswith((self.vault, self.sim.boards_dir)):
                yield from (p for p in (os.path.join(folder, name) for name in files) if os.path.isfile(p))

    def certificates(self, unit):
        return self.api.get('/units/%s/certificates' % unit)['items']


class Keys(unittest.TestCase):
    def row(self, **more):
        r = Row(**more)
        self.addCleanup(r.close)
        return r

    def test_a_unit_gets_a_certificate_that_openssl_verifies(self):
        r = self.row()
        r.order(2)
        run = r.next_run()
        self.assertEqual((run['outcome'], run['serial']), ('passed', 'BC000001'), run)
        got, = r.certificates('BC000001')
        self.assertEqual((got['state'], got['issuer'], got['profile'], got['run']), ('delivered', 'factory', 'idevid@1', run['id']))
        pem = os.path.join(r.home, 'leaf.pem')
        line.write(pem, got['pem'])
        keyd.run('openssl', 'verify', '-x509_strict', '-CAfile', r.authority.root, '-untrusted', r.authority.cert, pem)
        out = keyd.run('openssl', 'x509', '-in', pem, '-noout', '-serial', '-subject', '-fingerprint', '-sha256')
        self.assertIn('serial=' + got['serial'].upper(), out)
        self.assertIn('CN = provsim-1 BC000001', out)
        self.assertIn(got['sha256'], out.replace(':', '').lower())
        # What the unit holds is that, and the challenge that it signed is proven by openssl as well.
        steps = {s['id']: s for s in r.api.get('/runs/%s/steps' % run['id'])['items']}
        proof = steps['proof']['evidence']
        keyd.run('openssl', 'x509', '-in', pem, '-pubkey', '-noout', '-out', os.path.join(r.home, 'pub.pem'))
        for name, text in (('challenge', proof['challenge']), ('signature', proof['signature'])):
            with open(os.path.join(r.home, name), 'wb') as f:
                f.write(bytes.fromhex(text))
        keyd.run('openssl', 'dgst', '-sha256', '-verify', os.path.join(r.home, 'pub.pem'), '-signature', os.path.join(r.home, 'signature'),
                 os.path.join(r.home, 'challenge'))
        out = r.provctl('unit', 'certificates', 'BC000001')
        self.assertIn(got['serial'], out.stdout)
        self.assertIn('factory', r.provctl('ca', 'list').stdout)
        self.assertTrue(r.provctl('unit', 'certificate', 'BC000001').stdout.startswith('-----BEGIN CERTIFICATE-----'))
        issuer, = r.api.get('/issuers')['items']
        self.assertEqual((issuer['name'], issuer['ready'], issuer['problem']), ('factory', True, None))
        r.sim.ctl('next', board='b1', gap_ms=200)
        run = r.next_run()
        self.assertEqual((run['outcome'], run['serial']), ('passed', 'BC000002'), run)
        self.assertNotEqual(r.certificates('BC000002')[0]['serial'], got['serial'])

    def test_a_key_that_comes_again_with_other_values_gets_another_certificate(self):
        """The unit keeps its key; what the recipe puts into the certificate is changed, and changed back."""
        r = self.row()
        text = line.read(RECIPE)
        kept = keyd.Device(r.vault)
        text = text[:text.index('  - id: key\n')] + text[text.index('  - id: certificate\n'):text.index('  - id: deliver\n')]
        text = text.replace("csr: '${steps.csr.csr}'", "csr: '${params.csr}'").replace("      public_key: '${steps.key.public_key}'\n", '') \
            .replace('params:\n', 'params:\n  csr: {type: string}\n  model: {type: string}\n').replace("model: '${unit.model}'", "model: '${params.model}'")
        text += "  - id: set-serial\n    action: console.command\n" \
            "    with: {port: console, send: 'SET_SERIAL ${unit.serial}', expect: '^OK$', read_back: {send: GET_SERIAL, expect: '^${unit.serial}$'}}\n"
        r.put_recipe(text.replace('version: 1', 'version: 2'))
        got = []
        for model in ('one', 'one', 'two', 'one'):
            r.api.post('/jobs', {'recipe': 'birth@2', 'quantity': 1, 'params': {'csr': kept.csr.decode(), 'model': model}})
            run = r.next_run()
            self.assertEqual((run['outcome'], run['serial']), ('passed', 'BC000001'), run)
            got.append(next(s for s in r.api.get('/runs/%s/steps' % run['id'])['items'] if s['id'] == 'certificate')['evidence'])
            r.again()
            line.wait_for('the unit is back', lambda: r.api.get('/stations/A1')['state'] in ('ready', 'passed'))
        self.assertEqual([g['issued'] for g in got], ['now', 'before', 'now', 'before'])
        self.assertEqual([c['subject'] for c in r.certificates('BC000001')],
                         ['serialNumber=BC000001,CN=%s BC000001,O=Example Devices' % m for m in ('two', 'one')])

    def test_a_unit_that_cannot_make_a_key_gets_one_that_nobody_else_keeps(self):
        r = self.row()
        text = line.read(RECIPE)
        text = text.replace('with: {port: console, alg: p256}', 'with: {in: memory, alg: p256}') \
            .replace("    with:\n      port: console\n      subject", "    with:\n      name: '${steps.key.name}'\n      subject") \
            .replace('  - id: deliver\n', "  - id: install\n    action: key.install\n    with: {port: console, name: '${steps.key.name}', "
                     "public_key: '${steps.key.public_key}', unit: '${steps.chip.id}'}\n  - id: deliver\n").replace('version: 1', 'version: 2')
        r.put_recipe(text)
        r.api.post('/jobs', {'recipe': 'birth@2', 'quantity': 1})
        # A unit that keeps another key than it was given is found by the read-back.
        r.sim.ctl('fault', board='b1', fault='key-other')
        run = r.next_run()
        self.assertEqual((run['outcome'], run['code'], run['step']), ('failed', 'read-back-mismatch', 'install'), run)
        r.again()
        run = r.next_run()
        self.assertEqual(run['outcome'], 'passed', run)
        steps = {s['id']: s for s in r.api.get('/runs/%s/steps' % run['id'])['items']}
        self.assertEqual((steps['install']['evidence']['written'], steps['install']['evidence']['proof']), ('now', 'read-back'))
        self.assertEqual(steps['install']['evidence']['key'], steps['key']['evidence']['key'])
        self.assertEqual(r.provd.log_text().count('handed out: key memory/'), 2)
        log = r.api.request('GET', '/runs/%s/log' % run['id']).body.decode()
        self.assertIn('KEY_WRITE', log)
        # What the unit has is nowhere else: neither as bytes nor as lines of base64, nor in the log of the run.
        r.provd.stop()
        private = r.private_key()
        b64 = base64.b64encode(private)
        planted = [private, b64[:64], b64[64:96], private.hex().encode(), private[30:70], private[30:70].hex().encode()]
        self.assertGreater(len(private), 100)
        self.assertNotIn(b64[:64].decode(), log)
        looked = 0
        for path in r.files_of_provd():
            with open(path, 'rb') as f:
                held = f.read()
            looked += 1
            self.assertFalse(any(p in held for p in planted), path)
        self.assertGreater(looked, 5)

    def test_another_process_of_its_user_gets_nothing_signed(self):
        r = self.row()
        self.assertTrue(r.api.get('/issuers')['items'][0]['ready'])
        with self.assertRaises((keyd.Refused, EOFError, OSError)) as caught:
            keyd.Client(os.path.join(r.home, 'state', 'keyd.sock')).certify('factory', 'idevid', keyd.Device(r.vault).csr, '{"serial": "x", "model": "y"}')
        # Root may ask what there is, and nothing else.
        if isinstance(caught.exception, keyd.Refused):
            self.assertEqual(caught.exception.code, 'forbidden')
        self.assertNotIn('signed:', r.provd.log_text())

    def test_a_birth_pack_is_verified_by_openssl_alone(self):
        r = self.row()
        r.order()
        run = r.next_run()
        self.assertEqual(run['outcome'], 'passed', run)
        envelope = json.loads(r.provctl('unit', 'birth-pack', run['serial']).stdout)
        payload = base64.b64decode(envelope['payload'], validate=True)
        path = lambda name: os.path.join(r.home, name)
        with open(path('signed'), 'wb') as f:
            f.write(b'DSSEv1 %d %s %d %s' % (len(envelope['payloadType']), envelope['payloadType'].encode(), len(payload), payload))
        with open(path('signature'), 'wb') as f:
            f.write(base64.b64decode(envelope['signatures'][0]['sig'], validate=True))
        keyd.run('openssl', 'pkey', '-in', r.signer, '-pubout', '-out', path('records.pem'))
        keyd.run('openssl', 'dgst', '-sha256', '-verify', path('records.pem'), '-signature', path('signature'), path('signed'))
        statement = json.loads(payload)
        self.assertEqual(statement['subject'], [{'name': run['serial'], 'digest': {'sha256': r.api.get('/runs/' + run['id'])['hash']}}])
        said = statement['predicate']
        self.assertEqual((said['unit']['serial'], said['run']['id'], said['recipe']['name']), (run['serial'], run['id'], 'birth'))
        self.assertEqual([v['value'] for v in said['values']], [run['serial']])
        self.assertEqual([c['sha256'] for c in said['certificates']], [r.certificates(run['serial'])[0]['sha256']])
        # One bit of it, and the signature is wrong.
        with open(path('signed'), 'r+b') as f:
            f.seek(60)
            byte = f.read(1)
            f.seek(60)
            f.write(bytes([byte[0] ^ 1]))
        self.assertIn('Verification failure', keyd.run('openssl', 'dgst', '-sha256', '-verify', path('records.pem'), '-signature', path('signature'),
                                                       path('signed'), ok=False))
        self.assertNotEqual(r.provctl('unit', 'birth-pack', run['serial'], '--signer', 'nobody', check=False).returncode, 0)

    def test_a_key_process_that_says_nothing(self):
        r = self.row()
        self.assertTrue(line.wait_for('it is ready', lambda: r.api.get('/issuers')['items'][0]['ready']))
        pid = r.keyd_pid()
        line.stop(pid)
        try:
            with self.assertRaises(line.Problem) as caught:
                r.api.get('/issuers')
            self.assertIn('"code":"keys-unavailable"', str(caught.exception))
            self.assertIn('provd-keyd gave no answer in time', str(caught.exception))
        finally:
            os.kill(pid, signal.SIGCONT)
        self.assertTrue(r.api.get('/issuers')['items'][0]['ready'])
        self.assertEqual(r.keyd_pid(), pid)
        r.order()
        self.assertEqual(r.next_run()['outcome'], 'passed')

    def test_a_unit_that_lies(self):
        r = self.row()
        for fault, step, code in (('csr-other', 'csr', 'csr-mismatch'), ('key-other', 'proof', 'key-not-proven'), ('cert-cut', 'deliver', 'read-back-mismatch')):
            with self.subTest(fault):
                r.sim.ctl('fault', board='b1', fault=fault)
                r.order()
                run = r.next_run()
                self.assertNotEqual(run['outcome'], 'passed', run)
                self.assertEqual(run['step'], step, run)
                if code:
                    self.assertEqual((run['outcome'], run['code']), ('failed', code), run)
                r.again()
                run = r.next_run()
                self.assertEqual(run['outcome'], 'passed', run)
                r.sim.ctl('next', board='b1', gap_ms=200)
                line.wait_for('the unit is settled', lambda: r.api.get('/stations/A1')['state'] == 'ready')

    def test_a_key_process_that_is_killed_is_started_again(self):
        r = self.row()
        r.order(3)
        self.assertEqual(r.next_run()['outcome'], 'passed')
        pid = r.keyd_pid()
        os.kill(pid, signal.SIGKILL)
        line.wait_for('it runs again', lambda: keyd.run('pgrep', '-P', str(r.provd.process.pid), '-x', 'provd-keyd', ok=False).strip() not in ('', str(pid)))
        r.sim.ctl('next', board='b1', gap_ms=200)
        self.assertEqual(r.next_run()['outcome'], 'passed')
        self.assertIn('provd-keyd was ended by signal 9: it is started again', r.provd.log_text())
        # It ends with provd, whatever ends provd.
        pid = r.keyd_pid()
        r.provd.kill()
        line.wait_for('it has ended', lambda: not os.path.exists('/proc/%d' % pid))

    def test_a_key_process_that_cannot_start_is_tried_less_and_less_often_and_each_reason_is_said_once(self):
        r = self.row()
        r.provd.stop()
        tries = os.path.join(r.home, 'tries')
        program = os.path.join(r.home, 'counted-keyd')
        line.write(program, '#!/bin/sh\ndate +%%s%%N >> %s\nexec %s "$@"\n' % (tries, line.binary('provd-keyd')))
        os.chmod(program, 0o755)
        os.environ['PROVD_KEYD'] = program
        real = line.read(r.authority.chain)
        line.write(r.authority.chain, 'nothing\n')
        r.start()
        made = lambda: len(line.read(tries).split()) if os.path.exists(tries) else 0
        said = lambda part: r.provd.log_text().count(part)
        line.wait_for('it was tried four times', lambda: made() >= 4, 60)
        at = [int(x) for x in line.read(tries).split()]
        for n, least in enumerate((1, 2, 4)):
            self.assertGreaterEqual(at[n + 1] - at[n], least * 900000000)
        self.assertEqual((said('provd-keyd ended with status'), said('are neither certificates in PEM')), (1, 1))
        # Another reason is said, once.
        os.unlink(r.authority.chain)
        line.wait_for('the other reason is said', lambda: said('No such file'), 60)
        line.wait_for('it is said that it ended in another way', lambda: said('provd-keyd ended with status') == 2)
        line.write(r.authority.chain, real)
        line.wait_for('it runs', lambda: said('holds the keys') == 2, 60)
        r.order()
        self.assertEqual(r.next_run()['outcome'], 'passed')

    def test_a_module_that_hangs_ends_the_run_and_not_the_line(self):
        r = self.row(token=True)
        line.wait_for('the token is open', lambda: r.api.get('/issuers')['items'][0]['ready'])
        line.write(r.switch, 'hang\n')
        r.order()
        run = r.next_run()
        self.assertEqual((run['outcome'], run['code'], run['step']), ('error', 'token-gone', 'certificate'), run)
        self.assertIn('does not come back', r.provd.log_text())
        self.assertEqual([c['state'] for c in r.certificates(run['serial'])], ['void'])
        # The child was started again, answers, and says why that issuer is left alone.
        self.assertIn('is left alone for another', r.api.get('/issuers')['items'][0]['problem'])

    def test_a_token_that_is_pulled_ends_a_run_and_its_return_needs_nothing(self):
        r = self.row(token=True)
        line.write(r.switch, 'gone\n')
        r.order(2)
        run = r.next_run()
        self.assertEqual((run['outcome'], run['code'], run['step']), ('error', 'token-gone', 'certificate'), run)
        self.assertFalse(r.api.get('/issuers')['items'][0]['ready'])
        os.unlink(r.switch)
        r.again()
        run = r.next_run()
        self.assertEqual(run['outcome'], 'passed', run)
        self.assertEqual([c['state'] for c in r.certificates(run['serial'])], ['delivered'])

    def test_secrets_are_nowhere(self):
        r = self.row(token=True)
        r.order()
        self.assertEqual(r.next_run()['outcome'], 'passed')
        planted = [keyd.SoftToken.PIN.encode()]
        for pid in (r.provd.process.pid, r.keyd_pid()):
            for part in ('cmdline', 'environ'):
                with open('/proc/%d/%s' % (pid, part), 'rb') as f:
                    held = f.read()
                self.assertFalse(any(p in held for p in planted), (pid, part))
        r.provd.stop()
        looked = 0
        for folder, _, files in os.walk(r.home):
            for name in files:
                path = os.path.join(folder, name)
                if folder.startswith(r.vault) or not os.path.isfile(path):
                    continue
                with open(path, 'rb') as f:
                    held = f.read()
                looked += 1
                self.assertFalse(any(p in held for p in planted), path)
        self.assertGreater(looked, 5)

    def test_a_kill_between_order_and_record_leaves_no_certificate_that_is_not_known(self):
        r = self.row(token=True)
        line.wait_for('the token is open', lambda: r.api.get('/issuers')['items'][0]['ready'])
        line.write(r.switch, 'hang\n')
        r.order()
        line.wait_for('the certificate is ordered', lambda: 'certificate-ordered' in json.dumps(r.api.get('/events?limit=200')))
        r.provd.kill()
        os.unlink(r.switch)
        r.start()
        run = next(x for x in r.api.get('/runs?state=finished')['items'])
        self.assertEqual(run['outcome'], 'interrupted', run)
        r.seen.add(run['id'])
        run = r.next_run()
        self.assertEqual(run['outcome'], 'passed', run)
        states = {c['state']: c for c in r.certificates(run['serial'])}
        self.assertEqual(sorted(states), ['delivered', 'void'], states)
        self.assertIn('never given out', states['void']['reason'])


if __name__ == '__main__':
    line.main()
