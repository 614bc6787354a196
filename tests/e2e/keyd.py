# SPDX-License-Identifier: Apache-2.0
"""provd-keyd and certificates for tests: a client of its wire that shares no code with it, an authority made by
openssl, and a token made by softhsm2-util."""
import os
import socket
import struct
import subprocess

import line

# Attributes that openssl's commands do not know by their numbers.
OIDS = 'oid_section=oids\n[oids]\nmatterVendor=1.3.6.1.4.1.37244.2.1\n'
ISSUERS, CHECK, CERTIFY, DERIVE, SIGN, MAKE_KEY, REQUEST, TAKE_KEY, SIGN_RECORD = 1, 2, 3, 4, 5, 6, 7, 8, 9


def run(*argv, stdin=None, env=None, ok=True):
    p = subprocess.run(argv, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, text=isinstance(stdin, str) or stdin is None)
    if ok and p.returncode:
        raise AssertionError('%s: %s' % (' '.join(argv), p.stdout))
    return p.stdout


def text(s):
    b = s.encode()
    return struct.pack('>I', len(b)) + b


def blob(b):
    return struct.pack('>I', len(b)) + b


class Refused(Exception):
    def __init__(self, code, message):
        super().__init__('%s: %s' % (code, message))
        self.code, self.message = code, message


class Client:
    """One connection."""

    def __init__(self, path):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(30)
        self.s.connect(path)

    def close(self):
        self.s.close()

    __del__ = close

    def take(self, n):
        got = b''
        while len(got) < n:
            more = self.s.recv(n - len(got))
            if not more:
                raise EOFError('the connection ended')
            got += more
        return got

    def raw(self, body):
        self.s.sendall(struct.pack('>I', len(body)) + body)
        body = self.take(struct.unpack('>I', self.take(4))[0])
        fields, at = [], 1
        while at < len(body):
            n = struct.unpack_from('>I', body, at)[0]
            fields.append(body[at + 4:at + 4 + n])
            at += 4 + n
        if body[0]:
            raise Refused(fields[0].decode(), fields[1].decode())
        return fields

    def issuers(self):
        return self.raw(bytes([ISSUERS]))[0]

    def certify(self, issuer, profile, csr, values='{}', serial=None, op=CERTIFY):
        body = bytes([op]) + text(issuer) + text(profile) + blob(csr) + blob(serial or b'\x51' + os.urandom(15)) + text(values) + text('test')
        return self.raw(body)

    def derive(self, master, label, context, n):
        return self.raw(bytes([DERIVE]) + text(master) + text(label) + blob(context) + struct.pack('>Q', n) + text('test'))[0]

    def make_key(self, alg, store='', label=''):
        """The name of the key, its public key (DER), and whether it was there before: a number has no length."""
        body = bytes([MAKE_KEY]) + text(store) + text(alg) + text(label) + text('test')
        self.s.sendall(struct.pack('>I', len(body)) + body)
        body = self.take(struct.unpack('>I', self.take(4))[0])
        n = struct.unpack_from('>I', body, 1)[0]
        first = body[5:5 + n]
        m = struct.unpack_from('>I', body, 5 + n)[0]
        second = body[9 + n:9 + n + m]
        if body[0]:
            raise Refused(first.decode(), second.decode())
        return first.decode(), second, struct.unpack_from('>Q', body, 9 + n + m)[0] == 1

    def request(self, name, subject):
        return self.raw(bytes([REQUEST]) + text(name) + text(subject) + text('test'))[0]

    def take_key(self, name):
        return self.raw(bytes([TAKE_KEY]) + text(name) + text('test'))[0]

    def sign(self, key, record):
        return self.raw(bytes([SIGN]) + text(key) + blob(record) + text('test'))

    def sign_record(self, key, checkpoint):
        return self.raw(bytes([SIGN_RECORD]) + text(key) + blob(checkpoint) + text('test'))


class Keyd:
    """The program, with what it holds in a directory of its own."""

    def __init__(self, home, config, env=None):
        self.home, self.config = home, config
        self.socket = os.path.join(home, 'keyd.sock')
        self.state = os.path.join(home, 'keyd-state')
        self.log = os.path.join(home, 'keyd.log')
        self.env = dict(os.environ, **(env or {}))
        self.proc = None

    def argv(self, *more):
        return [line.binary('provd-keyd'), '--config', self.config, *more]

    def start(self, wait=True):
        with open(self.log, 'a') as log:
            self.proc = subprocess.Popen(self.argv('--socket', self.socket, '--state', self.state), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                         stderr=log, env=self.env, preexec_fn=line._with_parent)
        if wait:
            line.wait_for('provd-keyd answers', self.answers)
        return self

    def answers(self):
        if self.proc.poll() is not None:
            raise AssertionError('provd-keyd ended: ' + line.read(self.log))
        try:
            self.client().close()
            return True
        except OSError:
            return False

    def client(self):
        return Client(self.socket)

    def stop(self):
        if self.proc and self.proc.poll() is None:
            self.proc.terminate()
            self.proc.wait(30)


class Authority:
    """A root and an issuer under it, made by openssl; keys of P-256 unless another kind is named."""

    def __init__(self, home, name='ca', kind=('EC', 'ec_paramgen_curve:P-256'), passphrase=None, subject='/O=Example/CN=Factory CA',
                 dates=(), key=True, ca=True):
        self.home, self.name, self.ca = home, name, ca
        path = lambda x: os.path.join(home, name + '-' + x)
        self.root_key, self.root = path('root.key'), path('root.pem')
        self.key, self.cert, self.chain, self.pin = path('key.pem'), path('cert.pem'), path('chain.pem'), path('pin')
        run('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384', '-nodes', '-keyout', self.root_key, '-out', self.root,
            '-days', '20000', '-subj', '/O=Example/CN=Root', '-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign,cRLSign')
        if key:
            run('openssl', 'genpkey', '-algorithm', kind[0], *(['-pkeyopt', kind[1]] if len(kind) > 1 else []), '-out', self.key + '.clear')
            if passphrase:
                line.write(self.pin, passphrase + '\n')
                os.chmod(self.pin, 0o600)
                run('openssl', 'pkcs8', '-topk8', '-in', self.key + '.clear', '-out', self.key, '-passout', 'file:' + self.pin)
                os.unlink(self.key + '.clear')
            else:
                os.rename(self.key + '.clear', self.key)
            os.chmod(self.key, 0o600)
            self.certify(subject, dates, ['-key', self.key] + (['-passin', 'file:' + self.pin] if passphrase else []))

    def certify(self, subject, dates, key, env=None):
        csr = os.path.join(self.home, self.name + '-csr.pem')
        conf = os.path.join(self.home, self.name + '-req.conf')
        line.write(conf, OIDS + '[req]\ndistinguished_name=dn\n[dn]\n')
        run('openssl', 'req', '-new', '-config', conf, *key, '-subj', subject, '-out', csr, env=env)
        self.certify_csr(csr, dates)

    def certify_csr(self, csr, dates=()):
        ext = os.path.join(self.home, self.name + '-ext')
        may = 'CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign' if self.ca else 'CA:FALSE\nkeyUsage=critical,digitalSignature'
        line.write(ext, 'basicConstraints=critical,' + may + '\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n')
        conf = os.path.join(self.home, self.name + '-ca.conf')
        line.write(conf, OIDS + '[ca]\ndefault_ca=d\n[d]\nnew_certs_dir=%s\ndatabase=%s/db\nserial=%s/serial\ndefault_md=sha256\npolicy=p\n'
                   '[p]\nO=optional\nCN=supplied\nmatterVendor=optional\n' % (self.home, self.home, self.home))
        line.write(os.path.join(self.home, 'db'), '')
        line.write(os.path.join(self.home, 'serial'), '%02X\n' % (1 + len(os.listdir(self.home))))
        run('openssl', 'ca', '-batch', '-notext', '-config', conf, '-in', csr, '-cert', self.root, '-keyfile', self.root_key, '-out', self.cert, '-preserveDN',
            '-extfile', ext, *(dates or ('-days', '7300')))
        line.write(self.chain, line.read(self.cert) + line.read(self.root))

    def yaml(self, profiles):
        pin = "    pin: {file: '%s'}\n" % self.pin if os.path.exists(self.pin) else ''
        return "  %s:\n    certificate: %s\n    key: '%s'\n%s    profiles: [%s]\n" % (self.name, self.chain, self.key, pin, ', '.join(profiles))


class Device:
    """A key that a unit made, and its request."""

    def __init__(self, home, subject='/', kind=('EC', 'ec_paramgen_curve:P-256'), extensions=()):
        self.key = os.path.join(home, 'device-%d.key' % len(os.listdir(home)))
        run('openssl', 'genpkey', '-algorithm', kind[0], *(['-pkeyopt', kind[1]] if len(kind) > 1 else []), '-out', self.key)
        argv = ['openssl', 'req', '-new', '-key', self.key, '-subj', subject]
        for x in extensions:
            argv += ['-addext', x]
        self.csr = run(*argv).encode()


class SoftToken:
    """A token of SoftHSM2 in a directory of its own."""
    MODULE = '/usr/lib/softhsm/libsofthsm2.so'
    PIN = 'pin-82736455'

    def __init__(self, home, label='factory', reset_on_fork=False):
        self.home = home
        self.tokens = os.path.join(home, 'tokens')
        self.conf = os.path.join(home, 'softhsm2.conf')
        os.mkdir(self.tokens)
        line.write(self.conf, 'directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = true\nlibrary.reset_on_fork = %s\n'
                   % (self.tokens, 'true' if reset_on_fork else 'false'))
        self.env = {'SOFTHSM2_CONF': self.conf}
        self.label = label
        self.pin = os.path.join(home, 'token-pin')
        line.write(self.pin, self.PIN + '\n')
        os.chmod(self.pin, 0o600)
        self.tool_env = dict(os.environ, **self.env)
        run('softhsm2-util', '--init-token', '--free', '--label', label, '--so-pin', 'so-pin-1234', '--pin', self.PIN, env=self.tool_env)

    def p11(self, *argv):
        return run('pkcs11-tool', '--module', self.MODULE, '--token-label', self.label, '--login', '--pin', self.PIN, *argv, env=self.tool_env)

    def import_key(self, pem, name, ident):
        """The key of a PEM file, so that a request can be made with it before it is in the token alone."""
        run('softhsm2-util', '--import', pem, '--token', self.label, '--label', name, '--id', ident, '--pin', self.PIN, env=self.tool_env)

    def uri(self, name):
        return 'pkcs11:token=%s;object=%s' % (self.label, name)
