#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Four MES clients post orders through a proxy that cuts connections at any byte, each order twice and more and in any order, while provd is
killed and the receiver of webhooks comes and goes: every order exists once, and each result arrives at least once, with one id, in the
order of its unit.

    test_mes_stress.py [BUILD] [--orders 10000 --kills 20]
"""
import argparse
import collections
import http.client
import http.server
import json
import os
import random
import socket
import sys
import threading
import time
import unittest

import line

CLIENTS = 4
STATIONS = 8
RECIPE = '''
recipe: quick
version: 1
unit: {model: m, serial: {from: job}}
ports: {console: {kind: tty, baud: 115200}}
steps:
  - id: chip
    action: device.identify
    with: {port: console, send: GET_UID, pattern: '^([0-9a-f]{24})$'}
  - id: name
    action: console.command
    with: {port: console, send: 'SET_SERIAL ${unit.serial}', expect: '^OK$', read_back: {send: GET_SERIAL, expect: '^${unit.serial}$'}}
'''
ARGS = argparse.Namespace(orders=400, kills=3, made=40)


class Proxy(threading.Thread):
    """Passes bytes on to provd, wherever it listens now, and cuts some connections after some bytes of either direction."""

    def __init__(self, where, seed):
        super().__init__(daemon=True)
        self.where, self.random, self.lock = where, random.Random(seed), threading.Lock()
        self.cuts = self.connections = 0
        self.listener = socket.create_server(('127.0.0.1', 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def budget(self):
        """Bytes until the cut; None: never."""
        with self.lock:
            self.connections += 1
            return self.random.randint(0, 8000) if self.random.random() < 0.9 else None

    def serve(self, client):
        left = [self.budget()]
        try:
            server = socket.create_connection(('127.0.0.1', self.where()), timeout=5)
        except OSError:
            client.close()
            return
        ends = (client, server)
        threads = [threading.Thread(target=self.carry, args=(a, b, ends, left), daemon=True) for a, b in (ends, ends[::-1])]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        for s in ends:
            s.close()

    def carry(self, a, b, ends, left):
        try:
            while data := a.recv(4096):
                if left[0] is not None:
                    data, left[0] = data[:left[0]], left[0] - len(data)
                b.sendall(data)
                if left[0] is not None and left[0] <= 0:
                    with self.lock:
                        self.cuts += 1
                    break
        except OSError:
            pass
        for s in ends:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()


class Client(threading.Thread):
    """Posts its orders until each is answered, some of them again, and in an order of its own."""

    def __init__(self, test, orders, seed):
        super().__init__(daemon=True)
        self.test, self.random = test, random.Random(seed)
        self.todo = [o for o in orders for _ in range(1 + (self.random.random() < 0.3))]
        self.random.shuffle(self.todo)
        self.ids, self.tries, self.connection = collections.defaultdict(set), 0, None
        self.start()

    def post(self, order):
        members = list(order.items())
        self.random.shuffle(members)
        if self.connection is None:
            self.connection = http.client.HTTPConnection('127.0.0.1', self.test.proxy.port, timeout=10)
        self.connection.request('POST', '/api/v1/jobs', json.dumps(dict(members)), {
            'Authorization': 'Bearer ' + self.test.token, 'Content-Type': 'application/json'})
        answer = self.connection.getresponse()
        return answer.status, json.loads(answer.read())    # a cut within the header looks like the end of it

    def run(self):
        for order in self.todo:
            while True:
                self.tries += 1
                try:
                    status, body = self.post(order)
                except (OSError, http.client.HTTPException, ValueError):
                    self.connection.close()
                    self.connection = None
                    time.sleep(0.01)
                    continue
                if status in (200, 201):
                    self.ids[order['number']].add(body['id'])
                    break
                if status not in (429, 503):
                    self.test.refused.append((status, body))
                    break


class Operator(threading.Thread):
    """Takes out a unit whose run did not pass: one that a kill left with a number of another order, say."""

    def __init__(self, test):
        super().__init__(daemon=True)
        self.test, self.stop, self.out = test, threading.Event(), 0
        self.seen = set()
        self.start()

    def look(self, api):
        for s in api.get('/stations')['items']:
            last = s['last'] or {}
            if s['state'] == 'done' and last.get('outcome') != 'passed' and last['run_id'] not in self.seen:
                self.seen.add(last['run_id'])
                self.test.line.sim.ctl('next', board='b' + s['id'][1:], gap_ms=100)
                self.out += 1

    def run(self):
        while not self.stop.wait(0.1):
            try:
                api = line.Api(self.test.line.provd.port or 1, self.test.token, timeout=5)
                self.look(api)
                api.close()
            except (OSError, http.client.HTTPException, ValueError, line.Problem):
                pass    # it was just killed


class Receiver:
    """Takes webhooks, forgets to answer some of them, and goes away for a while."""

    def __init__(self, seed):
        self.got, self.lock, self.random, self.port, self.server = [], threading.Lock(), random.Random(seed), 0, None
        self.back()

    def back(self):
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
                with receiver.lock:
                    receiver.got.append((self.headers['webhook-id'], body))
                    lost = receiver.random.random() < 0.05
                try:
                    self.send_response(500 if lost else 204)
                    self.send_header('Content-Length', '0')
                    self.end_headers()
                except OSError:
                    pass

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', self.port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def away(self):
        self.server.shutdown()
        self.server.server_close()

    def results(self):
        with self.lock:
            return [(i, m) for i, m in self.got if m['type'] == 'job-unit']


class Stress(unittest.TestCase):
    def setUp(self):
        seed = int(os.environ.get('PROVD_SEED', time.time_ns() % 1000000))
        print('seed %d, %d orders, %d kills' % (seed, ARGS.orders, ARGS.kills), flush=True)
        self.random, self.refused = random.Random(seed), []
        self.receiver = Receiver(seed)
        self.addCleanup(lambda: self.receiver.away())
        self.line = line.Line(STATIONS, boards=0, station_extra='    quarantine_after: 0\n')
        self.addCleanup(self.line.close)
        app = os.path.join(self.line.home, 'app.bin')
        with open(app, 'wb') as f:
            f.write(line.firmware(2048))
        line.write(os.path.join(self.line.home, 'hook'), 'whsec_%s\n' % ('QUJD' * 8))
        self.line.config('webhooks: {allow: [127.0.0.0/8], timeout: 2s}\nsecrets: {hook: {file: %s/hook}}\n' % self.line.home, settle='10ms')
        self.line.sim = line.Sim(self.line.home, STATIONS, '--preload', app, '--boot-ms', '1', '--replace-after-idle', '30', '--when-serial')
        self.line.start()
        self.token = self.line.provd.token
        self.line.put_recipe(RECIPE)
        self.line.api.post('/webhooks', {'url': 'http://127.0.0.1:%d/' % self.receiver.port, 'secret': 'hook', 'types': ['job-*']})
        self.proxy = Proxy(lambda: self.line.provd.port or 1, seed)
        self.addCleanup(self.proxy.close)

    def orders(self):
        """The first `made` of them are released at once, so that units are made while all the others come in."""
        all = []
        for i in range(ARGS.orders):
            first = i < ARGS.made
            all.append({'recipe': 'quick', 'number': 'WO-%06d' % i, 'priority': 5 if first else 0,
                        'units': [{'serial': 'W%06d-%d' % (i, k)} for k in range(1, 2 + (i % 3 == 0))]})
        return all

    def kill(self):
        self.line.provd.kill()
        self.line.provd.port = None
        self.line.start()

    def disturb(self, clients):
        """Kills and absences, spread over the time that the orders take."""
        kills = 0
        while any(c.is_alive() for c in clients) or kills < ARGS.kills:
            answered = sum(len(c.ids) for c in clients)
            if kills < ARGS.kills and answered * (ARGS.kills + 1) >= ARGS.orders * (kills + 1):
                self.receiver.away()
                self.kill()
                kills += 1
                time.sleep(self.random.random() * 0.2)
                self.receiver.back()
            time.sleep(0.01)
        return kills

    def made(self):
        with self.line.provd.db() as d:
            return d.execute("SELECT count(*) FROM job_units WHERE state = 'passed'").fetchone()[0]

    def check_orders(self, orders, clients):
        ids = collections.defaultdict(set)
        for c in clients:
            for number, given in c.ids.items():
                ids[number] |= given
        self.assertEqual({n: len(i) for n, i in ids.items() if len(i) != 1}, {})
        with self.line.provd.db() as d:
            rows = d.execute('SELECT number, id FROM jobs').fetchall()
            created = d.execute("SELECT count(*), count(DISTINCT job_id) FROM events WHERE type = 'job-created'").fetchone()
            units = d.execute('SELECT count(*) FROM job_units').fetchone()[0]
        self.assertEqual({r['number']: {r['id']} for r in rows}, dict(ids))
        self.assertEqual(len(rows), len(orders))
        self.assertEqual(tuple(created), (len(orders), len(orders)))
        self.assertEqual(units, sum(len(o['units']) for o in orders))

    def happened(self):
        with self.line.provd.db() as d:
            return [r['seq'] for r in d.execute("SELECT seq FROM events WHERE type = 'job-unit'")]

    def check_results(self):
        """Against the table of events, which is what happened. The line goes on meanwhile."""
        before = set(self.happened())
        line.wait_for('all results arrive', lambda: {m['seq'] for _, m in self.receiver.results()} >= before, every_s=0.1)
        results = self.receiver.results()
        ids, first = collections.defaultdict(set), collections.defaultdict(list)
        for i, m in results:
            ids[m['seq']].add(i)
            if m['seq'] not in first[m['serial']]:
                first[m['serial']].append(m['seq'])
        self.assertEqual({s: i for s, i in ids.items() if len(i) != 1}, {})
        self.assertEqual(len({next(iter(i)) for i in ids.values()}), len(ids))
        self.assertLessEqual(set(ids), set(self.happened()))
        for serial, seqs in first.items():
            self.assertEqual(seqs, sorted(seqs), serial)
        return len(ids)

    def check_units(self):
        """A number is on one device, and that of a unit that passed on one that says so."""
        held = collections.Counter(u['serial'] for _, u, _ in self.line.sim.units() if u.get('serial'))
        self.assertEqual([s for s, n in held.items() if n > 1], [])
        with self.line.provd.db() as d:
            passed = {r[0] for r in d.execute("SELECT serial FROM job_units WHERE state = 'passed'")}
        self.assertLessEqual(passed, set(held))
        return len(passed)

    def test_every_order_is_there_once_and_each_result_arrives(self):
        began = time.monotonic()
        orders = self.orders()
        clients = [Client(self, orders[i::CLIENTS] + orders[i + 1::CLIENTS * 5], i) for i in range(CLIENTS)]
        operator = Operator(self)
        self.addCleanup(operator.stop.set)
        kills = self.disturb(clients)
        for c in clients:
            c.join()
        posted = time.monotonic() - began
        self.assertEqual(self.refused, [])
        self.check_orders(orders, clients)
        line.wait_for('units are made', lambda: self.made() >= ARGS.made, 30 + ARGS.made, every_s=0.1)
        with self.line.provd.db() as d:
            open_ = [r[0] for r in d.execute("SELECT id FROM jobs WHERE state IN ('queued', 'running')")]
        for job in open_ if len(open_) < 50 else []:
            self.line.api.post('/jobs/%s/actions/stop' % job, headers=line.ANY)
        operator.stop.set()
        operator.join()
        self.line.provd.term()
        self.line.start()
        results = self.check_results()
        print('%d orders answered %d requests after %d tries, %d cuts in %d connections, %d kills, %.1f s; %d units passed, %d taken out, %d results in %d messages, %.1f s'
              % (len(orders), sum(len(c.todo) for c in clients), sum(c.tries for c in clients), self.proxy.cuts, self.proxy.connections, kills,
                 posted, self.check_units(), operator.out, results, len(self.receiver.results()), time.monotonic() - began), flush=True)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(add_help=False)
    for name in ('orders', 'kills', 'made'):
        parser.add_argument('--' + name, type=int, default=getattr(ARGS, name))
    known, sys.argv[1:] = parser.parse_known_args()
    vars(ARGS).update(vars(known))
    line.main()
