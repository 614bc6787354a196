#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A virtual cloud: the guide's commissioning API over TLS, which refuses what the guide does not have, and
faults that are set for one request each. `provsim cloud` runs it; a test makes one of its own:

    with cloud.Cloud(directory) as c:
        c.fault('register', 'lost')
        ... c.devices, c.requests

It needs Python and openssl alone.
"""
import argparse
import datetime
import http.server
import json
import os
import re
import ssl
import subprocess
import sys
import threading
import urllib.parse

TOKEN = 'tok-cloud-5f1c0e9a'
DEADLINE_S = float(os.environ.get('PROVD_TEST_DEADLINE', '60'))
FIELDS = {'serial_number', 'device_type', 'firmware_version', 'registered_at'}
REQUESTS = ('register', 'look-up', 'credentials', 'activate', 'state', 'echo')
FAULTS = {
    '500': '500, before any effect',
    '503': '503 and a page of HTML with Retry-After: 1, before any effect',
    '429': '429 with Retry-After: 1, before any effect',
    'html': '200 and a page to log in, before any effect',
    'refused': '422, before any effect',
    'lost': 'it is done, and the connection closes without an answer',
    'hang': 'it is done, and no answer comes',
    'late': 'it is done only when nobody waits any more',
    '500-after': 'it is done, and 500',
    '409': 'it is done, and 409',
    'html-after': 'it is done, and a page to log in',
    'huge': 'it is done, and the answer has 2 MB',
    'cut': 'it is done, and the answer breaks off',
    'slow': 'it is done, and a byte of the answer comes now and then, for ever',
    'redirect': 'it is done, and 307',
    'duplicate': 'it is done twice',
}
HTML = b'<!DOCTYPE html><html><body>Please log in</body></html>'


def openssl(*args):
    subprocess.run(['openssl', *args], check=True, capture_output=True, timeout=DEADLINE_S)


def certificates(where, name):
    """A certificate authority of that name and a certificate for 127.0.0.1: (CA file, certificate and key)."""
    ca, key, request, cert = (os.path.join(where, name + x) for x in ('-ca.pem', '.key', '.csr', '.pem'))
    ca_key, ext = os.path.join(where, name + '-ca.key'), os.path.join(where, name + '.ext')
    curve = ('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes')
    openssl('req', '-x509', *curve, '-keyout', ca_key, '-out', ca, '-days', '2', '-subj', '/CN=' + name)
    openssl('req', *curve, '-keyout', key, '-out', request, '-subj', '/CN=cloud')
    with open(ext, 'w') as f:
        f.write('subjectAltName=IP:127.0.0.1\n')
    openssl('x509', '-req', '-in', request, '-CA', ca, '-CAkey', ca_key, '-CAcreateserial', '-days', '2',
            '-extfile', ext, '-out', cert)
    return ca, cert, key


class Server(http.server.ThreadingHTTPServer):
    """The handshake is each connection's own: one that hangs keeps no other."""
    daemon_threads = True
    tls = cloud = None

    def finish_request(self, request, client_address):
        try:
            with self.tls.wrap_socket(request, server_side=True) as wrapped:
                self.RequestHandlerClass(wrapped, client_address, self)
        except OSError:
            pass


class Cloud:
    def __init__(self, where, port=0):
        self.devices, self.requests, self.faults = [], [], {}
        self.say = lambda text: None    # of each request
        self.lock = threading.Lock()
        self.acted, self.release = threading.Event(), threading.Event()
        self.count = 0
        self.values = {}    # of /echo, for http.request
        self.ca, self.cert, self.key = certificates(where, 'right')
        self.other_ca = certificates(where, 'other')[0]
        self.refused = None     # a serial number that is never taken
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(self.cert, self.key)
        self.port, self.server = port, None
        self.back()
        self.url = 'https://127.0.0.1:%d/api' % self.port

    def back(self):
        self.server = Server(('127.0.0.1', self.port), Handler)
        self.server.cloud, self.server.tls = self, self.tls
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def away(self):
        """Nobody accepts a connection any more, until it is back."""
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.thread.join()
        self.server = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.release.set()
        self.away()

    def fault(self, what, kind):
        """For the next request of that kind: register, look-up, credentials, activate, state, echo."""
        self.acted.clear()
        self.release.clear()
        self.faults[what] = kind

    def ask_for_certificate(self):
        """From now on only who shows one of this authority is heard."""
        self.tls.verify_mode = ssl.CERT_REQUIRED
        self.tls.load_verify_locations(self.ca)

    def of(self, serial):
        return [d for d in self.devices if d['serial_number'] == serial]

    def add(self, serial, kind='provsim-1', **more):
        self.count += 1
        d = {'device_id': 'dev-%04d' % self.count, 'serial_number': serial, 'device_type': kind,
             'state': 'registered', 'client_secret': 'sec-%s-%04d' % (os.urandom(6).hex(), self.count), **more}
        self.devices.append(d)
        return d

    # --- the API: (status, object)

    def register(self, body, _):
        if set(body) != FIELDS or not all(isinstance(v, str) and v for v in body.values()):
            return 422, {'detail': 'fields: %s' % sorted(body)}
        datetime.datetime.fromisoformat(body['registered_at'].replace('Z', '+00:00'))
        if body['serial_number'] == self.refused:
            return 422, {'detail': 'not this serial number'}
        if self.of(body['serial_number']):
            return 409, {'detail': 'serial number exists'}
        rest = {k: body[k] for k in ('firmware_version', 'registered_at')}
        d = self.add(body['serial_number'], body['device_type'], **rest)
        return 201, {'device_id': d['device_id']}

    def look_up(self, _, query):
        (serial,) = query['serial_number']
        return 200, [shown(d) for d in self.of(serial)]

    def one(self, device_id):
        return next((d for d in self.devices if d['device_id'] == device_id), None)

    def credentials(self, device_id):
        d = self.one(device_id)
        return (200, {'client_id': 'cl-' + device_id, 'client_secret': d['client_secret']}) if d else (404, {})

    def activate(self, device_id):
        d = self.one(device_id)
        if not d:
            return 404, {}
        d['state'] = 'active'
        return 200, {}

    def state(self, device_id):
        d = self.one(device_id)
        return (200, shown(d)) if d else (404, {})


def shown(d):
    return {k: v for k, v in d.items() if k != 'client_secret'}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.serve()

    do_POST = do_GET

    def route(self, path, query, body):
        """(its name, what it does)"""
        c = self.server.cloud
        one = re.fullmatch(r'/api/devices/([\w-]+)(?:/(credentials|activate))?', path)
        if path == '/api/echo':
            return 'echo', lambda: (200, dict(c.values, got=body))
        if path == '/api/devices':
            return ('register', lambda: c.register(body, query)) if self.command == 'POST' else \
                   ('look-up', lambda: c.look_up(body, query))
        if one and self.command == ('POST' if one[2] == 'activate' else 'GET'):
            call = {'credentials': c.credentials, 'activate': c.activate, None: c.state}[one[2]]
            return one[2] or 'state', lambda: call(one[1])
        return 'none', lambda: (404, {'detail': 'no such thing'})

    def serve(self):
        c = self.server.cloud
        url = urllib.parse.urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get('Content-Length') or 0))
        self.close_connection = True
        if self.headers.get('Authorization') != 'Bearer ' + TOKEN:
            return self.answer(401, {'detail': 'no valid token'})
        name, act = self.route(url.path, urllib.parse.parse_qs(url.query), json.loads(raw) if raw else None)
        with c.lock:
            c.requests.append((name, self.headers.get('Idempotency-Key')))
            kind = c.faults.pop(name, None)
        c.say('%s %s: %s%s' % (self.command, url.path, name, ', fault ' + kind if kind else ''))
        if kind in ('500', 'html', 'refused', '429', '503'):      # before any effect
            return {'500': lambda: self.answer(500, {'detail': 'no database'}),
                    'refused': lambda: self.answer(422, {'detail': 'not\n this one'}),
                    '429': lambda: self.send(429, 'application/json', b'{}', ('Retry-After', '1')),
                    '503': lambda: self.send(503, 'text/html', HTML, ('Retry-After', '1')),
                    'html': lambda: self.send(200, 'text/html', HTML)}[kind]()
        if kind == 'late':                          # its effect comes when nobody waits any more
            c.release.wait(DEADLINE_S)
        with c.lock:
            status, o = act()
            if kind == 'duplicate':
                c.add(body_serial(raw))
        c.acted.set()
        self.spoil(kind, status, o)

    def spoil(self, kind, status, o):
        if kind == 'lost':
            return
        if kind == 'hang':
            self.server.cloud.release.wait(DEADLINE_S)
        elif kind == '500-after':
            self.answer(500, {'detail': 'lost the thread'})
        elif kind == '409':
            self.answer(409, {'detail': 'serial number exists'})
        elif kind == 'html-after':
            self.send(200, 'text/html', HTML)
        elif kind == 'huge':
            self.answer(status, dict(o, pad='x' * 2000000))
        elif kind == 'cut':
            self.wfile.write(b'HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"dev')
        elif kind == 'slow':                        # a byte now and then, for ever
            self.wfile.write(b'HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n')
            while not self.server.cloud.release.wait(0.2):
                self.wfile.write(b' ')
        elif kind == 'redirect':
            self.send(307, 'text/plain', b'', ('Location', self.server.cloud.url + '/devices'))
        else:
            self.answer(status, o)

    def answer(self, status, o):
        self.send(status, 'application/json', json.dumps(o).encode())

    def send(self, status, kind, body, *more):
        try:
            self.send_response(status)
            for name, value in (('Content-Type', kind), ('Content-Length', str(len(body))), *more):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            pass


def body_serial(raw):
    return json.loads(raw)['serial_number']


# --- provsim cloud

def parse_fault(text):
    """'register=lost'"""
    what, _, kind = text.partition('=')
    if what not in REQUESTS or kind not in FAULTS:
        raise argparse.ArgumentTypeError("'%s': REQUEST=FAULT expected, of %s and %s" % (
            text, ', '.join(REQUESTS), ', '.join(FAULTS)))
    return what, kind


def arguments(argv):
    p = argparse.ArgumentParser(
        prog='provsim cloud', formatter_class=argparse.RawDescriptionHelpFormatter,
        description="The guide's commissioning API over TLS on 127.0.0.1, to try a recipe against.",
        epilog='Each fault is for the next request of its kind:\n' + ''.join('  %-12s %s\n' % x for x in FAULTS.items()) +
        '\nA line on the standard input sets one more (register=lost), `devices` prints what is registered.')
    p.add_argument('--port', type=int, default=0, help='without it a free one')
    p.add_argument('--dir', required=True, help='its certificates and token go there')
    p.add_argument('--fault', '--faults', type=parse_fault, action='append', nargs='+', default=[], metavar='REQUEST=FAULT')
    return p.parse_args(argv)


def write_token(where):
    path = os.path.join(where, 'token')
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 'w') as f:
        f.write(TOKEN + '\n')
    return path


def obey(c, text):
    if text == 'devices':
        with c.lock:
            for d in c.devices:
                print(json.dumps(shown(d)), flush=True)
        return
    try:
        c.fault(*parse_fault(text))
    except argparse.ArgumentTypeError as e:
        print('provsim cloud: %s' % e, file=sys.stderr, flush=True)


def main(argv):
    args = arguments(argv)
    where = os.path.abspath(args.dir)
    os.makedirs(where, exist_ok=True)
    with Cloud(where, args.port) as c:
        c.say = lambda text: print(text, flush=True)
        for what, kind in [x for some in args.fault for x in some]:
            c.fault(what, kind)
        print('secrets: {cloud-token: {file: %s}}\nservices: {cloud: {url: %s, ca: %s, token: cloud-token}}' % (
            write_token(where), json.dumps(c.url), c.ca), flush=True)
        for text in sys.stdin:
            obey(c, text.strip())
        threading.Event().wait()        # without an input: until it is ended


if __name__ == '__main__':
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        pass
    except OSError as error:
        sys.exit('provsim cloud: %s' % error)
