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
import signal
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
        fails(good.replace(a.chain, a.key), 'are neither certificates in PEM')
        fails('signers:\n  a: {key: %s}\n  b: {key: %s, signs: checkpoints}\n' % (other.key, other.key), "signer 'a' has the same key")
        fails(good + 'signers:\n  a: {key: %s}\n' % a.key, "issuer 'ca' has the same key")
        leaf = keyd.Authority(self.home, 'leaf', ca=False)
        fails('issuers:\n' + leaf.yaml(['idevid']), 'may not issue others')
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

    def test_a_child_whose_parent_has_ended_does_not_stay(self):
        a = keyd.Authority(self.home)
        config = self.save('provd.yaml', 'profiles: %s\nissuers:\n%s' % (PROFILES, a.yaml(['idevid'])))
        gone = subprocess.Popen(['true'])
        gone.wait()
        argv = [line.binary('provd-keyd'), '--config', config, '--socket', os.path.join(self.home, 's'), '--child', str(gone.pid)]
        p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        self.assertIn('process %d, which --child names, is not the one that started this' % gone.pid, p.stdout)
        self.assertGreaterEqual(p.returncode, 64)
        # Who starts it again says what it was told, and hears it once; another reason is said.
        p2 = subprocess.run([*argv, '--told', str(p.returncode)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        self.assertEqual((p2.returncode, p2.stdout), (p.returncode, ''))
        p2 = subprocess.run([*argv[:-1], str(os.getpid()), '--told', str(p.returncode), '--config', '/nonexistent'], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, timeout=60)
        self.assertIn('/nonexistent', p2.stdout)

    def test_files_that_are_replaced_while_it_runs_count_after_a_restart_and_only_together(self):
        old = keyd.Authority(self.home)
        new = keyd.Authority(self.home, 'new')
        k = self.start('issuers:\n' + old.yaml(['idevid']))
        csr = keyd.Device(self.home).csr
        shutil.copy(new.chain, old.chain)
        # What was read at the start is used: certificate and key belong together.
        der, chain = k.client().certify('ca', 'idevid', csr, VALUES)
        self.verify(der, old)
        self.assertEqual(chain.decode(), line.read(old.cert) + line.read(old.root))
        k.stop()
        k.start()
        self.refused('invalid', 'does not belong to the public key', k.client().certify, 'ca', 'idevid', csr, VALUES)
        self.assertIn('does not belong to the public key', json.loads(k.client().issuers())[0]['problem'])
        # The key as well: it is read at the next use, since it was not open.
        shutil.copy(new.key, old.key)
        self.verify(k.client().certify('ca', 'idevid', csr, VALUES)[0], new)

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

    def test_a_key_in_the_file_of_a_certificate_goes_nowhere(self):
        a = keyd.Authority(self.home)
        line.write(a.chain, line.read(a.key) + line.read(a.chain))
        k = self.start('issuers:\n' + a.yaml(['idevid']))
        _, chain = k.client().certify('ca', 'idevid', keyd.Device(self.home).csr, VALUES)
        self.assertEqual((chain.count(b'BEGIN CERTIFICATE'), chain.count(b'BEGIN')), (2, 2))

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
        a, p256 = keyd.Authority(self.home), keyd.Authority(self.home, 'p256')
        made = os.path.join(self.home, 'log.key')
        k = self.start('signers:\n  records: {key: %s}\n  log: {key: %s, signs: checkpoints}\n  wrong: {key: %s, signs: checkpoints}\n' % (a.key, made, p256.key))
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


class UnitKeys(Base):
    """Keys that provd-keyd makes for units which cannot."""

    def spki(self, key):
        return keyd.run('openssl', 'pkey', '-pubin', '-inform', 'DER', '-in', key, '-text', '-noout') if isinstance(key, str) else \
            keyd.run('openssl', 'pkey', '-pubin', '-inform', 'DER', '-in', self.save('spki', key), '-text', '-noout')

    def verify_request(self, der, public, subject):
        path = self.save('request.der', der)
        out = keyd.run('openssl', 'req', '-inform', 'DER', '-in', path, '-verify', '-noout', '-subject', '-nameopt', 'RFC2253')
        self.assertIn('verify OK', out)
        self.assertIn(subject, out)
        pem = keyd.run('openssl', 'req', '-inform', 'DER', '-in', path, '-pubkey', '-noout')
        self.assertEqual(keyd.run('openssl', 'pkey', '-pubin', '-text', '-noout', stdin=pem), self.spki(public))

    def test_a_key_of_memory_is_handed_out_once(self):
        a = keyd.Authority(self.home)
        self.start('issuers:\n' + a.yaml(['idevid']))
        c = self.keyd.client()
        for alg in ('p256', 'p384', 'ed25519', 'rsa2048'):
            with self.subTest(alg):
                name, public, before = c.make_key(alg)
                self.assertFalse(before)
                self.verify_request(c.request(name, 'O=Example,CN=a\\,b'), public, 'CN=a\\,b,O=Example')
                private = self.save('private.der', c.take_key(name))
                out = keyd.run('openssl', 'pkey', '-inform', 'DER', '-in', private, '-pubout', '-outform', 'PEM')
                self.assertEqual(keyd.run('openssl', 'pkey', '-pubin', '-text', '-noout', stdin=out), self.spki(public))
                for call in (c.take_key, lambda n: c.request(n, 'CN=a')):
                    self.refused('not-found', 'was handed out before', call, name)
        self.assertEqual(line.read(self.keyd.log).count('handed out: key memory/'), 4)
        self.refused('invalid', 'is not a kind of key', c.make_key, 'p257')
        name = c.make_key('p256')[0]
        self.refused('invalid', 'is not a name such as', c.request, name, 'no name')
        # The oldest of too many is gone, the newest are there.
        names = [c.make_key('p256')[0] for _ in range(256)]
        self.refused('not-found', 'there is no key', c.take_key, name)
        self.assertTrue(c.take_key(names[0]))
        self.keyd.stop()
        self.keyd.start()
        self.refused('not-found', 'was started again', self.keyd.client().take_key, names[1])

    def store(self, room):
        t = keyd.SoftToken(self.home, 'units')
        module = os.path.join(line.build_dir(), 'sim', 'token', 'switch_token.so')
        self.start("stores:\n  units: {key: 'pkcs11:token=units?module-path=%s', pin: {file: %s}}\n" % (module, t.pin),
                   dict(t.env, PROVSIM_TOKEN_ROOM=str(room)))
        return t

    def test_a_key_of_a_token_never_leaves_it(self):
        t = self.store(3)
        c = self.keyd.client()
        name, public, before = c.make_key('p256', 'units', 'SN-1')
        self.assertEqual((name, before), ('units/SN-1', False))
        self.verify_request(c.request(name, 'CN=SN-1'), public, 'CN=SN-1')
        listed = t.p11('--list-objects', '--type', 'privkey')
        self.assertIn('label:      SN-1', listed)
        self.assertIn('sensitive, always sensitive, never extractable, local', listed)
        self.refused('unsupported', 'does not give it out', c.take_key, name)
        # The same unit again, also after a restart; another unit has another key.
        self.keyd.stop()
        self.keyd.start()
        c = self.keyd.client()
        self.assertEqual(c.make_key('p256', 'units', 'SN-1'), (name, public, True))
        self.verify_request(c.request(name, 'CN=SN-1'), public, 'CN=SN-1')
        self.refused('conflict', 'of another kind than p384', c.make_key, 'p384', 'units', 'SN-1')
        _, second, _ = c.make_key('p384', 'units', 'SN-2')
        self.verify_request(c.request('units/SN-2', 'CN=SN-2'), second, 'CN=SN-2')
        self.refused('not-found', "no key 'SN-9'", c.request, 'units/SN-9', 'CN=a')
        self.refused('not-found', "no store 'else'", c.make_key, 'p256', 'else', 'SN-1')
        self.refused('unsupported', 'p256 or p384 expected', c.make_key, 'ed25519', 'units', 'SN-3')
        self.refused('invalid', 'has a label of 1 to 64', c.make_key, 'p256', 'units', '')

    def exec(self, *words):
        """A step on a bench: its outputs, or the code of its error."""
        p = subprocess.run([line.binary('provctl'), '--json', 'exec', *words], env=dict(os.environ, PROVD_KEYD_SOCKET=self.keyd.socket), stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
        got = json.loads(p.stdout) if p.stdout else None
        return got['steps'][0]['outputs'] if p.returncode == 0 else p.stdout + p.stderr

    def test_the_steps_on_a_bench(self):
        self.store(1)
        made = self.exec('key.generate', 'in=token', 'store=units', 'label=SN-1')
        self.assertEqual(made['name'], 'units/SN-1')
        csr = self.exec('key.csr', 'name=units/SN-1', 'subject=CN=SN-1,O=Example', 'public_key=' + made['public_key'])
        self.assertEqual(csr['key'], made['key'])
        out = keyd.run('openssl', 'req', '-verify', '-noout', '-subject', '-nameopt', 'RFC2253', stdin=csr['csr'])
        self.assertIn('verify OK', out)
        self.assertIn('O=Example,CN=SN-1', out)
        self.assertIn('token-full', self.exec('key.generate', 'in=token', 'store=units', 'label=SN-2'))
        for words, part in ((('key.generate',), "'port' is needed"), (('key.generate', 'in=token', 'store=units'), "needs 'store'"),
                            (('key.generate', 'in=memory', 'label=x'), "are for 'in: token'"), (('key.csr', 'subject=CN=a'), 'one of the two')):
            self.assertIn(part, self.exec(*words))

    def test_a_token_that_is_full(self):
        t = self.store(2)
        c = self.keyd.client()
        for n in (1, 2):
            c.make_key('p256', 'units', 'SN-%d' % n)
        self.refused('token-full', "no room for the key 'SN-3'", c.make_key, 'p256', 'units', 'SN-3')
        self.assertTrue(c.make_key('p256', 'units', 'SN-2')[2])
        t.p11('--delete-object', '--type', 'privkey', '--label', 'SN-1')
        self.assertFalse(c.make_key('p256', 'units', 'SN-3')[2])

    def test_a_store_is_a_token_by_itself(self):
        for uri, part in (('/etc/keys', 'without an object'), ('pkcs11:token=x;object=y', 'without an object')):
            config = self.save('bad.yaml', "profiles: %s\nstores:\n  units: {key: '%s', pin: {file: /x}}\n" % (PROFILES, uri))
            self.assertIn(part, keyd.run(line.binary('provd-keyd'), '--config', config, '--check', ok=False))


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

    def test_all_that_names_a_key_has_to_fit(self):
        t, a = self.token()
        t.import_key(keyd.Authority(self.home, 'second').key, 'other', 'a2')
        a.key = t.uri('issuer') + ';id=%a2'
        out = keyd.run(line.binary('provd-keyd'), '--config', self.save('both.yaml', 'profiles: %s\nissuers:\n%s' % (PROFILES, a.yaml(['idevid']))),
                       '--check', ok=False, env=t.env)
        self.assertIn('the token has no key', out)

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
            self.refused('pin-refused', 'not tried again', c.certify, 'ca', 'idevid', csr, VALUES)
        self.save('token-pin', keyd.SoftToken.PIN + '\n')
        self.assertEqual(len(c.certify('ca', 'idevid', csr, VALUES)), 2)

    def counted(self, keys=8):
        """A token that counts the tries of its PIN and locks itself after three; so many issuers have their key there."""
        t = keyd.SoftToken(self.home)
        self.switch, self.tries = os.path.join(self.home, 'switch'), os.path.join(self.home, 'tries')
        issuers = []
        for n in range(keys):
            a = keyd.Authority(self.home, 'ca%d' % n)
            t.import_key(a.key, 'issuer%d' % n, 'a%d' % n)
            os.unlink(a.key)
            a.key, a.pin = t.uri('issuer%d' % n) + '?module-path=' + self.module(), t.pin
            issuers.append(a)
        self.yaml = 'issuers:\n' + ''.join(a.yaml(['idevid']) for a in issuers)
        self.env = dict(t.env, PROVSIM_TOKEN_SWITCH=self.switch, PROVSIM_TOKEN_TRIES=self.tries)

    def module(self):
        return os.path.join(line.build_dir(), 'sim', 'token', 'switch_token.so')

    def tried(self):
        """How many logins came to the token, and how many tries it has left."""
        left, tried = line.read(self.tries).split()
        return int(tried), int(left)

    def ask_all(self, n, code):
        """All issuers at the same moment."""
        csr = keyd.Device(self.home).csr
        got, lock = [], threading.Lock()

        def ask(i):
            try:
                self.keyd.client().certify('ca%d' % i, 'idevid', csr, VALUES)
                said = None
            except keyd.Refused as e:
                said = e.code
            with lock:
                got.append(said)
        threads = [threading.Thread(target=ask, args=(i,)) for i in range(n)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(set(got), {code})

    def test_a_wrong_pin_costs_one_try_whatever_the_number_of_keys_and_starts(self):
        self.counted()
        self.save('token-pin', 'wrong\n')
        self.start(self.yaml, self.env)
        self.ask_all(8, 'pin-refused')
        self.assertEqual(self.tried(), (1, 2))
        for _ in range(3):
            self.keyd.stop()
            self.keyd.start()
            self.ask_all(8, 'pin-refused')
        self.assertEqual(self.tried(), (1, 2))
        self.assertNotIn('wrong', line.read(os.path.join(self.keyd.state, 'refused-pins')))
        # The file changes, and so is tried: a wrong one once more, which leaves the last try; that is nobody's here.
        self.save('token-pin', 'wrong again\n')
        self.ask_all(8, 'pin-refused')
        self.assertEqual(self.tried(), (2, 1))
        self.save('token-pin', keyd.SoftToken.PIN + '\n')
        csr = keyd.Device(self.home).csr
        self.refused('pin-refused', 'has one try of its PIN left', self.keyd.client().certify, 'ca0', 'idevid', csr, VALUES)
        self.assertEqual(self.tried(), (2, 1))
        # A person logs in: the count begins again, and all keys work.
        line.write(self.tries, '3 2\n')
        self.ask_all(8, None)
        self.assertEqual(self.tried(), (3, 3))
        self.assertEqual(line.read(os.path.join(self.keyd.state, 'refused-pins')), '')

    def test_a_locked_token_is_not_tried_by_its_flag(self):
        self.counted(keys=1)
        line.write(self.tries, '0 3\n')
        self.start(self.yaml, self.env)
        csr = keyd.Device(self.home).csr
        self.refused('pin-locked', 'has locked its PIN', self.keyd.client().certify, 'ca0', 'idevid', csr, VALUES)
        self.assertEqual(self.tried(), (3, 0))
        line.write(self.tries, '3 3\n')
        self.ask_all(1, None)

    def test_a_pin_of_a_credential_that_is_written_anew_is_not_tried_again(self):
        self.counted(keys=1)
        folder = tempfile.mkdtemp(dir=self.home)
        self.yaml = re.sub("pin: {file: '.*'}", 'pin: {credential: hsm}', self.yaml)
        self.env['CREDENTIALS_DIRECTORY'] = folder

        def put(pin):
            path = os.path.join(folder, 'hsm')
            if os.path.exists(path):
                os.unlink(path)
            line.write(path, pin + '\n')
            os.chmod(path, 0o600)
        put('wrong')
        self.start(self.yaml, self.env)
        self.ask_all(1, 'pin-refused')
        self.keyd.stop()
        put('wrong')
        self.keyd.start()
        self.ask_all(1, 'pin-refused')
        self.assertEqual(self.tried(), (1, 2))
        self.keyd.stop()
        put(keyd.SoftToken.PIN)
        self.keyd.start()
        self.ask_all(1, None)

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
        self.refused('pin-locked', 'has locked its PIN', self.keyd.client().certify, 'ca', 'idevid', csr, VALUES)
        os.unlink(self.switch)
        self.refused('pin-locked', 'is not tried', self.keyd.client().certify, 'ca', 'idevid', csr, VALUES)

    def test_a_module_that_hangs_holds_up_nobody_else(self):
        self.pullable()
        csr = keyd.Device(self.home).csr
        self.keyd.client().certify('ca', 'idevid', csr, VALUES)
        self.save('switch', 'hang')
        hanging = threading.Thread(target=lambda: self.keyd.client().certify('ca', 'idevid', csr, VALUES))
        hanging.start()
        self.assertIn(b'"ca"', self.keyd.client().issuers())
        os.unlink(self.switch)
        hanging.join()

    def test_a_module_that_hangs_while_its_key_is_opened_does_not_hold_up_the_list(self):
        t, a = self.token()
        a.key += '?module-path=' + self.module()
        self.switch = self.save('switch', 'hang')
        other = keyd.Authority(self.home, 'other')
        self.start('issuers:\n' + a.yaml(['idevid']) + other.yaml(['idevid']), dict(t.env, PROVSIM_TOKEN_SWITCH=self.switch))
        listed = {i['name']: i for i in json.loads(self.keyd.client().issuers())}
        self.assertIn('is being opened', listed['ca']['problem'])
        self.assertEqual((listed['ca']['ready'], listed['other']['ready']), (False, True))
        csr = keyd.Device(self.home).csr
        self.assertEqual(len(self.keyd.client().certify('other', 'idevid', csr, VALUES)), 2)
        os.unlink(self.switch)
        self.assertEqual(len(self.keyd.client().certify('ca', 'idevid', csr, VALUES)), 2)

    def beside(self):
        """An issuer in a token that can be pulled, and one in a file."""
        t, a = self.token()
        a.key += '?module-path=' + self.module()
        self.switch = os.path.join(self.home, 'switch')
        other = keyd.Authority(self.home, 'other')
        self.start('issuers:\n' + a.yaml(['idevid']) + other.yaml(['idevid']), dict(t.env, PROVSIM_TOKEN_SWITCH=self.switch))
        csr = keyd.Device(self.home).csr
        self.keyd.client().certify('ca', 'idevid', csr, VALUES)
        return csr

    def alone_for_a_while(self, csr, again):
        """After it was started again: the token is left alone, the other issuer goes on, and later both do."""
        os.unlink(self.switch)
        self.refused('token-gone', 'is left alone for another', self.keyd.client().certify, 'ca', 'idevid', csr, VALUES)
        self.assertEqual(len(self.keyd.client().certify('other', 'idevid', csr, VALUES)), 2)
        path = os.path.join(self.keyd.state, 'failed-tokens')
        self.keyd.stop()
        stamp, key = line.read(path).splitlines()[-1].split(' ', 1)
        line.write(path, '%d %s\n' % (int(stamp) - 61000, key))
        self.keyd.start()
        self.assertEqual(len(self.keyd.client().certify('ca', 'idevid', csr, VALUES)), 2)
        self.assertFalse(os.path.exists(path))

    def test_a_module_that_crashes_tells_who_asked_and_leaves_the_others(self):
        csr = self.beside()
        self.save('switch', 'crash')
        self.refused('token-gone', 'crashed', self.keyd.client().certify, 'ca', 'idevid', csr, VALUES)
        self.assertEqual(self.keyd.proc.wait(30), -signal.SIGSEGV)
        self.keyd.start()
        self.alone_for_a_while(csr, 'crash')

    def test_a_module_that_crashes_at_each_look_leaves_the_others(self):
        csr = self.beside()
        self.keyd.stop()
        self.save('switch', 'crash-open')
        self.keyd.start(wait=False)
        self.assertEqual(self.keyd.proc.wait(30), -signal.SIGSEGV)
        self.keyd.start()
        self.assertEqual(len(self.keyd.client().certify('other', 'idevid', csr, VALUES)), 2)
        self.alone_for_a_while(csr, 'crash-open')

    def test_a_module_that_hangs_is_given_up_and_tells_who_asked(self):
        csr = self.beside()
        self.save('switch', 'hang')
        self.refused('token-gone', 'does not come back', self.keyd.client().certify, 'ca', 'idevid', csr, VALUES)
        self.assertEqual(self.keyd.proc.wait(30), 4)
        self.keyd.start()
        self.alone_for_a_while(csr, 'hang')

    def test_a_master_in_a_token(self):
        t = keyd.SoftToken(self.home)
        t.p11('--keygen', '--key-type', 'AES:32', '--label', 'fleet', '--id', 'b1', '--sensitive')
        self.start("masters:\n  fleet: {key: '%s', pin: {file: %s}}\n" % (t.uri('fleet'), t.pin), t.env)
        c = self.keyd.client()
        one = c.derive('fleet', 'storage', b'SN-1', 32)
        self.assertEqual((len(one), one == c.derive('fleet', 'storage', b'SN-1', 32), one == c.derive('fleet', 'storage', b'SN-2', 32)), (32, True, False))


if __name__ == '__main__':
    line.main()
