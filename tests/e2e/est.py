# SPDX-License-Identifier: Apache-2.0
"""An EST authority (RFC 7030, RFC 8951) over TLS that refuses what the standard does not have. openssl signs.

    with est.Authority(directory, issuer) as a:   # issuer: keyd.Authority
        a.fault('later')
        ... a.issued, a.requests
"""
import base64
import http.server
import os
import ssl
import threading

import cloud
import keyd
import line

USER, PASSWORD = 'line-7', 'pw-est-8c1d22'
PKCS7 = 'application/pkcs7-mime; smime-type=certs-only'


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        pass

    def answer(self, status, body=b'', kind='text/plain', **headers):
        self.send_response(status)
        if body:
            self.send_header('Content-Type', kind)
        if kind == PKCS7:
            self.send_header('Content-Transfer-Encoding', 'base64')
        for name, value in headers.items():
            self.send_header(name.replace('_', '-'), value)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.server.cloud.get(self)

    def do_POST(self):
        self.body = self.rfile.read(int(self.headers.get('Content-Length', '0')))
        self.server.cloud.post(self)


class Authority:
    def __init__(self, where, issuer, label=None):
        self.where, self.issuer, self.label = where, issuer, label
        self.requests, self.issued, self.kind = [], [], None
        self.wanted = None  # DER of CsrAttrs
        self.ca, cert, key = cloud.certificates(where, 'est')
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(cert, key)
        self.server = cloud.Server(('127.0.0.1', 0), Handler)
        self.server.cloud, self.server.tls = self, tls
        self.url = 'https://127.0.0.1:%d' % self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def fault(self, kind):
        """For the next request alone."""
        self.kind = kind

    def base(self):
        return '/.well-known/est/' + (self.label + '/' if self.label else '')

    def get(self, h):
        self.requests.append(('GET', h.path))
        if h.path == self.base() + 'csrattrs' and self.wanted is not None:
            return h.answer(200, base64.encodebytes(self.wanted), 'application/csrattrs')
        if h.path == self.base() + 'csrattrs':
            return h.answer(204)
        if h.path != self.base() + 'cacerts':
            return h.answer(404)
        h.answer(200, self.bundle(self.issuer.cert, self.issuer.root), PKCS7)

    def bundle(self, *files):
        out = os.path.join(self.where, 'bundle.p7')
        argv = ['openssl', 'crl2pkcs7', '-nocrl', '-outform', 'DER', '-out', out]
        for f in files:
            argv += ['-certfile', f]
        keyd.run(*argv)
        with open(out, 'rb') as f:
            return base64.encodebytes(f.read())

    def post(self, h):
        self.requests.append(('POST', h.path))
        kind, self.kind = self.kind, None
        if h.headers.get('Authorization') != 'Basic ' + base64.b64encode(('%s:%s' % (USER, PASSWORD)).encode()).decode():
            return h.answer(401, WWW_Authenticate='Basic realm="est"')
        if h.path not in (self.base() + 'simpleenroll', self.base() + 'simplereenroll'):
            return h.answer(404)
        if h.headers.get('Content-Type') != 'application/pkcs10':
            return h.answer(415, b'application/pkcs10 expected')
        if kind == 'later':
            return h.answer(202, b'', Retry_After='1')
        if kind == 'redirect':
            return h.answer(302, b'', Location=self.url + '/elsewhere')
        if kind == 'refuse':
            return h.answer(400, b'the key is on a list')
        if kind == 'html':
            return h.answer(200, cloud.HTML, 'text/html')
        if kind == 'no-base64':
            return h.answer(200, b'\x30\x03\x02\x01\x05', PKCS7)
        csr = os.path.join(self.where, 'est-%d.csr' % len(self.requests))
        with open(csr, 'wb') as f:
            f.write(base64.b64decode(h.body, validate=False))
        keyd.run('openssl', 'req', '-inform', 'DER', '-in', csr, '-verify', '-noout')
        if h.path.endswith('simplereenroll') and self.subject(csr, 'req') not in [self.subject(pem, 'x509') for pem in self.issued]:
            return h.answer(400, b'no certificate of that name was issued')
        if kind == 'other-key':
            other = keyd.Device(self.where)
            with open(csr, 'wb') as f:
                f.write(other.csr)
            pem = self.sign(csr, 'PEM')
        elif kind == 'other-ca':
            pem = self.sign(csr, 'DER', issuer=keyd.Authority(self.where, 'stranger'))
        elif kind == 'ca':
            pem = self.sign(csr, 'DER', 'CA:TRUE')
        elif kind == 'other-name':
            pem = self.sign(csr, 'DER', more=['-subj', '/CN=somebody else'])
        elif kind == 'no-time':
            pem = self.sign(csr, 'DER', more=['-days', '0'])
        else:
            pem = self.sign(csr, 'DER')
        self.issued.append(pem)
        if kind == 'lost':
            return h.connection.close()
        if kind == 'many':
            line.write(pem, line.read(pem) + line.read(self.issuer.cert) + line.read(self.ca) * 900)
        h.answer(200, self.bundle(pem), PKCS7)

    def want(self, *items):
        """CsrAttrs of lines of openssl's asn1parse -genconf: OID:NAME, or SEQUENCE:[OID:TYPE, SET:[...]] as nested lists."""
        lines, count = [], [0]

        def section(members):
            count[0] += 1
            name = 's%d' % count[0]
            body = ['[%s]' % name]
            for n, m in enumerate(members):
                body.append('f%d=%s' % (n, m if isinstance(m, str) else '%s:%s' % (m[0], section(m[1:]))))
            lines.extend(body)
            return name
        top = section(items)
        conf = os.path.join(self.where, 'attrs.conf')
        line.write(conf, 'asn1=SEQUENCE:%s\n%s\n' % (top, '\n'.join(lines)))
        out = os.path.join(self.where, 'attrs.der')
        keyd.run('openssl', 'asn1parse', '-genconf', conf, '-noout', '-out', out)
        with open(out, 'rb') as f:
            self.wanted = f.read()

    def subject(self, path, what):
        form = ['-inform', 'DER'] if what == 'req' else []
        return keyd.run('openssl', what, *form, '-in', path, '-noout', '-subject', '-nameopt', 'RFC2253').split('=', 1)[1]

    def sign(self, csr, form, constraints='CA:FALSE', issuer=None, more=()):
        pem, issuer = csr + '.pem', issuer or self.issuer
        keyd.run('openssl', 'x509', '-req', '-inform', form, '-in', csr, '-CA', issuer.cert, '-CAkey', issuer.key, '-CAcreateserial',
                 *('-days', '30'), *more, '-out', pem, '-extfile', self.extensions(constraints))
        return pem

    def extensions(self, constraints='CA:FALSE'):
        path = os.path.join(self.where, 'est.ext')
        line.write(path, 'basicConstraints=critical,' + constraints + '\nkeyUsage=critical,digitalSignature\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n')
        return path
