#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""provd-keyd by itself: what it signs is verified by openssl and certtool, its keys are in files and in tokens.

    test_keyd.py [BUILD]
"""
import base64
import json
import os
import re
import shutil
import struct
import subprocess
import tempfile
import threading
import unittest

import keyd
import line

PROFILES = os.path.join(line.ROOT, 'systemd', 'profiles')
VALUES = json.dumps({'serial': 'SN-0001', 'model': 'widget', 'vendor_id': 'FFF1', 'product_id': '8000'})


class Base(unittest.TestCase):
    def setUp(self):
        self.home = tempfile.mkdtemp(prefix='provd-keyd-')
        self.addCleanup(shutil.rmtree, self.home)

    def start(self, yaml, env=None):
        config = os.path.join(self.home, 'provd.yaml')
        with open(config, 'w') as f:
            f.write('state_dir: /nonexistent # not for provd-keyd\nprofiles: %s\n%s' % (PROFILES, yaml))
        self.keyd = keyd.Keyd(self.home, config, env)
        self.addCleanup(self.keyd.stop)
        return self.keyd.start()

    def refused(self, code, part, call, *args, **named):
        with self.assertRaises(keyd.Refused) as caught:
            call(*args, **named)
        self.assertEqual(caught.exception.code, code, caught.exception)
        self.assertIn(part, caught.exception.message)
        return caught.exception.message

    def save(self, name, content):
        path = os.path.join(self.home, name)
        with open(path, 'wb' if isinstance(content, bytes) else 'w') as f:
            f.write(content)
        return path

    def verify(self, der, root):
        """openssl alone: the chain holds, and the text of the certificate."""
        path = self.save('cert.der', der)
        pem = keyd.run('openssl', 'x509', '-inform', 'DER', '-in', path)
        leaf = self.save('leaf.pem', pem)
        keyd.run('openssl', 'verify', '-x509_strict', '-CAfile', root.root, '-untrusted', root.cert, leaf)
        return keyd.run('openssl', 'x509', '-in', leaf, '-noout', '-text')


class Issuing(Base):
    def test_each_kind_of_issuer_and_of_key(self):
        kinds = {'p256': ('EC', 'ec_paramgen_curve:P-256'), 'p384': ('EC', 'ec_paramgen_curve:P-384'), 'ed25519': ('ED25519',),
                 'rsa3072': ('RSA', 'rsa_keygen_bits:3072')}
        authorities = {n: keyd.Authority(self.home, n, kind=k, passphrase='open sesame' if n == 'p256' else None) for n, k in kinds.items()}
        self.start('issuers:\n' + ''.join(a.yaml(['idevid', 'tls-client']) for a in authorities.values()))
        listed = json.loads(self.keyd.client().issuers())
        self.assertEqual([(i['name'], i['key'], i['ready']) for i in listed], [(n, n, True) for n in kinds])
        self.assertEqual([p['name'] for p in listed[0]['profiles']], ['idevid', 'tls-client'])
        for name, authority in authorities.items():
            for kind in ('p256', 'p384', 'ed25519'):
                device = keyd.Device(self.home, kind=kinds[kind])
                serial = b'\x51' + os.urandom(15)
                der, chain = self.keyd.client().certify(name, 'idevid', device.csr, VALUES, serial)
                text = self.verify(der, authority)
                self.assertEqual(re.search(r'Serial Number:\s+([0-9a-f:]+)', text)[1].replace(':', ''), serial.hex())
                self.assertIn('Subject: O = Example Devices, CN = widget SN-0001, serialNumber = SN-0001', text)
                self.assertIn('Not After : Dec 31 23:59:59 9999 GMT', text)
                self.assertRegex(text, r'X509v3 Key Usage: critical\s+Digital Signature\n')
                self.assertNotIn('Extended Key Usage', text)
                self.assertIn('othername: 1.3.6.1.5.5.7.8.4::<unsupported>', text)
                self.assertIn('Authority Key Identifier', text)
                self.assertEqual(chain.decode(), line.read(authority.chain))
        # GnuTLS reads what openssl wrote, and sees the module's name as it is.
        out = keyd.run('certtool', '--certificate-info', '--infile', os.path.join(self.home, 'leaf.pem'))
        self.assertIn('otherName OID: 1.3.6.1.5.5.7.8.4', out)
        self.assertIn('Not After: Fri Dec 31 23:59:59 UTC 9999', out)
        asn1 = keyd.run('openssl', 'asn1parse', '-inform', 'DER', '-in', os.path.join(self.home, 'cert.der'), '-strparse',
                        re.search(r'(\d+):.*OCTET STRING', keyd.run('openssl', 'asn1parse', '-inform', 'DER', '-in', os.path.join(self.home, 'cert.der'))
                                  .split('X509v3 Subject Alternative Name')[1])[1])
        self.assertRegex(asn1, r'OBJECT\s+:1\.3\.6\.1\.5\.5\.7\.8\.4')
        self.assertRegex(asn1, r'OBJECT\s+:1\.3\.6\.1\.4\.1\.32473\.1')
        self.assertRegex(asn1, r'OCTET STRING\s+:SN-0001')

    def test_a_client_certificate_ends_and_names_the_device(self):
        a = keyd.Authority(self.home)
        self.start('issuers:\n' + a.yaml(['tls-client']))
        der, _ = self.keyd.client().certify('ca', 'tls-client', keyd.Device(self.home).csr, VALUES)
        text = self.verify(der, a)
        self.assertIn('TLS Web Client Authentication', text)
        self.assertIn('DNS:SN-0001.devices.example', text)
        keyd.run('openssl', 'x509', '-in', os.path.join(self.home, 'leaf.pem'), '-noout', '-checkend', str(729 * 86400))
        self.assertIn('will expire', keyd.run('openssl', 'x509', '-in', os.path.join(self.home, 'leaf.pem'), '-noout', '-checkend', str(731 * 86400), ok=False))

    def test_matter_wants_the_vendor_of_its_issuer(self):
        right = keyd.Authority(self.home, 'right', subject='/CN=PAI/matterVendor=FFF1')
        wrong = keyd.Authority(self.home, 'wrong', subject='/CN=PAI/matterVendor=FFF2')
        none = keyd.Authority(self.home, 'none', subject='/CN=PAI')
        self.start('issuers:\n' + ''.join(a.yaml(['matter-dac']) for a in (right, wrong, none)))
        csr = keyd.Device(self.home).csr
        text = self.verify(self.keyd.client().certify('right', 'matter-dac', csr, VALUES)[0], right)
        self.assertIn('1.3.6.1.4.1.37244.2.1 = FFF1, 1.3.6.1.4.1.37244.2.2 = 8000', text)
        for name in ('wrong', 'none'):
            self.refused('profile-refused', 'to be the same', self.keyd.client().certify, name, 'matter-dac', csr, VALUES)

    def test_what_is_refused_says_why(self):
        a = keyd.Authority(self.home)
        self.start('issuers:\n' + a.yaml(['idevid', 'tls-client']))
        c = self.keyd.client()
        good = keyd.Device(self.home)
        self.refused('not-found', "no issuer 'nobody'", c.certify, 'nobody', 'idevid', good.csr, VALUES)
        self.refused('profile-refused', "by a profile 'matter-dac'", c.certify, 'ca', 'matter-dac', good.csr, VALUES)
        self.refused('profile-refused', "the value 'serial'", c.certify, 'ca', 'idevid', good.csr, '{"model": "m"}')
        self.refused('profile-refused', 'an empty one', c.certify, 'ca', 'idevid', good.csr, '{"model": "m", "serial": ""}')
        self.refused('profile-refused', 'a longer one', c.certify, 'ca', 'idevid', good.csr, json.dumps({'model': 'm', 'serial': 'x' * 65}))
        for name in ('a b', '*', 'a,DNS:b', 'a/b'):
            self.refused('profile-refused', 'DNS name', c.certify, 'ca', 'tls-client', good.csr, json.dumps({'serial': name}))
        for text in ('a\nb', 'a\rb', '\x7f'):
            self.refused('profile-refused', 'a control character', c.certify, 'ca', 'idevid', good.csr, json.dumps({'model': 'm', 'serial': text}))
        # What is special to others is a text here.
        for text in ('a,CN=b', 'a+CN=b', 'a"b', '${model}', 'Ä/b'):
            der, _ = c.certify('ca', 'idevid', good.csr, json.dumps({'model': text, 'serial': 'SN-0001'}))
            names = keyd.run('openssl', 'x509', '-inform', 'DER', '-in', self.save('odd.der', der), '-noout', '-subject', '-nameopt', 'sep_multiline,utf8')
            self.assertEqual(names.splitlines()[1:], ['    O=Example Devices', '    CN=%s SN-0001' % text, '    serialNumber=SN-0001'])
        self.refused('profile-refused', 'kind rsa2048', c.certify, 'ca', 'idevid', keyd.Device(self.home, kind=('RSA', 'rsa_keygen_bits:2048')).csr, VALUES)
        self.refused('profile-refused', 'kind ed25519', c.certify, 'ca', 'tls-client', keyd.Device(self.home, kind=('ED25519',)).csr, VALUES)
        self.refused('invalid', 'of a kind that provd does not know', c.certify, 'ca', 'tls-client',
                     keyd.Device(self.home, kind=('RSA', 'rsa_keygen_bits:1024')).csr, VALUES)
        self.refused('csr-mismatch', "names 'CN=other'", c.certify, 'ca', 'idevid', keyd.Device(self.home, '/CN=other').csr, VALUES)
        for extension in ('subjectAltName=DNS:else.example', 'basicConstraints=CA:TRUE'):
            self.refused('csr-mismatch', 'asks for 1 extension', c.certify, 'ca', 'idevid', keyd.Device(self.home, extensions=[extension]).csr, VALUES)
        # The same name as the certificate's is taken.
        same = keyd.Device(self.home, '/O=Example Devices/CN=widget SN-0001/serialNumber=SN-0001')
        self.assertEqual(len(c.certify('ca', 'idevid', same.csr, VALUES)), 2)
        # A request that was changed after it was signed: one bit of its key.
        der = bytearray(keyd.run('openssl', 'req', '-outform', 'DER', stdin=good.csr))
        der[80] ^= 1
        message = None
        try:
            c.certify('ca', 'idevid', bytes(der), VALUES)
        except keyd.Refused as e:
            message = e
        self.assertIn(message.code, ('csr-mismatch', 'invalid'))
        self.refused('invalid', 'are not a certificate request', c.certify, 'ca', 'idevid', b'hello', VALUES)
        self.refused('invalid', 'are not a certificate request', c.certify, 'ca', 'idevid', good.csr[:200], VALUES)
        # A look signs nothing.
        self.assertRegex(c.certify('ca', 'idevid', good.csr, VALUES, op=keyd.CHECK)[0].decode(), r'^idevid@1 [0-9a-f]{64}$')
        self.assertEqual(line.read(self.keyd.log).count('signed:'), 6)

    def test_an_issuer_that_is_not_valid_now(self):
        old = keyd.Authority(self.home, 'old', dates=('-startdate', '20200101000000Z', '-enddate', '20210101000000Z'))
        new = keyd.Authority(self.home, 'new', dates=('-startdate', '20990101000000Z', '-enddate', '21000101000000Z'))
        short = keyd.Authority(self.home, 'short', dates=('-days', '30'))
        self.start('issuers:\n' + ''.join(a.yaml(['idevid', 'tls-client']) for a in (old, new, short)))
        csr = keyd.Device(self.home).csr
        c = self.keyd.client()
        self.refused('issuer-invalid', 'has ended at 2021-01-01', c.certify, 'old', 'idevid', csr, VALUES)
        self.refused('issuer-invalid', 'the clock of this machine is before that', c.certify, 'new', 'idevid', csr, VALUES)
        self.refused('issuer-invalid', 'would end after its issuer', c.certify, 'short', 'tls-client', csr, VALUES)

    def test_eight_at_a_time(self):
        a = keyd.Authority(self.home)
        self.start('issuers:\n' + a.yaml(['idevid']))
        csr = keyd.Device(self.home).csr
        got, lock = [], threading.Lock()

        def ask():
            c = self.keyd.client()
            for _ in range(50):
                der = c.certify('ca', 'idevid', csr, VALUES)[0]
                with lock:
                    got.append(der)
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(len(set(got)), 400)
        self.verify(got[-1], a)


class Custody(Base):
    def test_start_refuses_what_is_wrong(self):
        a = keyd.Authority(self.home, passphrase='right')
        other = keyd.Authority(self.home, 'other')

        def fails(yaml, part):
            config = self.save('bad.yaml', yaml if yaml.startswith('profiles:') else 'profiles: %s\n%s' % (PROFILES, yaml))
            out = keyd.run(line.binary('provd-keyd'), '--config', config, '--check', ok=False)
            self.assertIn(part, out)
            self.assertNotIn('right\n', out)
        good = 'issuers:\n' + a.yaml(['idevid'])
        fails(good.replace('idevid', 'nothing'), "profile 'nothing'")
        odd = tempfile.mkdtemp(dir=self.home)
        for bad, part in (("subject: {CN: 'a ${serial'}", 'a text expected, with a }'), ("subject: {CN: a}\nsan: [{dns: '${x'}]", '{dns: TEXT}')):
            line.write(os.path.join(odd, 'odd.yaml'), 'profile: odd\nversion: 1\nkeys: [p256]\n%s\n' % bad)
            fails('profiles: %s\n' % odd + good.replace('idevid', 'odd'), part)
        fails(good.replace(a.chain, a.key), 'are not a certificate')
        fails(good.replace('certificate:', 'certificat:'), "did you mean 'certificate'")
        fails(good.replace(a.key, 'relative.pem'), 'an absolute path or a URI')
        fails(good.replace(a.key, 'pkcs11:token=x;object=y?pin-value=1234'), 'everyone reads it')
        fails(good.replace(a.key, other.key), 'does not belong to the public key')
        self.save('ca-pin', 'wrong\n')
        fails(good, 'that its passphrase opens')
        self.save('ca-pin', 'right\n')
        os.chmod(a.key, 0o644)
        fails(good, 'may be read by everyone')
        os.chmod(a.key, 0o600)
        # What is around a PIN: one that is not there, or read by everyone, or cut.
        for content, mode, part in ((None, None, 'No such file'), ('right\n', 0o644, 'may be read by everyone'), ('\n', 0o600, 'has no PIN of 1 to'),
                                    ('r' * 257, 0o600, 'has no PIN of 1 to')):
            os.unlink(a.pin)
            if content:
                self.save('ca-pin', content)
                os.chmod(a.pin, mode)
            fails(good, part)
            if not content:
                self.save('ca-pin', '')
        for content in ('right', 'right\r\n', 'right\nand more'):
            self.save('ca-pin', content)
            keyd.run(line.binary('provd-keyd'), '--config', self.save('good.yaml', 'profiles: %s\n%s' % (PROFILES, good)), '--check')

    def test_a_check_opens_masters_and_signers_too(self):
        a = keyd.Authority(self.home)
        master = self.save('master', '00' * 31 + '\n')
        os.chmod(master, 0o600)
        for more, part in (('masters:\n  fleet: {key: %s}\n' % master, 'master fleet: '), ('signers:\n  records: {key: %s}\n' % a.chain, 'signer records: ')):
            config = self.save('bad.yaml', 'profiles: %s\nissuers:\n%s%s' % (PROFILES, a.yaml(['idevid']), more))
            p = subprocess.run([line.binary('provd-keyd'), '--config', config, '--check'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            self.assertEqual(p.returncode, 1, p.stdout)
            self.assertIn(part, p.stdout)

    def test_a_file_in_the_place_of_the_socket_is_left(self):
        a = keyd.Authority(self.home)
        config = self.save('provd.yaml', 'profiles: %s\nissuers:\n%s' % (PROFILES, a.yaml(['idevid'])))
        p = subprocess.run([line.binary('provd-keyd'), '--config', config, '--socket', a.key], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        self.assertEqual(p.returncode, 1, p.stdout)
        self.assertIn('is not a socket', p.stdout)
        self.assertIn('PRIVATE KEY', line.read(a.key))
        # The socket of one that was killed is taken over.
        k = self.start('issuers:\n' + a.yaml(['idevid']))
        k.proc.kill()
        k.proc.wait()
        self.assertTrue(os.path.exists(k.socket))
        k.start()
        self.assertEqual(len(k.client().certify('ca', 'idevid', keyd.Device(self.home).csr, VALUES)), 2)

    def test_more_peers_than_places_wait_for_one(self):
        a = keyd.Authority(self.home)
        k = self.start('issuers:\n' + a.yaml(['idevid']))
        csr = keyd.Device(self.home).csr
        peers = [k.client() for _ in range(64)]
        for p in peers:
            p.issuers()
        late = [k.client() for _ in range(40)]
        peers[7].close()
        self.assertEqual(len(late[0].certify('ca', 'idevid', csr, VALUES)), 2)
        for p in peers:
            p.close()
        for p in late:
            self.assertEqual(len(p.certify('ca', 'idevid', csr, VALUES)), 2)

    def test_only_its_user_is_answered_and_nothing_of_it_is_to_be_read(self):
        a = keyd.Authority(self.home, passphrase='open sesame')
        k = self.start('issuers:\n' + a.yaml(['idevid']))
        self.assertEqual(os.stat(k.socket).st_mode & 0o077, 0)
        status = line.read('/proc/%d/status' % k.proc.pid)
        self.assertIn('NoNewPrivs:\t1', status)
        self.assertEqual(line.read('/proc/%d/limits' % k.proc.pid).split('Max core file size')[1].split()[:2], ['0', '0'])
        # Its memory is not its user's to read: the kernel gives /proc/PID to root.
        self.assertEqual(os.stat('/proc/%d/mem' % k.proc.pid).st_uid, 0)
        self.assertNotIn('sesame', line.read('/proc/%d/cmdline' % k.proc.pid))
        self.assertNotIn('sesame', line.read(k.log))

    def test_a_peer_that_breaks_the_wire_ends_itself_alone(self):
        a = keyd.Authority(self.home)
        k = self.start('issuers:\n' + a.yaml(['idevid']))
        csr = keyd.Device(self.home).csr
        for bad in (b'\xff\xff\xff\xff', b'\0\0\0\0', struct.pack('>I', 200000)):
            c = k.client()
            c.s.sendall(bad)
            self.assertRaises((EOFError, OSError), c.take, 1)
        c = k.client()
        self.refused('protocol', 'not known', c.raw, b'\x63')
        self.refused('protocol', 'is cut', c.raw, b'\x03\0\0\0\x09ca')
        self.refused('protocol', 'too many', c.raw, b'\x01tail')
        self.refused('protocol', 'NUL', c.raw, b'\x03' + keyd.text('c\0a') + keyd.text('p') + keyd.blob(b'x') + keyd.blob(b's' * 16) + keyd.text('{}') + keyd.text(''))
        self.assertEqual(len(c.certify('ca', 'idevid', csr, VALUES)), 2)
        half = k.client()
        half.s.sendall(b'\0\0')
        self.assertEqual(len(k.client().certify('ca', 'idevid', csr, VALUES)), 2)

    def test_derived_keys_and_signed_records(self):
        master = os.urandom(32).hex()
        path = self.save('master', master + '\n')
        os.chmod(path, 0o600)
        a = keyd.Authority(self.home)
        k = self.start('masters:\n  fleet: {key: %s}\nsigners:\n  records: {key: %s}\n' % (path, a.key))
        for n in (16, 32, 48):
            want = keyd.run('openssl', 'kdf', '-keylen', str(n), '-kdfopt', 'mac:CMAC', '-kdfopt', 'cipher:AES-256-CBC', '-kdfopt', 'mode:COUNTER',
                            '-kdfopt', 'hexkey:' + master, '-kdfopt', 'salt:storage', '-kdfopt', 'hexinfo:' + b'SN-1'.hex(), 'KBKDF')
            self.assertEqual(k.client().derive('fleet', 'storage', b'SN-1', n).hex(), want.strip().replace(':', '').lower())
        self.assertNotEqual(k.client().derive('fleet', 'storage', b'SN-2', 16), k.client().derive('fleet', 'storage', b'SN-1', 16))
        self.refused('invalid', '16 to 64 expected', k.client().derive, 'fleet', 'x', b'y', 65)
        self.refused('not-found', "no master 'else'", k.client().derive, 'else', 'x', b'y', 16)
        record = os.urandom(2000)
        signature, public = k.client().sign('records', record)
        keyd.run('openssl', 'dgst', '-sha256', '-verify', self.save('public', public), '-signature', self.save('signature', signature), self.save('record', record))
        self.assertNotIn(master[:16], line.read(k.log))

    def test_a_key_of_checkpoints_signs_checkpoints_and_nothing_else(self):
        a = keyd.Authority(self.home)
        made = os.path.join(self.home, 'log.key')
        k = self.start('signers:\n  records: {key: %s}\n  log: {key: %s, signs: checkpoints}\n  wrong: {key: %s, signs: checkpoints}\n' % (a.key, made, a.key))
        # Who only looks makes none.
        self.assertEqual(subprocess.run(k.argv('--check'), capture_output=True).returncode, 0)
        self.assertFalse(os.path.exists(made))
        root = base64.b64encode(bytes(range(32))).decode()
        good = ('provd.records/00112233445566ff\n7\n%s\nepoch 00112233445566ff 1\ntime 2026-11-30T08:00:00.000Z\n' % root).encode()
        signature, public = k.client().sign_record('log', good)
        # The key was made on its first use, for its owner alone, and stays.
        self.assertEqual(os.stat(made).st_mode & 0o777, 0o600)
        self.assertEqual(keyd.run('openssl', 'pkey', '-in', made, '-pubout'), public.decode())
        keyd.run('openssl', 'pkeyutl', '-verify', '-pubin', '-inkey', self.save('public', public), '-rawin', '-in', self.save('signed', good),
                 '-sigfile', self.save('signature', signature))
        self.assertEqual(k.client().sign_record('log', good), [signature, public])
        for bad in (good[:-1], good + b'x\n', good.replace(b'\n7\n', b'\n07\n'), good.replace(b'provd.records/', b'else.records/'), b'DSSEv1 1 a 1 b',
                    good.replace(b'08:00:00.000Z', b'08:00:00Z'), good.upper(), os.urandom(100)):
            self.refused('invalid', 'checkpoint', k.client().sign_record, 'log', bad)
        self.refused('forbidden', 'signs checkpoints and nothing else', k.client().sign, 'log', good)
        self.refused('forbidden', 'signs documents and nothing else', k.client().sign_record, 'records', good)
        self.refused('invalid', 'not of the kind ed25519', k.client().sign_record, 'wrong', good)
        self.refused('not-found', "no signer 'else'", k.client().sign_record, 'else', good)
        self.refused('protocol', 'checkpoint', k.client().sign_record, 'log', good * 4)


class Tokens(Base):
    def token(self, kind=('EC', 'ec_paramgen_curve:P-256'), **more):
        t = keyd.SoftToken(self.home, **more)
        a = keyd.Authority(self.home, kind=kind)
        t.import_key(a.key, 'issuer', 'a1')
        os.unlink(a.key)
        a.key, a.pin = t.uri('issuer'), t.pin
        return t, a

    def test_each_kind_of_key_in_a_token(self):
        for kind in (('EC', 'ec_paramgen_curve:P-256'), ('EC', 'ec_paramgen_curve:P-384'), ('ED25519',), ('RSA', 'rsa_keygen_bits:2048')):
            with self.subTest(kind):
                home, self.home = self.home, tempfile.mkdtemp(dir=self.home)
                t, a = self.token(kind, reset_on_fork=kind[0] == 'RSA')
                self.start('issuers:\n' + a.yaml(['idevid']), t.env)
                der, _ = self.keyd.client().certify('ca', 'idevid', keyd.Device(self.home).csr, VALUES)
                self.verify(der, a)
                self.keyd.stop()
                self.home = home

    def test_a_key_in_a_token_signs_checkpoints(self):
        t, a = self.token(('ED25519',))
        public = self.save('log.pem', keyd.run('openssl', 'x509', '-in', a.cert, '-noout', '-pubkey'))
        pin = self.save('pin', keyd.SoftToken.PIN + '\n')
        os.chmod(pin, 0o600)
        k = self.start('signers:\n  log: {key: %r, signs: checkpoints, public: %s, pin: {file: %s}}\n' % (a.key, public, pin), t.env)
        text = ('provd.records/00112233445566ff\n1\n%s=\nepoch 00112233445566ff 1\ntime 2026-11-30T08:00:00.000Z\n' % ('A' * 43)).encode()
        signature, _ = k.client().sign_record('log', text)
        keyd.run('openssl', 'pkeyutl', '-verify', '-pubin', '-inkey', public, '-rawin', '-in', self.save('signed', text),
                 '-sigfile', self.save('signature', signature))

    def test_a_key_that_was_made_in_the_token_and_never_left_it(self):
        t = keyd.SoftToken(self.home)
        t.p11('--keypairgen', '--key-type', 'EC:prime256v1', '--label', 'issuer', '--id', 'a1')
        self.assertIn('sensitive, always sensitive, never extractable, local', t.p11('--list-objects', '--type', 'privkey'))
        a = keyd.Authority(self.home, key=False)
        # GnuTLS asks the token for the request of the authority itself.
        template = self.save('ca.tmpl', 'cn = "Factory CA"\n')
        csr = os.path.join(self.home, 'ca.csr')
        keyd.run('certtool', '--generate-request', '--load-privkey', t.uri('issuer') + ';type=private', '--load-pubkey', t.uri('issuer') + ';type=public',
                 '--template', template, '--outfile', csr, '--hash', 'SHA256', env=dict(t.tool_env, GNUTLS_PIN=t.PIN))
        a.certify_csr(csr)
        a.key, a.pin = t.uri('issuer'), t.pin
        self.start('issuers:\n' + a.yaml(['idevid']), t.env)
        self.verify(self.keyd.client().certify('ca', 'idevid', keyd.Device(self.home).csr, VALUES)[0], a)
        self.assertRegex(line.read(self.keyd.log), 'signed: issuer ca, profile idevid@1, serial number 51[0-9a-f]{30}, for test')
        self.assertNotIn(keyd.SoftToken.PIN, line.read(self.keyd.log))

    def test_a_token_by_its_module(self):
        t, a = self.token()
        a.key += '?module-path=' + keyd.SoftToken.MODULE
        self.start('issuers:\n' + a.yaml(['idevid']), t.env)
        self.verify(self.keyd.client().certify('ca', 'idevid', keyd.Device(self.home).csr, VALUES)[0], a)

    def test_a_wrong_pin_is_tried_once(self):
        t, a = self.token()
        self.save('token-pin', 'wrong\n')
        self.start('issuers:\n' + a.yaml(['idevid']), t.env)
        csr = keyd.Device(self.home).csr
        c = self.keyd.client()
        for _ in range(3):
            self.refused('token-pin', 'not tried again', c.certify, 'ca', 'idevid', csr, VALUES)
        self.save('token-pin', keyd.SoftToken.PIN + '\n')
        self.assertEqual(len(c.certify('ca', 'idevid', csr, VALUES)), 2)

    def test_a_token_that_was_not_there_at_the_start(self):
        t, a = self.token()
        hidden = t.tokens + '.away'
        os.rename(t.tokens, hidden)
        os.mkdir(t.tokens)
        self.start('issuers:\n' + a.yaml(['idevid']), t.env)
        csr = keyd.Device(self.home).csr
        self.refused('token-gone', 'no token', self.keyd.client().certify, 'ca', 'idevid', csr, VALUES)
        self.assertIn('no token', line.read(self.keyd.log))

    def pullable(self):
        t, a = self.token()
        a.key += '?module-path=' + os.path.join(line.build_dir(), 'sim', 'token', 'switch_token.so')
        self.switch = os.path.join(self.home, 'switch')
        self.start('issuers:\n' + a.yaml(['idevid']), dict(t.env, PROVSIM_TOKEN_SWITCH=self.switch))
        return a

    def test_a_token_that_is_pulled_and_comes_back(self):
        a = self.pullable()
        csr = keyd.Device(self.home).csr
        c = self.keyd.client()
        for _ in range(3):
            self.verify(c.certify('ca', 'idevid', csr, VALUES)[0], a)
            self.save('switch', 'gone')
            for _ in range(2):
                self.refused('token-gone', '', c.certify, 'ca', 'idevid', csr, VALUES)
            os.unlink(self.switch)
        self.verify(c.certify('ca', 'idevid', csr, VALUES)[0], a)

    def test_a_token_that_is_pulled_for_a_moment_between_two_signatures(self):
        a = self.pullable()
        c = self.keyd.client()
        csr = keyd.Device(self.home).csr
        c.certify('ca', 'idevid', csr, VALUES)
        self.save('switch', 'gone')
        self.refused('token-gone', '', self.keyd.client().certify, 'ca', 'idevid', csr, VALUES)
        os.unlink(self.switch)
        self.verify(c.certify('ca', 'idevid', csr, VALUES)[0], a)

    def test_a_locked_pin_is_not_asked_again(self):
        self.pullable()
        self.save('switch', 'gone')
        csr = keyd.Device(self.home).csr
        self.refused('token-gone', '', self.keyd.client().certify, 'ca', 'idevid', csr, VALUES)
        self.save('switch', 'locked')
        self.refused('token-pin', 'has locked its PIN', self.keyd.client().certify, 'ca', 'idevid', csr, VALUES)
        os.unlink(self.switch)
        self.refused('token-pin', 'was wrong before', self.keyd.client().certify, 'ca', 'idevid', csr, VALUES)

    def test_a_module_that_hangs_holds_up_nobody_else(self):
        self.pullable()
        csr = keyd.Device(self.home).csr
        self.save('switch', 'hang')
        hanging = threading.Thread(target=lambda: self.keyd.client().certify('ca', 'idevid', csr, VALUES))
        hanging.start()
        self.assertIn(b'"ca"', self.keyd.client().issuers())
        os.unlink(self.switch)
        hanging.join()

    def test_a_master_in_a_token(self):
        t = keyd.SoftToken(self.home)
        t.p11('--keygen', '--key-type', 'AES:32', '--label', 'fleet', '--id', 'b1', '--sensitive')
        self.start("masters:\n  fleet: {key: '%s', pin: {file: %s}}\n" % (t.uri('fleet'), t.pin), t.env)
        c = self.keyd.client()
        one = c.derive('fleet', 'storage', b'SN-1', 32)
        self.assertEqual((len(one), one == c.derive('fleet', 'storage', b'SN-1', 32), one == c.derive('fleet', 'storage', b'SN-2', 32)), (32, True, False))


if __name__ == '__main__':
    line.main()
