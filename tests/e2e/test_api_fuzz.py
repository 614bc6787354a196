#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Requests that no one means, made from the OpenAPI document: valid, nearly valid and hostile ones. None is answered with a 5xx, each
that is refused says why, and a body that is refused says where; provd lives, and ends without a leak.

    test_api_fuzz.py [BUILD] [--requests N] [--seed S] [--threads N]

With a sanitizer build a leak or a race makes provd's exit status non-zero.
"""
import argparse
import collections
import functools
import http.client
import json
import os
import random
import re
import socket
import string
import sys
import threading
import time

import line

UUID = '01900000-0000-7000-8000-000000000000'
RECIPE = '''
recipe: fuzz
version: 1
unit: {model: m, serial: {from: job, pattern: '^S\\d+$'}}
ports: {console: {kind: tty}}
params: {a: {type: string, default: x}, n: {type: integer, default: 3}}
steps:
  - id: look
    action: operator.prompt
    with: {text: 'Green? ${params.a}'}
'''
NUMBERS = (0, -1, 1, 2**31, 2**63 - 1, 2**63, -2**63, 2**64, 10**30, 1.5, -0.0, 1e308, 5e-324)
TEXTS = ('', ' ', 'x', 'A' * 300, 'A' * 70000, '../../etc/passwd', "';--", '${unit.serial}', '%s%n', '\x01', '\x00',
         '\ud7ff', '\U0001f600', 'a/b', '.', '..', 'true', 'null', '2030-01-01T00:00:00Z', '{seq:06}', '{date:%Y}{seq:9}',
         '(?:(((', '(a+)+$', '\\', '"')
HEADERS = ('If-Match', 'If-None-Match', 'Idempotency-Key', 'Last-Event-ID', 'Origin', 'Cookie', 'Content-Type', 'Accept',
           'Range', 'Expect', 'X-Request-Id', 'Host', 'Authorization', 'Content-Encoding', 'Upgrade')


class Fuzz:
    """One thread's requests; the same seed makes the same ones."""

    def __init__(self, seed, provd, things, ops, doc):
        self.r = random.Random(seed)
        self.provd, self.things, self.ops, self.doc = provd, things, ops, doc
        self.token = provd.token
        self.statuses = collections.Counter()
        self.bad = []
        self.connection = None

    def word(self):
        r = self.r
        k = r.random()
        if k < 0.4:
            return r.choice(TEXTS)
        if k < 0.6:
            return r.choice(self.things)
        if k < 0.8:
            return ''.join(r.choice(string.printable) for _ in range(r.randint(0, 40)))
        return r.randbytes(r.randint(0, 60)).decode('latin-1')

    def value(self, depth=0):
        r = self.r
        k = r.random()
        if k < 0.3:
            return r.choice(NUMBERS)
        if k < 0.65:
            return self.word()
        if k < 0.75:
            return r.choice((None, True, False))
        if depth > 4:
            return 0
        if k < 0.87:
            return [self.value(depth + 1) for _ in range(r.randint(0, 4))]
        return {self.word()[:50]: self.value(depth + 1) for _ in range(r.randint(0, 4))}

    def mutated(self, body):
        """A valid body with one or two members wrong."""
        body = json.loads(json.dumps(body))
        for _ in range(self.r.randint(0, 2)):
            key = self.r.choice(list(body) or ['x'])
            k = self.r.random()
            if k < 0.6:
                body[key] = self.value()
            elif k < 0.8:
                body.pop(key, None)
            else:
                body[self.word()[:40]] = self.value()
        return body

    def body(self, method, path):
        r = self.r
        k = r.random()
        if k < 0.1:
            return None
        if k < 0.2:
            return r.randbytes(r.randint(0, 3000))
        if k < 0.25:
            return r.choice(('[', '{"a":')) * r.randint(1, 3000)
        if k < 0.4:
            return json.dumps(self.value()).encode('utf-8', 'surrogatepass')
        own = self.doc.body(method, path)
        text = json.dumps(self.mutated(own if own and r.random() < .7 else r.choice([b for p, b in BODIES if p in path] or [b for _, b in BODIES])))
        if k < 0.5 and text:
            at = r.randrange(len(text))
            text = text[:at] + r.choice(string.printable) + text[at + r.randint(0, 2):]
        if k < 0.55:
            text = text[:r.randint(0, len(text))]
        return text.encode('utf-8', 'surrogatepass')

    def recipe(self):
        """The YAML of a recipe with some of its characters changed."""
        text = list(RECIPE)
        for _ in range(self.r.randint(0, 6)):
            text[self.r.randrange(len(text))] = self.r.choice(string.printable + '\u00e9&*!')
        return ''.join(text).encode()

    def quote(self, s):
        safe = string.ascii_letters + string.digits + "-._~:@!$'()*,;="
        return ''.join(c if c in safe else ''.join('%%%02X' % b for b in c.encode('utf-8', 'surrogatepass')) for c in s)

    def query(self, method, template):
        """The parameters that the document names, mostly; and values that it names, often."""
        r = self.r
        known = self.doc.query(method, template)
        names = known if known and r.random() < .8 else [(n, ()) for n in QUERIES]
        chosen = [r.choice(names) for _ in range(r.randint(1, 4))]
        return '?' + '&'.join('%s=%s' % (n, self.quote(r.choice(some) if some and r.random() < .7 else str(
            r.choice(NUMBERS)) if r.random() < .4 else self.word()[:200])) for n, some in chosen)

    def path(self, method, template):
        r = self.r
        out = template
        for name in re.findall('{[a-z0-9_]+}', template):
            verbs = ('pause', 'resume', 'stop', 'abort', 'cancel', 'approve', 'retire', 'release', 'scrap', 'start',
                     'abort', 'clear')
            while name in out:
                v = r.choice(verbs) if name == '{action}' and r.random() < .8 else self.word()[:400]
                if name == '{version}' and r.random() < .7:
                    v = '1'
                out = out.replace(name, self.quote(v) or 'x', 1)
        if r.random() < 0.3:
            out += self.query(method, template)
        if r.random() < 0.03:
            out = '/' + self.quote(self.word()[:300])
        return out

    def request(self):
        r = self.r
        method, template = r.choice(self.ops)
        if r.random() < 0.05:
            method = r.choice(('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'X'))
        headers = {'Authorization': 'Bearer ' + self.token, 'Content-Type': 'application/json'}
        for _ in range(r.choice((0, 0, 0, 1, 2, 5))):
            value = ''.join(c for c in self.word()[:300] if ' ' <= c < '\x7f')
            headers[r.choice(HEADERS)] = value
        if r.random() < 0.3 and method in ('PATCH', 'PUT'):
            headers['If-Match'] = r.choice(('*', '"1"', '"%d"' % r.choice((2, 3, 2**63)), 'x'))
        body = self.body(method, template) if method not in ('GET', 'DELETE') or r.random() < 0.05 else None
        if 'recipes' in template and method in ('POST', 'PUT') and r.random() < 0.5:
            headers['Content-Type'], body = 'application/yaml', self.recipe()
        if headers.get('Accept', '').startswith('text/event-stream'):
            headers.pop('Accept')
        return method, self.path(method, template), body, headers

    def send(self, method, path, body, headers):
        if self.connection is None:
            self.connection = http.client.HTTPConnection('127.0.0.1', self.provd.port, timeout=30)
        try:
            self.connection.request(method, path, body, headers)
        except (BrokenPipeError, ConnectionResetError):
            pass
        r = self.connection.getresponse()
        data = r.read()
        if r.headers.get('Connection', '').lower() == 'close':
            self.close()
        return r.status, data

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def raw(self):
        """Bytes that are hardly HTTP."""
        r = self.r
        head = b'GET /api/v1/stations HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ' + self.token.encode() + b'\r\n'
        k = r.randrange(6)
        data = (r.randbytes(r.randint(1, 2000)), head + r.randbytes(r.randint(1, 500)) + b'\r\n\r\n',
                head.replace(b'GET', b'POST') + b'Content-Length: %d\r\n\r\n{' % r.choice((5, 2**64, 2**63, 10**25)),
                head.replace(b'GET', b'POST') + b'Transfer-Encoding: chunked\r\n\r\n' + r.choice((
                    b'zz\r\n', b'ffffffffffffffffff\r\nx', b'5\r\nabc\r\n0\r\n\r\n', b'-1\r\n')),
                head + b'X: ' + b'y' * r.randint(1, 60000) + b'\r\n\r\n',
                b'GET ' + b'/' * r.randint(1, 60000) + b' HTTP/1.1\r\n\r\n')[k]
        with socket.create_connection(('127.0.0.1', self.provd.port), timeout=2) as s:
            s.settimeout(0.02)
            try:
                s.sendall(data)
                if s.recv(64).startswith(b'HTTP/1.1 5'):
                    self.note('raw %r' % data[:200], 500, s.recv(400))
            except OSError:
                pass
        self.statuses['raw'] += 1

    def note(self, what, status, data):
        if len(self.bad) < 10:
            self.bad.append('%s: %s %r' % (what, status, data[:300]))

    @staticmethod
    def says_where(status, problem, path):
        """A body that is refused has the place; a file has none, and a key of the header is named."""
        return status != 422 or problem.get('errors') or '/artifacts' in path or 'idempotency key' in problem['detail']

    def one(self):
        if self.r.random() < 0.01:
            return self.raw()
        request = self.request()
        try:
            status, data = self.send(*request)
        except http.client.UnknownProtocol:
            self.close()
            return self.note('%s %s' % request[:2], 'not HTTP', b'')
        except (http.client.HTTPException, OSError, ValueError) as e:
            # The server may close a connection whose request it refused; it must not be gone.
            self.close()
            self.statuses[type(e).__name__] += 1
            return None
        self.statuses[status] += 1
        if status >= 500:
            self.note('%s %s %r %s' % (request[0], request[1][:300], (request[2] or b'')[:300], request[3]), status, data)
        elif status >= 400 and data and request[0] != 'HEAD':
            try:
                problem = json.loads(data)
                if not problem['code'] or not problem['detail'] or 'sqlite' in problem['detail'] or not self.says_where(status, problem, request[1]):
                    self.note('%s %s %r' % (request[0], request[1][:300], (request[2] or b'')[:300]), status, data)
            except (ValueError, KeyError, TypeError):
                # What libmicrohttpd itself refuses comes as its own page; for a cookie that ends within its quotes
                # it sends the header twice, and the second time is read as the page.
                if not data.startswith((b'<html>', b'HTTP/1.1 431 ')):
                    self.note('%s %s' % request[:2], status, data)
        return None

    def run(self, n):
        for _ in range(n):
            self.one()
        self.close()


class Document:
    """What the OpenAPI document says of each operation."""

    def __init__(self, doc):
        self.doc = doc
        self.of = {(m.upper(), path): op for path, item in doc['paths'].items() for m, op in item.items()}

    def resolved(self, o):
        while '$ref' in o:
            o = functools.reduce(lambda d, k: d[k], o['$ref'][2:].split('/'), self.doc)
        return o

    def query(self, method, path):
        """[(name, values that it names)]"""
        params = map(self.resolved, self.of.get((method, path), {}).get('parameters', ()))
        return [(p['name'], p['schema'].get('enum', ())) for p in params if p['in'] == 'query']

    def body(self, method, path):
        """Its example; None: it has none."""
        content = self.resolved(self.of.get((method, path), {}).get('requestBody', {})).get('content', {}).get('application/json', {})
        return content.get('example')


QUERIES = ('limit', 'cursor', 'after', 'state', 'station', 'from', 'to', 'serial', 'name', 'job_id', 'kind', 'bound')
BODIES = (
    ('/jobs', {'recipe': 'fuzz', 'serials': ['S1', 'S2'], 'priority': 3, 'stations': ['A1'], 'params': {'a': 'b', 'n': 4},
               'deadline': '2030-01-01T00:00:00Z', 'external_ref': 'r'}),
    ('/jobs/{id}', {'priority': 1, 'quantity': 3, 'stations': ['A2'], 'deadline': None}),
    ('/pools', {'id': 'p', 'kind': 'serial', 'pattern': 'SN{date:%Y%m%d}{seq:06}', 'first': 1, 'last': 99, 'check': 'luhn'}),
    ('/pools', {'id': 'q', 'kind': 'license', 'values': ['a', 'b']}),
    ('/values', {'values': ['c', 'd']}),
    ('/answer', {'answer': 'yes'}),
    ('/tokens', {'name': 'n', 'role': 'viewer'}),
    ('/session', {'token': 'pvd_0123456789abcdef_' + '0' * 48}),
    ('/units', {'reason': 'because'}),
    ('/recipes', {'recipe': 'j', 'version': 1, 'ports': {'c': {'kind': 'tty'}}, 'artifacts': {'a': 'x.bin'}, 'steps': [
        {'id': 's', 'action': 'console.measure', 'with': {'port': 'c', 'send': 'x ${params.p}', 'low': 1, 'high': '2'},
         'retry': {'attempts': 2, 'on': ['timeout']}, 'when': '${params.p} == 3', 'timeout': '3s'}],
        'params': {'p': {'type': 'integer', 'default': 3}}}),
)


def main():
    p = argparse.ArgumentParser()
    p.add_argument('build', nargs='?')
    p.add_argument('--requests', type=int, default=int(os.environ.get('PROVD_FUZZ_REQUESTS', '10000')))
    p.add_argument('--threads', type=int, default=4)
    p.add_argument('--seed', type=int, default=int(os.environ.get('PROVD_SEED', time.time_ns() % 1000000)))
    o = p.parse_args()
    if o.build:
        os.environ['PROVD_BUILD'] = os.path.abspath(o.build)
    print('seed %d' % o.seed, flush=True)
    with line.Line(2, boards=2) as l:
        l.start()
        l.put_recipe(RECIPE)
        job = l.api.post('/jobs', {'recipe': 'fuzz', 'serials': ['S%d' % i for i in range(100, 110)]})['id']
        prompts = line.wait_for('a question', lambda: l.api.get('/prompts?state=open')['items'])
        run = l.api.get('/runs')['items'][0]
        things = ['A1', 'A2', 'A3', job, run['id'], run['serial'] or 'S1', UUID, 'fuzz', 'p', 'q', '0' * 64, prompts[0]['id']]
        doc = Document(l.api.get('/openapi.json'))
        ops = list(doc.of) + [('POST', '/api/v1/jobs')] * 12 + \
            [('POST', '/api/v1/recipes/check')] * 8 + [('POST', '/api/v1/pools')] * 4
        # Our own key must live.
        fuzzers = [Fuzz(o.seed + i, l.provd, things, ops, doc) for i in range(o.threads)]
        threads = [threading.Thread(target=f.run, args=(o.requests // o.threads,)) for f in fuzzers]
        begun = time.monotonic()
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        took = time.monotonic() - begun
        statuses = sum((f.statuses for f in fuzzers), collections.Counter())
        bad = [b for f in fuzzers for b in f.bad]
        alive = l.provd.process.poll() is None
        if alive:
            l.api.close()  # idle connections are closed after 30 s
            if l.api.request('GET', '/stations').status != 200:
                bad.append('it does not serve any more')
            for j in l.api.all('/jobs'):
                if j['state'] in ('queued', 'running', 'paused'):
                    l.api.request('POST', '/jobs/%s/actions/abort' % j['id'], headers=line.ANY)
            status = l.provd.term(120)
            if status != 0:
                bad.append('exit status %d at SIGTERM\n%s' % (status, l.provd.log_tail()))
        else:
            bad.append('provd died with %s\n%s' % (l.provd.process.returncode, l.provd.log_tail()))
        log = l.provd.log_tail(1 << 20)
        for word in ('runtime error:', 'ERROR: AddressSanitizer', 'ERROR: LeakSanitizer', 'WARNING: ThreadSanitizer'):
            if word in log:
                bad.append('%s in the log\n%s' % (word, log[log.index(word):][:3000]))
        print('%d requests in %.0f s: %s' % (sum(statuses.values()), took, ', '.join(
            '%s %d' % s for s in sorted(statuses.items(), key=lambda s: -s[1]))))
        for b in bad:
            print('FAILED: ' + b)
        return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
