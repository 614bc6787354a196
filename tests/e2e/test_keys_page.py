#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The commands of docs/keys.md, as the page has them: they are run, and the configurations are taken by provd and provd-keyd.

    test_keys_page.py [BUILD]
"""
import os
import re
import shutil
import subprocess
import tempfile
import unittest

import keyd
import line
import test_keys

PAGE = os.path.join(line.ROOT, 'docs', 'keys.md')


def blocks():
    """The text between the fences, in order."""
    return [m[1] for m in re.finditer(r'^```(?:yaml)?\n(.*?)^```$', line.read(PAGE), re.M | re.S)]


class Page(unittest.TestCase):
    def setUp(self):
        self.home = tempfile.mkdtemp(prefix='provd-keys-page-')
        self.addCleanup(shutil.rmtree, self.home)

    def block(self, part):
        """The block that has this in it: there is one."""
        found = [b for b in blocks() if part in b]
        self.assertEqual(len(found), 1, part)
        return found[0]

    def path(self, name):
        return os.path.join(self.home, name)

    def shell(self, text, **env):
        """As a person types it, in a folder of the test."""
        places = [os.path.dirname(line.binary(x)) for x in ('provd', 'provd-keyd', 'provctl')]
        env = dict(os.environ, PATH=':'.join(places + [os.environ['PATH']]), **env)
        p = subprocess.run(['bash', '-euo', 'pipefail', '-c', text], cwd=self.home, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           stdin=subprocess.DEVNULL, timeout=120)
        self.assertEqual(p.returncode, 0, text + p.stdout)
        return p.stdout

    def issuer(self):
        """The issuer of the page, with its files where the test has them."""
        self.shell(self.block('-keyout factory.key'))
        text = self.block('its own certificate, then those above it')
        text = text.replace('/etc/provd/profiles', os.path.join(line.ROOT, 'systemd', 'profiles')).replace('/etc/provd/ca', self.home)
        return re.sub(r'^ *pin:.*\n', '', text, flags=re.M)

    def test_an_issuer_and_a_bench(self):
        line.write(self.path('provd.yaml'), self.issuer())
        out = self.shell('provd-keyd --config provd.yaml --check')
        self.assertIn('"ready": true', out)
        line.write(self.path('unit.csr'), keyd.Device(self.home).csr.decode())
        shutil.copy(os.path.join(line.ROOT, 'recipes', 'birth.yaml'), self.path('birth.yaml'))
        app = self.path('app.bin')
        with open(app, 'wb') as f:
            f.write(line.firmware())
        sim = line.Sim(self.home, 1, '--preload', app)
        self.addCleanup(sim.stop)
        link = sim.boards()[0]['link']
        text = self.block('PROVD_KEYD_SOCKET=').replace('/tmp/keyd.sock', self.path('keyd.sock')).replace('/dev/ttyUSB0', link.removeprefix('tty:'))
        out = self.shell(text + 'kill %1\n')
        self.assertIn('-----BEGIN CERTIFICATE-----', out)
        self.assertIn('passed', out)

    def test_what_is_on_record_and_a_birth_pack(self):
        r = test_keys.Row()
        self.addCleanup(r.close)
        r.order()
        run = r.next_run()
        self.assertEqual(run['outcome'], 'passed', run)
        for source, name in ((r.authority.root, 'root.pem'), (r.authority.cert, 'factory.pem'), (r.signer, 'records.key')):
            shutil.copy(source, self.path(name))
        env = {'PROVD_URL': 'http://127.0.0.1:%d' % r.provd.port, 'PROVD_TOKEN': r.provd.token}
        out = self.shell(self.block('provctl unit certificates SERIAL').replace('SERIAL', run['serial']), **env)
        self.assertIn('unit.pem: OK', out)
        self.assertIn('delivered', out)
        out = self.shell(self.block('provctl unit birth-pack SERIAL').replace('SERIAL', run['serial']), **env)
        self.assertIn('Verified OK', out)

    def test_a_derived_key(self):
        master = os.urandom(32).hex()
        line.write(self.path('master'), master + '\n')
        os.chmod(self.path('master'), 0o600)
        line.write(self.path('provd.yaml'), 'masters:\n  fleet: {key: %s}\n' % self.path('master'))
        k = keyd.Keyd(self.home, self.path('provd.yaml')).start()
        self.addCleanup(k.stop)
        text = self.block('openssl kdf').replace('hexkey:M', 'hexkey:' + master).replace('LABEL', 'storage').replace('CONTEXT', 'SN-1')
        self.assertEqual(self.shell(text).strip().replace(':', '').lower(), k.client().derive('fleet', 'storage', b'SN-1', 32).hex())

    def test_each_configuration_is_taken(self):
        self.issuer()
        for name in ('est-password', 'records.key', 'line-7.pem', 'line-7.key', 'units-pin'):
            line.write(self.path(name), 'x\n')
        os.makedirs(self.path('ca'))
        for part in ('its own certificate, then those above it', 'plant: {kind: est', 'client_key: /etc', 'stores:', 'signers:'):
            with self.subTest(part):
                config = self.path('config.yaml')
                text = self.block(part)
                if 'client_key' in text:
                    text = "services: {pki: {url: 'https://pki.example'}}\n" + text
                if 'reference: line-7' in text:
                    text = text.replace('secrets:\n', 'secrets:\n  cmp: {credential: cmp}\n').replace('services:\n', "services:\n  pki: {url: 'https://pki.example'}\n")
                line.write(config, 'state_dir: %s\n%s' % (self.path('state'), text))
                self.shell('provd --config config.yaml --check')

    def test_steps_for_a_unit_that_cannot_make_a_key(self):
        head = 'recipe: page\nversion: 1\nunit: {serial: {pool: sn}}\nports: {console: {kind: tty}}\nsteps:\n' \
            '  - {id: chip, action: device.identify, with: {port: console, send: GET_UID, pattern: "^([0-9a-f]{24})$"}}\n'
        for part in ('in: memory', 'in: token'):
            with self.subTest(part):
                line.write(self.path('page.yaml'), head + self.block('{' + part))
                self.shell('provctl recipe check page.yaml')

    def test_no_block_was_left_out(self):
        """A block that is new here has to be run above."""
        parts = ('-keyout factory.key', 'its own certificate, then those above it', 'plant: {kind: est', 'client_key: /etc', '{in: memory', '{in: token', 'stores:',
                 'PROVD_KEYD_SOCKET=', 'provctl unit certificates SERIAL', 'signers:', 'provctl unit birth-pack SERIAL', 'openssl kdf')
        self.assertEqual([b for b in blocks() if not any(p in b for p in parts)], [])
        self.assertEqual(len(blocks()), len(parts))


class Codes(unittest.TestCase):
    def test_each_code_of_a_key_is_in_the_table(self):
        """What daemon/keyd and the authorities give, by the names of base/err.h."""
        names = dict(re.findall(r'X\((\w+), "([a-z-]+)"', line.read(os.path.join(line.ROOT, 'base', 'err.h'))))
        table = line.read(PAGE).split('## What can go wrong')[1]
        for code in ('CSR_MISMATCH', 'KEY_NOT_PROVEN', 'PROFILE_REFUSED', 'ISSUER_INVALID', 'TOKEN_GONE', 'TOKEN_PIN', 'PIN_REFUSED', 'PIN_LOCKED', 'TOKEN_FULL',
                     'CSR_ATTRIBUTES', 'KEYS_DOWN'):
            self.assertIn('| `%s` |' % names[code], table)
        given = set()
        for folder, _, files in os.walk(os.path.join(line.ROOT, 'daemon', 'keyd')):
            for name in files:
                given |= set(re.findall(r'ERR_((?:PIN|TOKEN|ISSUER|PROFILE|CSR)_[A-Z]+)', line.read(os.path.join(folder, name))))
        for code in given:
            if code in names:
                self.assertIn('| `%s` |' % names[code], table)
        self.assertIn('PIN_REFUSED', given)


if __name__ == '__main__':
    line.main()
