#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Events that are sent to who asked for them, or written to a folder: a receiver that comes and goes, forgets what it took, is slow, or redirects; provd killed while it sends. The
signature is verified here by Python's own hmac.

    test_webhooks.py [BUILD]
"""
import base64
import glob
import hashlib
import hmac
import http.server
import json
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest

import cloud
import line
import test_api
import test_records

SECRETS = {'one': base64.b64encode(bytes(range(32))).decode(), 'two': base64.b64encode(bytes(range(40, 80))).decode()}


class Receiver:
    """Takes messages on a port of this machine: [(id, message, signatures)]. says(message, n) gives (status, headers, body)
    for the n-th message that comes; None: 204. kept: it keeps connections, and bytes that says() gives are sent as they are before
    it closes one."""

    def __init__(self, says=None, tls=None, kept=False):
        self.got, self.says, self.lock, self.server, self.tls, self.kept = [], says, threading.Lock(), None, None, kept
        if tls:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*tls)
        self.port = 0
        self.come()

    def come(self):
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1' if self.kept else 'HTTP/1.0'

            def do_POST(self):
                receiver.take(self)

            def log_message(self, *_):
                pass

        self.server = cloud.Server(('127.0.0.1', self.port), Handler) if self.tls else \
            http.server.ThreadingHTTPServer(('127.0.0.1', self.port), Handler)
        self.server.daemon_threads = True
        self.server.tls = self.tls
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def take(self, rq):
        body = rq.rfile.read(int(rq.headers['Content-Length']))
        signed = '%s.%s.%s' % (rq.headers['webhook-id'], rq.headers['webhook-timestamp'], body.decode())
        with self.lock:
            n = len(self.got)
            self.got.append((rq.headers['webhook-id'], json.loads(body), rq.headers['webhook-signature'].split(), signed))
        answer = self.says(self.got[n][1], n) if self.says else None
        if isinstance(answer, bytes):
            rq.wfile.write(answer)
            rq.close_connection = True
            return
        status, headers, text = answer or (204, {}, b'')
        try:
            rq.send_response(status)
            for name, value in headers.items():
                rq.send_header(name, value)
            rq.send_header('Content-Length', str(len(text)))
            rq.end_headers()
            rq.wfile.write(text)
        except OSError:
            pass

    def go(self):
        self.server.shutdown()
        self.server.server_close()

    def url(self, path='/hook'):
        return 'http%s://127.0.0.1:%d%s' % ('s' if self.tls else '', self.port, path)

    def messages(self):
        with self.lock:
            return list(self.got)

    def types(self):
        return [m['type'] for _, m, _, _ in self.messages()]


def made_by(secret, signed):
    mac = hmac.new(base64.b64decode(SECRETS[secret]), signed.encode(), hashlib.sha256).digest()
    return 'v1,' + base64.b64encode(mac).decode()


class Row(line.Line):
    """provd without stations, whose events are those of pools."""

    def __init__(self, more='', allow='[127.0.0.0/8]', **kw):
        self.pools = 0
        super().__init__(stations=0, boards=0, **kw)
        for name, secret in SECRETS.items():
            line.write(os.path.join(self.home, name), 'whsec_%s\n' % secret)
        line.write(os.path.join(self.home, 'other'), 'whsec_notlongenough\n')
        self.config('webhooks: {allow: %s, timeout: 2s}\nsecrets: {one: {file: %s/one}, two: {file: %s/two},'
                    ' other: {file: %s/other}}\n%s' % (allow, self.home, self.home, self.home, more))
        self.start()

    def hook(self, receiver, **kw):
        return self.api.post('/webhooks', dict({'url': receiver.url(), 'secret': 'one'}, **kw))['id']

    def event(self):
        """One event, whose pool tells it from others."""
        self.pools += 1
        self.api.post('/pools', {'id': 'p%d' % self.pools, 'pattern': 'P%d-{seq:04}' % self.pools, 'first': 1, 'last': 9})
        return 'p%d' % self.pools

    def about(self, receiver):
        return [m['data'].get('pool') for _, m, _, _ in receiver.messages() if m['type'] == 'pool-created']

    def failed(self, hook):
        """The oldest delivery that was tried and waits."""
        tried = [d for d in self.deliveries(hook, state='waiting') if d['attempts'] > 0]
        return tried[-1] if tried else None

    def now(self, hook, **change):
        """What waits for a time is tried now, as after each change."""
        self.api.ok('PATCH', '/webhooks/' + hook, dict(change or {'types': []}), {'If-Match': '*'})

    def reload(self):
        self.provd.process.send_signal(signal.SIGHUP)
        line.wait_for('it is read', lambda: 'read again' in self.provd.log_text())

    def db_has(self, sql):
        with self.provd.db() as d:
            return d.execute(sql).fetchone() is not None

    def deliveries(self, hook, **query):
        return self.api.get('/webhooks/%s/deliveries?%s' % (hook, '&'.join('%s=%s' % q for q in query.items())))['items']


class Sending(unittest.TestCase):
    def test_a_message_is_signed_as_anybody_can_verify(self):
        with Row() as l:
            r = Receiver()
            hook = l.hook(r, types=['pool-*'])
            l.event()
            line.wait_for('a message', r.messages)
            id_, message, signatures, signed = r.messages()[0]
            self.assertEqual(signatures, [made_by('one', signed)])
            self.assertEqual((message['type'], message['data']['pool']), ('pool-created', 'p1'))
            l.api.post('/webhooks/%s/actions/rotate' % hook, {'secret': 'two'})
            l.event()
            line.wait_for('a second one', lambda: len(r.messages()) == 2)
            _, _, signatures, signed = r.messages()[1]
            self.assertEqual(signatures, [made_by('two', signed), made_by('one', signed)])
            self.assertNotEqual(r.messages()[1][0], id_)

    def test_the_receiver_of_the_manual_takes_what_is_signed_and_nothing_else(self):
        page = line.read(os.path.join(line.ROOT, 'docs', 'integrator.md'))
        script = page[page.index('```python\n# a receiver of webhooks') + 10:]
        script = script[:script.index('```')]
        with Row() as l:
            r = Receiver()
            r.go()
            env = dict(os.environ, PORT=str(r.port), SECRET=line.read(os.path.join(l.home, 'one')).strip())
            p = subprocess.Popen([sys.executable, '-c', script], env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            try:
                good, bad = l.hook(r), l.hook(r, secret='two')
                l.event()
                line.wait_for('it listens', lambda: l.now(good) or l.deliveries(good, state='done'))
                self.assertEqual(p.stdout.readline(), 'pool-created\n')
                l.now(bad)
                line.wait_for('it refuses', lambda: l.failed(bad) and l.failed(bad)['status'])
                self.assertEqual(l.failed(bad)['status'], 401)
            finally:
                p.kill()
                p.communicate()

    def test_what_it_took_and_did_not_say_so_comes_again_under_its_id_and_in_order(self):
        with Row() as l:
            r = Receiver(lambda m, n: (500, {}, b'I lost my head') if n == 0 else None)
            hook = l.hook(r)
            for _ in range(3):
                l.event()
            line.wait_for('a failure', lambda: l.failed(hook))
            self.assertEqual((l.failed(hook)['status'], l.failed(hook)['answer']), (500, 'I lost my head'))
            l.now(hook)
            line.wait_for('all of them', lambda: l.about(r)[-1:] == ['p3'])
            self.assertEqual(l.about(r), ['p1', 'p1', 'p2', 'p3'])
            first, again = [x[0] for x in r.messages() if x[1]['data'].get('pool') == 'p1']
            self.assertEqual(first, again)
            # Away: what is told meanwhile waits, and comes when it is there again.
            r.go()
            for _ in range(3):
                l.event()
            line.wait_for('it was tried', lambda: 'accepts no connection' in (l.failed(hook) or {'message': ''})['message'])
            r.come()
            l.now(hook)
            line.wait_for('the rest', lambda: l.about(r)[-1:] == ['p6'])
            self.assertEqual(l.about(r), ['p1', 'p1', 'p2', 'p3', 'p4', 'p5', 'p6'])

    def test_what_it_refuses_stops_its_own_order_and_no_other(self):
        with Row() as l:
            r = Receiver(lambda m, n: (400, {}, b'') if m['type'] == 'pool-created' else None)
            hook = l.hook(r)
            l.event()
            l.event()
            for n in range(3):
                l.put_firmware(line.firmware(seed=n), 'f%d.bin' % n)
            line.wait_for('the others', lambda: r.types().count('artifact-added') == 3)
            self.assertEqual(set(l.about(r)), {'p1'})
            line.wait_for('two wait', lambda: l.api.get('/webhooks/' + hook)['waiting'] == 2)

    def test_killed_while_it_sends_the_same_id_comes_again_and_nothing_is_left_out(self):
        with Row() as l:
            hold = threading.Event()
            r = Receiver(lambda m, n: hold.wait(line.DEADLINE_S) and None if n == 0 else None)
            l.hook(r, types=['pool-created'])
            for _ in range(3):
                l.event()
            line.wait_for('it takes one', r.messages)
            l.provd.kill()
            hold.set()
            l.start()
            l.event()
            line.wait_for('all of them', lambda: l.about(r)[-1:] == ['p4'])
            self.assertEqual(l.about(r), ['p1', 'p1', 'p2', 'p3', 'p4'])
            self.assertEqual(r.messages()[0][0], r.messages()[1][0])
            self.assertEqual(len({x[0] for x in r.messages()}), 4)
            self.assertEqual(l.found_in_records(), [])

    def test_a_kept_connection_that_breaks_at_any_byte_costs_no_message(self):
        answer = b'HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n'
        cut = [answer[:n] for n in (0, 5, 20, 30, len(answer) - 2)]
        with Row() as l:
            # Each message comes until its answer is whole; each second answer is cut, the next one of them later.
            r = Receiver(lambda m, n: cut[n // 2 % len(cut)] if n % 2 else None, kept=True)
            hook = l.hook(r, types=['pool-created'])
            pools = [l.event() for _ in range(2 * len(cut))]
            line.wait_for('all of them', lambda: l.now(hook, types=['pool-created']) or
                          not l.deliveries(hook, state='waiting') and len(l.deliveries(hook, state='done')) == len(pools))
            whole = [m['data']['pool'] for n, (_, m, _, _) in enumerate(r.messages()) if n % 2 == 0]
            self.assertEqual(list(dict.fromkeys(whole)), pools)
            ids = {(m['data']['pool'], id_) for id_, m, _, _ in r.messages()}
            self.assertEqual(len(ids), len(pools))

    def test_a_slow_receiver_delays_nobody_else(self):
        with Row() as l:
            hold = threading.Event()
            slow = Receiver(lambda m, n: hold.wait(line.DEADLINE_S) and None)
            quick = Receiver()
            l.config('webhooks: {allow: [127.0.0.1], timeout: 60s}\nsecrets: {one: {file: %s/one}}\n' % l.home)
            l.reload()
            for r in (slow, quick):
                l.hook(r, types=['pool-created'])
            for _ in range(20):
                l.event()
            line.wait_for('the quick one has all', lambda: len(quick.messages()) == 20)
            self.assertEqual(len(slow.messages()), 1)
            hold.set()
            line.wait_for('the slow one as well', lambda: len(slow.messages()) == 20)
            self.assertEqual(l.about(slow), l.about(quick))


class Clock(unittest.TestCase):
    @unittest.skipIf(line.sanitized(), 'the sanitizer must be the first library')
    def test_a_clock_that_jumps_puts_nothing_aside_and_floods_nobody(self):
        with tempfile.TemporaryDirectory() as where:
            so, src, offset = (os.path.join(where, x) for x in ('shim.so', 'shim.c', 'offset'))
            line.write(src, test_records.SHIM)
            line.write(offset, '0')
            subprocess.run(['cc', '-shared', '-fPIC', '-o', so, src], check=True)
            with Row(wrap=['env', 'LD_PRELOAD=' + so, 'TEST_CLOCK_OFFSET=' + offset]) as l:
                r = Receiver()
                r.go()
                hook = l.hook(r, types=['pool-created'])
                for years in (0, 10, -10):
                    line.write(offset + '.new', str(years * 365 * 86400))
                    os.rename(offset + '.new', offset)
                    l.event()
                    tried = l.failed(hook)['attempts'] if l.failed(hook) else 0
                    l.now(hook)
                    line.wait_for('it is tried', lambda: l.failed(hook) and l.failed(hook)['attempts'] > tried)
                self.assertTrue(l.api.get('/webhooks/' + hook)['enabled'])
                self.assertLess(l.failed(hook)['attempts'], 30)
                r.come()
                l.now(hook)
                line.wait_for('all of them', lambda: l.about(r)[-1:] == ['p3'])
                self.assertEqual(l.about(r), ['p1', 'p2', 'p3'])


class Limits(unittest.TestCase):
    def test_where_nothing_may_go_nothing_goes(self):
        with Row(allow='[mes.example.com, 192.0.2.0/24]') as l:
            secret = Receiver()
            for url in ('http://127.0.0.1:%d/' % secret.port, 'https://user:pw@mes.example.com/', 'ftp://mes.example.com/',
                        'http://mes.example.com/', 'https://mes.example.com/?to=1', 'https://10.0.0.1/', 'https://[::1]/',
                        'https://2130706433/'):
                a = l.api.request('POST', '/webhooks', {'url': url, 'secret': 'one'})
                self.assertEqual((a.status, a.json['errors'][0]['pointer']), (422, '/url'), url)
            # A name that resolves to where it may not: known once the connection is made.
            hook = l.api.post('/webhooks', {'url': 'https://localhost:%d/x' % secret.port, 'secret': 'one'})['id']
            l.api.post('/webhooks/%s/actions/test' % hook)
            line.wait_for('it was tried', lambda: l.failed(hook))
            self.assertRegex(l.failed(hook)['message'], "is (127.0.0.1|::1), which 'webhooks' of provd.yaml does not allow")
            self.assertEqual(secret.messages(), [])
            for body, pointer in (({'secret': 'other'}, '/secret'), ({'secret': 'nobody'}, '/secret'), ({'types': ['Run']}, '/types/0'),
                                  ({'types': ['*-x']}, '/types/0'), ({'unknown': 1}, '/unknown')):
                a = l.api.request('POST', '/webhooks', dict({'url': 'https://192.0.2.1/', 'secret': 'one'}, **body))
                self.assertEqual((a.status, a.json['errors'][0]['pointer']), (422, pointer), body)
            viewer = l.provd.api(l.api.post('/tokens', {'name': 'wall', 'role': 'viewer'})['token'])
            self.assertEqual(viewer.request('GET', '/webhooks').status, 403)

    def test_a_receiver_is_who_its_certificate_says(self):
        with Row() as l:
            ca, cert, key = cloud.certificates(l.home, 'right')
            r = Receiver(tls=(cert, key))
            hook = l.hook(r)
            l.event()
            line.wait_for('it was tried', lambda: l.failed(hook))
            self.assertIn('is not trusted', l.failed(hook)['message'])
            self.assertEqual(r.messages(), [])
            l.config('webhooks: {allow: [127.0.0.1], ca: %s}\nsecrets: {one: {file: %s/one}}\n' % (ca, l.home))
            l.reload()
            l.now(hook)
            line.wait_for('it is trusted', lambda: l.about(r) == ['p1'])

    def test_a_redirect_is_not_followed_and_410_is_the_end(self):
        with Row() as l:
            target = Receiver()
            r = Receiver(lambda m, n: (302, {'Location': target.url()}, b''))
            hook = l.hook(r)
            l.event()
            line.wait_for('it was tried', lambda: l.failed(hook))
            self.assertEqual((l.failed(hook)['status'], target.messages()), (302, []))
            r.says = lambda m, n: (410, {}, b'')
            l.now(hook)
            line.wait_for('it is disabled', lambda: not l.api.get('/webhooks/' + hook)['enabled'])
            self.assertIn('410', l.api.get('/webhooks/' + hook)['reason'])
            l.event()
            r.says = None
            before = len(r.messages())
            l.now(hook, enabled=True)
            line.wait_for('it goes on', lambda: l.about(r)[-1:] == ['p2'])
            self.assertEqual(l.about(r)[before:], ['p1', 'p2'])
            # The end of the second one is on record after it came.
            sent = line.wait_for('both are done', lambda: (lambda d: d if len(d) == 2 else None)(l.deliveries(hook, state='done')))[0]
            schema = test_api.Schema(l.api.get('/openapi.json'))
            self.assertEqual(schema.errors(l.api.get('/webhooks'), {'$ref': '#/components/schemas/WebhookList'}), [])
            self.assertEqual(schema.errors(l.api.get('/webhooks/%s/deliveries' % hook), {'$ref': '#/components/schemas/DeliveryList'}), [])
            l.api.post('/webhooks/%s/deliveries/%d/actions/redeliver' % (hook, sent['n']))
            line.wait_for('once more', lambda: [x[0] for x in r.messages()].count(sent['id']) == 2)
            l.api.ok('DELETE', '/webhooks/' + hook)
            self.assertEqual(l.api.request('GET', '/webhooks/%s/deliveries' % hook).status, 404)

    def test_provctl_does_what_the_api_does(self):
        with Row() as l:
            r = Receiver(lambda m, n: (500, {}, b'') if n == 0 else None)

            def ctl(*words):
                p = l.provctl('--json', 'webhook', *words)
                self.assertEqual(p.returncode, 0, p)
                return json.loads(p.stdout)['items'] if p.stdout.startswith('{') else p.stdout
            made, = ctl('add', r.url(), '--secret', 'one', '--types', 'pool-*,run-finished')
            self.assertEqual(made['types'], ['pool-*', 'run-finished'])
            l.event()
            line.wait_for('it was tried', lambda: l.failed(made['id']))
            self.assertEqual([d['status'] for d in ctl('deliveries', made['id'], '--state', 'waiting')], [500])
            ctl('rotate', made['id'], '--secret', 'two', '--overlap', '1h')
            ctl('test', made['id'])
            line.wait_for('both', lambda: len(l.deliveries(made['id'], state='done')) == 2)
            ctl('redeliver', made['id'], str(l.deliveries(made['id'])[-1]['n']))
            line.wait_for('again', lambda: len(r.messages()) == 4)
            self.assertIn(r.url(), l.provctl('webhook', 'list').stdout)
            ctl('delete', made['id'])
            self.assertEqual(ctl('list'), [])
            self.assertEqual(l.provctl('webhook', 'add', 'https://10.0.0.1/', '--secret', 'one').returncode, 2)

    def test_a_secret_that_comes_back_in_an_answer_is_nowhere(self):
        with Row() as l:
            text = 'whsec_' + SECRETS['one']
            r = Receiver(lambda m, n: (503, {}, ('<%s>' % text).encode() * 100))
            hook = l.hook(r)
            l.event()
            line.wait_for('it was tried', lambda: l.failed(hook))
            self.assertTrue(l.failed(hook)['answer'].startswith('<[secret]>'))
            self.assertLessEqual(len(l.failed(hook)['answer']), 200)
            l.provd.term()
            for path in glob.glob(os.path.join(l.home, 'state', '*')) + [l.provd.log_path]:
                if os.path.isfile(path):
                    with open(path, 'rb') as f:
                        self.assertNotIn(SECRETS['one'].encode(), f.read(), path)
            l.start()


class Spool(unittest.TestCase):
    def test_files_come_in_order_and_wait_for_a_folder_that_is_away(self):
        with Row() as l:
            spool = os.path.join(l.home, 'spool')
            os.mkdir(spool)
            l.config('spool: {dir: %s, types: [pool-*, job-created]}\n' % spool)
            l.provd.stop()
            l.start()
            line.wait_for('it has begun', lambda: l.db_has('SELECT 1 FROM spool'))

            def files():
                return sorted(f for f in os.listdir(spool) if f.endswith('.json'))

            for _ in range(3):
                l.event()
            l.api.post('/tokens', {'name': 'other', 'role': 'viewer'})
            line.wait_for('three files', lambda: len(files()) == 3)
            events = [e for e in l.api.all('/events') if e['type'].startswith('pool-')]
            for name, e in zip(files(), events):
                self.assertEqual(name, '%016d-%s.json' % (e['seq'], e['type']))
                message = json.loads(line.read(os.path.join(spool, name)))
                self.assertEqual((message['seq'], message['data'], message['timestamp']), (e['seq'], e['data'], e['at']))
                os.unlink(os.path.join(spool, name))
            # Gone, then no folder: nothing is lost meanwhile, also not by a kill.
            os.rmdir(spool)
            line.write(spool, '')
            l.event()
            line.wait_for('it is said', lambda: l.db_has('SELECT 1 FROM spool WHERE message IS NOT NULL'))
            l.event()
            l.provd.kill()
            l.start()
            os.unlink(spool)
            os.mkdir(spool)
            line.wait_for('what waited', lambda: len(files()) == 2)
            self.assertEqual([json.loads(line.read(os.path.join(spool, f)))['data']['pool'] for f in files()], ['p4', 'p5'])
            line.wait_for('it goes on', lambda: l.db_has('SELECT 1 FROM spool WHERE message IS NULL'))
            self.assertEqual([f for f in os.listdir(spool) if f.endswith('.part')], [])


class Backlog(unittest.TestCase):
    def test_the_line_waits_for_who_is_behind_and_goes_on_by_itself(self):
        with Row(more='outbox: {stop_after: 4, warn_after: 2}\n') as l:
            def ready():
                a = l.api.request('GET', '/readyz')
                return a.status, {h['code']: h for h in a.json['holds']}
            r = Receiver()
            r.go()
            hook = l.hook(r)
            self.assertEqual(ready(), (200, {}))
            for _ in range(5):
                l.event()
            line.wait_for('it is held', lambda: 'backlog' in ready()[1])
            status, holds = ready()
            self.assertEqual((status, holds['backlog']['stops']), (503, ['runs']))
            self.assertIn(r.url(), holds['backlog']['message'])
            self.assertIn('backlog', [h['code'] for h in l.api.get('/summary')['holds']])
            row, = l.api.get('/backlog')['items']
            self.assertEqual((row['kind'], row['name'], row['waiting'], row['level']), ('webhook', hook, 5, 'stops'))
            metrics = l.api.request('GET', '/metrics').body.decode()
            self.assertIn('provd_backlog_messages{kind="webhook",target="127.0.0.1"} 5\n', metrics)
            self.assertIn('stops', l.provctl('backlog').stdout)
            schema = test_api.Schema(l.api.get('/openapi.json'))
            self.assertEqual(schema.errors(l.api.get('/backlog'), {'$ref': '#/components/schemas/BacklogList'}), [])
            # By itself: nobody asks for it.
            r.come()
            line.wait_for('it goes on', lambda: ready() == (200, {}))
            line.wait_for('all of them', lambda: len(r.messages()) == 5)
            self.assertEqual(l.about(r), ['p1', 'p2', 'p3', 'p4', 'p5'])


if __name__ == '__main__':
    line.main()
