#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A plant of many hosts on a real PostgreSQL: what a host was told is on disk, comes once and in order, and no number is
anybody else's, whatever is killed, copied or stopped in between.

    test_plant.py [BUILD]
"""
import json
import json
import os
import random
import signal
import socket
import subprocess
import threading
import unittest

import line
import plant

POOL = {'id': 'sn', 'kind': 'serial', 'pattern': 'P-{seq:06}', 'first': 1, 'last': 999999, 'lease_values': 10}


postgres = None


def setUpModule():
    global postgres
    plant.find_server()
    postgres = plant.Postgres(plant.new_home())


def tearDownModule():
    if postgres:
        postgres.close()


class Records(unittest.TestCase):
    def setUp(self):
        self.plant = plant.Plant(postgres)
        self.addCleanup(self.plant.close)
        self.host = plant.Host(self.plant, 'H1')
        self.host.session()

    def count(self, table='records'):
        return int(self.plant.sql('SELECT count(*) FROM %s' % table))

    def test_a_batch_twice_is_once_and_a_gap_is_refused(self):
        h = self.host
        items = [h.record(1), h.run(3, 'r-1', 'P-1'), h.record(7)]
        for _ in range(2):
            a = h.send(0, items)
            self.assertEqual((a.status, a.json), (200, {'seen': 7}))
        self.assertEqual((self.count(), self.count('runs'), self.count('measurements'), self.count('ledger')), (3, 1, 2, 1))
        # What overlaps is taken from where the plant is.
        self.assertEqual(h.send(3, [h.record(7), h.record(8)]).json, {'seen': 8})
        a = h.send(9, [h.record(10)])
        self.assertEqual((a.status, a.json['code']), (409, 'plant-gap'))
        self.assertIn('what comes after 8 is expected', a.json['detail'])
        self.assertEqual(self.count(), 4)
        # The same number with another content is another host's.
        a = h.send(7, [h.record(8, type='unit-detached')])
        self.assertEqual((a.status, a.json['code']), (409, 'host-copied'))
        self.assertEqual(self.plant.host('H1')['refused']['code'], 'host-copied')
        self.assertEqual(self.count(), 4)

    def test_what_is_no_batch_is_refused_whole(self):
        h = self.host
        for item, why in (({'record': {}}, "'seq'"), (h.record(1, type=''), "'type'"), (h.record(1, timestamp='now'), "'timestamp'"),
                          (h.record(1, type='run-finished', run='r'), "'told'"), (h.record(1, station=5), 'texts or null')):
            a = h.send(0, [h.record(1), item] if item['record'].get('seq') is None else [item])
            self.assertEqual((a.status, a.json['code']), (422, 'unprocessable'), a.body)
            self.assertIn(why, a.json['detail'])
        run = h.run(1, 'r-1', 'P-1')
        run['told']['report']['id'] = 'r-2'
        self.assertEqual(h.send(0, [run]).status, 422)
        self.assertEqual(h.send(0, [h.record(2), h.record(1)]).status, 422)
        self.assertEqual(h.api.request('POST', '/host/records', b'{"fence": 1').status, 400)
        self.assertEqual(h.api.request('POST', '/host/records', b'{"fence": 1, "after": 0, "records": [{"record": {"a": "\xff"}}]}').status, 400)
        run = h.run(1, 'r-1', 'P-1')
        run['told']['report']['steps'] = 7
        self.assertEqual(h.send(0, [run]).status, 422)
        run['told'] = None
        self.assertIn("'told'", h.send(0, [run]).json['detail'])
        self.assertEqual(self.count(), 0)

    def test_a_report_of_many_megabytes_is_taken(self):
        h = self.host
        item = h.run(1, 'r-1', 'P-1', measured=100000)
        self.assertGreater(len(json.dumps(item)), 8 << 20)
        self.assertEqual(h.send(0, [item]).json, {'seen': 1})
        self.assertEqual(self.count('measurements'), 100000)

    def test_what_is_no_name_is_refused_with_its_place(self):
        bodies = {'/hosts': {}, '/orders': {'recipe': 'r', 'quantity': 1}, '/pools': {'pattern': 'P{seq:04}', 'last': 99}}
        for path, body in bodies.items():
            for name in ('a"b', '.a', '-a', 'a b', 'a/b', 'ä', 'x' * 64):
                a = self.plant.admin.request('POST', path, {'id': name, **body})
                self.assertEqual((a.status, '/id' in a.json['detail']), (422, True), (path, name, a.json))
            self.assertEqual(self.plant.admin.request('POST', path, {'id': 'x' * 63, **body}).status, 201)

    def test_metrics_say_what_alarms_look_at(self):
        h = self.host
        h.send(0, [h.record(1), h.record(4)])
        h.send(3, [h.record(4, type='unit-detached')])     # another content: the host is refused
        self.plant.admin.post('/hosts', {'id': 'H2'})
        self.plant.admin.post('/orders', {'id': 'o1', 'recipe': 'r', 'quantity': 2})
        self.plant.admin.post('/pools', {'id': 'p-1', 'pattern': 'P{seq:04}', 'last': 99})
        text = self.scrape(self.plant.admin_token)
        values = dict(x.rsplit(' ', 1) for x in text.splitlines() if not x.startswith('#'))
        self.assertTrue(0 <= float(values.pop('provd_plant_host_heard_seconds{host="H1"}')) < line.DEADLINE_S)
        self.assertEqual(values, {
            'provd_plant_host_records{host="H1"}': '4', 'provd_plant_host_records{host="H2"}': '0',
            'provd_plant_host_refused{host="H1"}': '1', 'provd_plant_host_refused{host="H2"}': '0',
            'provd_plant_open_orders{state="held"}': '0', 'provd_plant_open_orders{state="open"}': '1',
            'provd_plant_leases_out{pool="p-1"}': '0', 'provd_plant_conflicts': '0'})
        self.assertEqual(text.count('# TYPE '), len({k.split('{')[0] for k in values}) + 1)
        self.assertIn(' 403 ', self.scrape(h.token))

    def scrape(self, token):
        with socket.create_connection(('127.0.0.1', self.plant.port), timeout=line.DEADLINE_S) as c:
            c.sendall(b'GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ' + token.encode() + b'\r\n\r\n')
            got = b''.join(iter(lambda: c.recv(65536), b'')).decode()
        head, _, body = got.partition('\r\n\r\n')
        return body if head.startswith('HTTP/1.1 200 ') and 'text/plain; version=0.0.4' in head else head

    def test_what_copy_knows_is_text(self):
        text = 'a\tb\nc\rd\\N \\. "quoted" \u00e4'
        item = self.host.run(1, 'r-1', text)
        item['record']['data'] = {'text': text}
        item['told']['report']['steps'][0]['measurements'][0].update(value=0.1 + 0.2, text=text, low=None, high=7)
        self.assertEqual(self.host.send(0, [item]).status, 200)
        said = json.loads(self.plant.sql("SELECT jsonb_build_array(r.serial, e.text::jsonb #>> '{data,text}', m.text, m.value, m.low, m.high,"
                                         " l.value) FROM runs r, records e, measurements m, ledger l WHERE m.n = 1"))
        self.assertEqual(said, [text, text, text, 0.1 + 0.2, None, 7, text])

    def test_a_value_of_two_units_is_on_record_and_keeps_nothing_back(self):
        other = plant.Host(self.plant, 'H2')
        other.session()
        self.assertEqual(self.host.send(0, [self.host.run(1, 'r-1', 'P-1')]).status, 200)
        self.assertEqual(other.send(0, [other.run(1, 'r-2', 'P-1'), other.run(2, 'r-3', 'P-2')]).status, 200)
        conflicts = self.plant.admin.get('/conflicts')['items']
        self.assertEqual([(c['value'], c['host'], c['has_host']) for c in conflicts], [('P-1', 'H2', 'H1')])
        self.assertEqual(self.count('ledger'), 2)
        # A run that another host has under the same id is a copy of it.
        a = other.send(2, [other.run(3, 'r-1', 'P-9')])
        self.assertEqual((a.status, a.json['code']), (409, 'host-copied'))

    def test_yield_is_counted_over_hosts(self):
        other = plant.Host(self.plant, 'H2')
        other.session()
        self.assertEqual(self.host.send(0, [self.host.run(1, 'a', 'P-1', 'failed'), self.host.run(2, 'b', 'P-2')]).status, 200)
        self.assertEqual(other.send(0, [other.run(1, 'c', 'P-1', values=[])]).status, 200)
        said = self.plant.admin.get('/reports/yield')['all']
        self.assertEqual((said['runs']['passed'], said['runs']['failed'], said['units'], said['first_passed']), (2, 1, 2, 1))
        self.assertEqual(said['first_pass_yield'], 0.5)
        self.assertEqual({g['host'] for g in self.plant.admin.get('/reports/yield')['groups']}, {'H1', 'H2'})
        self.assertEqual([r['host'] for r in self.plant.admin.get('/runs?serial=P-1')['items']], ['H2', 'H1'])

    def test_roles(self):
        viewer = self.plant.client(self.plant.make_token('viewer'))
        self.assertEqual(viewer.request('GET', '/hosts').status, 200)
        self.assertEqual(viewer.request('POST', '/hosts', {'id': 'H9'}).status, 403)
        self.assertEqual(viewer.request('POST', '/host/session', {}).status, 403)
        self.assertEqual(self.host.api.request('GET', '/hosts').status, 403)
        self.assertEqual(self.plant.client(None).request('GET', '/hosts').status, 401)
        # Without the form of a token no body is waited for.
        with socket.create_connection(('127.0.0.1', self.plant.port), timeout=line.DEADLINE_S) as c:
            c.sendall(b'POST /api/v1/host/records HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer pvp_short\r\n'
                      b'Content-Length: 8000000\r\nExpect: 100-continue\r\n\r\n')
            self.assertTrue(c.recv(4096).startswith(b'HTTP/1.1 401 '))
        self.assertEqual(self.plant.client('pvp_x').request('GET', '/hosts').json['code'], 'unauthorized')
        self.assertNotIn(self.host.token, self.plant.sql('SELECT * FROM tokens'))
        token = self.plant.admin.post('/hosts/H1/token', {})['token']
        self.assertEqual(self.host.api.request('GET', '/host').status, 401)
        self.assertEqual(self.plant.client(token).request('GET', '/host').status, 200)
        self.assertEqual(self.plant.admin.request('POST', '/hosts/H9/token', {}).status, 404)

    def ask_with_a_large_body(self, token):
        """What comes before the body is read, of a client that waits for "100 Continue"."""
        with socket.create_connection(('127.0.0.1', self.plant.port), timeout=line.DEADLINE_S) as c:
            c.sendall(b'POST /api/v1/host/records HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ' + token.encode() +
                      b'\r\nContent-Length: 8000000\r\nExpect: 100-continue\r\n\r\n')
            return c.recv(4096).split()[1]

    def test_who_guesses_is_slowed_down_and_who_is_known_is_not(self):
        wrong = ['pvp_' + '%064x' % n for n in range(20)]
        # Nobody's 8 MB are read for a token that is not known.
        self.assertEqual(self.ask_with_a_large_body(wrong[0]), b'503')
        self.assertEqual(self.ask_with_a_large_body(self.host.token), b'100')
        answers = [self.plant.client(t).request('GET', '/host') for t in wrong]
        self.assertEqual([a.status for a in answers], [401] * 5 + [429] * 15)
        self.assertEqual(answers[5].json['code'], 'overloaded')
        self.assertTrue(1 <= int(answers[5].headers['Retry-After']) <= 60, answers[5].headers)
        self.assertEqual(self.plant.client('pvp_x').request('GET', '/host').status, 429)
        self.assertIn('wrong tokens from 127.0.0.1 within a minute: 5', self.plant.log_text())
        # From the same address.
        self.assertEqual(self.host.send(0, [self.host.record(1)]).json, {'seen': 1})
        self.assertEqual(self.plant.admin.request('GET', '/hosts').status, 200)

    def test_a_token_of_another_plant_on_the_database_is_taken(self):
        other = plant.Plant(postgres, dsn=self.plant.dsn)
        self.addCleanup(other.close)
        token = other.add_host('H2')
        self.assertEqual(self.ask_with_a_large_body(token), b'503')
        line.wait_for('the token is known', lambda: self.ask_with_a_large_body(token) == b'100')
        other.admin.post('/hosts/H2/token', {})
        self.assertEqual(self.plant.client(token).request('GET', '/host').status, 401)
        line.wait_for('the token is known no more', lambda: self.ask_with_a_large_body(token) == b'503')


class Killed(unittest.TestCase):
    def test_what_was_told_outlives_kills_of_plant_and_database(self):
        """kill -9 of provd-plant at any place, and of PostgreSQL as by a power cut, while a host sends."""
        with plant.Plant(postgres) as p:
            h = plant.Host(p, 'H1')
            h.session()
            rng = random.Random(4711)
            told = sent = 0
            for round_n in range(8):
                timer = threading.Timer(rng.uniform(0.005, 0.08), p.process.kill if round_n % 3 else lambda: p.pg.process.send_signal(signal.SIGQUIT))
                timer.start()
                try:
                    while True:
                        n = rng.randrange(1, 30)
                        a = h.send(told, [h.run(i, 'run-%d' % i, 'P-%d' % i) for i in range(told + 1, told + 1 + n)])
                        sent += 1
                        if a.status != 200:
                            self.assertEqual(a.status, 503, a.body)
                            break
                        told = a.json['seen']
                except (OSError, line.http.client.HTTPException):
                    pass
                timer.join()
                if round_n % 3 == 0:
                    p.pg.process.wait()
                    p.pg.start()
                else:
                    p.process.wait()
                    p.start()
                seen = line.wait_for('the plant answers', lambda: (a := h.api.request('GET', '/host')).status == 200 and a.json)['seen']
                self.assertGreaterEqual(seen, told)
            self.assertGreater(told, 0)
            rows = p.sql('SELECT count(*), min(seq), max(seq) FROM records')
            self.assertEqual(rows, '%d|1|%d' % (seen, seen))
            self.assertEqual(p.sql('SELECT count(*) FROM runs'), str(seen))
            self.assertEqual(p.sql('SELECT count(*) FROM ledger'), str(seen))

    def test_the_database_is_away_and_comes_back(self):
        with plant.Plant(postgres) as p:
            h = plant.Host(p, 'H1')
            h.session()
            p.pg.stop()
            a = h.send(0, [h.record(1)])
            self.assertEqual((a.status, a.json['code']), (503, 'service-unreachable'))
            self.assertIn("the plant's database", a.json['detail'])
            self.assertEqual(p.client(None).request('GET', '/livez', raw=True).status, 200)
            self.assertEqual(p.client(None).request('GET', '/readyz', raw=True).status, 503)
            p.pg.start()
            self.assertEqual(h.send(0, [h.record(1)]).status, 200)


class Failover(unittest.TestCase):
    def test_what_was_told_and_leased_is_on_the_replica_that_is_promoted(self):
        """A synchronous replica of the same server; the primary is killed while a host sends, and the replica promoted."""
        primary = plant.Postgres(plant.new_home(), config='wal_level=replica max_wal_senders=4')
        self.addCleanup(primary.close)
        replica = plant.Postgres(plant.new_home(), standby_of=primary)
        self.addCleanup(replica.close)
        primary.sql('postgres', "ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.sql('postgres', 'SELECT pg_reload_conf()')
        line.wait_for('the replica is synchronous', lambda: primary.sql('postgres', 'SELECT sync_state FROM pg_stat_replication') == 'sync')
        dsn = 'host=%s,%s user=plant dbname=plant1 connect_timeout=2 target_session_attrs=read-write' % (primary.dir, replica.dir)
        with plant.Plant(primary, dsn) as p:
            p.admin.post('/pools', POOL)
            h = plant.Host(p, 'H1')
            h.session()
            self.assertTrue(p.client(None).request('GET', '/readyz', raw=True).json['replicated'])
            told, leased = 0, [h.lease('sn').json]
            timer = threading.Timer(0.3, primary.process.send_signal, (signal.SIGQUIT,))
            timer.start()
            while (a := h.send(told, [h.run(told + 1, 'r-%d' % told, 'P-%d' % told)])).status == 200:
                told = a.json['seen']
            self.assertEqual((a.status, a.json['code']), (503, 'service-unreachable'), a.body)
            timer.join()
            primary.process.wait()
            self.assertEqual(h.send(told, []).status, 503)
            replica.sql('postgres', 'SELECT pg_promote()')
            seen = line.wait_for('the plant goes on', lambda: (a := h.api.request('GET', '/host')).status == 200 and a.json)['seen']
            self.assertIn(seen, (told, told + 1))
            self.assertEqual(h.send(told, [h.run(told + 1, 'r-%d' % told, 'P-%d' % told), h.record(told + 2)]).json, {'seen': told + 2})
            leased.append(h.lease('sn').json)
            self.assertGreater(leased[1]['first'], leased[0]['last'])
            self.assertEqual(replica.sql('plant1', 'SELECT count(*) FROM records'), str(told + 2))


class Sessions(unittest.TestCase):
    def setUp(self):
        self.plant = plant.Plant(postgres)
        self.addCleanup(self.plant.close)
        self.host = plant.Host(self.plant, 'H1')

    def refused(self, answer, code):
        self.assertEqual((answer.status, answer.json['code']), (409, code), answer.body)
        self.assertEqual(self.plant.host('H1')['refused']['code'], code)

    def test_a_copy_is_refused_and_a_person_says_who_goes_on(self):
        h = self.host
        self.plant.admin.post('/pools', POOL)
        h.session()
        copy = plant.Host(self.plant, 'H1', h.token)
        copy.fence = h.fence
        lease = h.lease('sn').json
        # From another machine, or another file, it needs a person's word.
        self.refused(copy.ask_session(home='another-machine-'), 'host-copied')
        self.assertEqual(h.send(0, [h.record(1)]).status, 200)
        # A whole machine that was rolled back looks the same: it begins first, and the one that it was made of is refused
        # from then on, also with what it had leased.
        copy.session(place='another-start-of-it', seq=1)
        self.refused(h.send(1, [h.record(2)]), 'host-copied')
        self.refused(h.lease('sn'), 'host-copied')
        self.refused(h.give_back(lease['lease'], lease['first']), 'host-copied')
        self.refused(h.ask_session(), 'host-copied')
        # Nobody gets the numbers that both had.
        self.assertEqual(copy.lease('sn').json['first'], lease['last'] + 1)
        self.plant.admin.post('/hosts/H1/readmit', {'reason': 'the copy is switched off'})
        h.session(seq=1)
        self.assertEqual(h.send(1, [h.record(2)]).status, 200)
        self.refused(copy.send(1, [h.record(2)]), 'host-copied')

    def test_a_lost_answer_costs_nothing(self):
        h = self.host
        nonce = 'n' * 32
        first = h.ask_session(nonce=nonce).json
        self.assertEqual(h.ask_session(nonce=nonce).json['fence'], first['fence'])
        # With the same nonce from another place it is a copy of a host that was asking.
        self.refused(h.ask_session(nonce=nonce, place='another-machine-'), 'host-copied')

    def test_older_records_are_refused(self):
        h = self.host
        h.session(generation=2)
        self.assertEqual(h.send(0, [h.record(5)]).status, 200)
        self.refused(h.ask_session(generation=1, seq=9), 'host-older')
        self.refused(h.ask_session(generation=2, seq=4), 'host-older')
        self.refused(h.ask_session(generation=2, seq=5, epoch='f' * 16), 'host-copied')
        h.session(generation=3, seq=5, epoch='f' * 16)

    def test_another_protocol_is_refused(self):
        a = self.host.ask_session(protocol=2)
        self.refused(a, 'plant-version')
        self.assertIn('speaks protocol 2 of the plant, and this plant speaks 1', a.json['detail'])


class Leases(unittest.TestCase):
    def test_no_number_twice_with_random_kills(self):
        with plant.Plant(postgres) as p:
            p.admin.post('/pools', dict(POOL, lease_values=7))
            hosts = [plant.Host(p, 'H%d' % i) for i in range(3)]
            for h in hosts:
                h.session()
            rng = random.Random(17)
            got, waiting, stop = {h.name: [] for h in hosts}, {}, threading.Event()

            def work(h):
                """Asks until it has an answer, by the same name; gives a part back now and then."""
                mine = random.Random(h.name)
                request = None
                while not stop.is_set():
                    request = request or os.urandom(16).hex()
                    try:
                        a = h.lease('sn', request)
                        if a.status != 200:
                            continue
                        lease, request = a.json, None
                        keep = mine.randrange(0, 8)
                        got[h.name] += range(lease['first'], min(lease['first'] + keep, lease['last'] + 1))
                        if keep < 7:
                            while h.give_back(lease['lease'], lease['first'] + keep).status != 200 and not stop.is_set():
                                pass
                    except (OSError, line.http.client.HTTPException):
                        stop.wait(0.01)
            threads = [threading.Thread(target=work, args=(h,)) for h in hosts]
            for t in threads:
                t.start()
            try:
                for _ in range(4):
                    stop.wait(rng.uniform(0.1, 0.3))
                    p.kill()
                    p.start()
                want = sum(map(len, got.values())) + 60
                line.wait_for('more numbers', lambda: sum(map(len, got.values())) >= want)
            finally:
                stop.set()
                for t in threads:
                    t.join()
            all_of_them = sum(got.values(), [])
            self.assertEqual(len(all_of_them), len(set(all_of_them)))
            for numbers in got.values():
                self.assertEqual(numbers, sorted(numbers), "a host's numbers never go back")
            # Some of what was given back went out again.
            self.assertGreater(int(p.sql("SELECT count(*) FROM leases a JOIN leases b ON a.pool = b.pool AND a.id < b.id"
                                            " AND b.first >= a.end_at AND b.first < a.granted_end")), 0)

    def test_a_pool_ends_and_says_so(self):
        with plant.Plant(postgres) as p:
            p.admin.post('/pools', dict(POOL, first=1, last=15))
            h = plant.Host(p, 'H1')
            h.session()
            self.assertEqual([(l['first'], l['last']) for l in (h.lease('sn').json, h.lease('sn').json)], [(1, 10), (11, 15)])
            a = h.lease('sn')
            self.assertEqual((a.status, a.json['code']), (409, 'pool-empty'))
            self.assertEqual(h.lease('other').json['code'], 'not-found')
            for body, code in ((POOL, 'conflict'), (dict(POOL, id='b'), 'conflict'), (dict(POOL, id='c', pattern='x'), 'invalid'),
                               (dict(POOL, id='d', kind='mac', pattern='{mac}', span=3), 'invalid'), (dict(POOL, id='e', firts=1), 'unprocessable')):
                self.assertEqual(p.admin.request('POST', '/pools', body).json['code'], code, body)
            # What the plant's program forgets, its database still refuses.
            with self.assertRaises(subprocess.CalledProcessError) as caught:
                p.sql("INSERT INTO leases (pool, host, fence, request, first, end_at, granted_end, granted_at, expires_at, state)"
                         " VALUES ('sn', 'H1', 1, 'x', 5, 6, 6, 0, 0, 'out')")
            self.assertIn('leases_never_share_a_number', caught.exception.stderr)


class Orders(unittest.TestCase):
    def setUp(self):
        self.plant = plant.Plant(postgres)
        self.addCleanup(self.plant.close)

    def order(self, name='o-1'):
        return next(o for o in self.plant.admin.get('/orders')['items'] if o['id'] == name)

    def host(self, name):
        h = plant.Host(self.plant, name)
        h.session()
        return h

    def test_an_order_is_shared_out_once_and_counted_from_records(self):
        self.plant.admin.post('/orders', {'id': 'o-1', 'recipe': 'r', 'quantity': 10, 'params': {'a': 1}})
        a, b = self.host('H1'), self.host('H2')
        request = os.urandom(16).hex()
        first = a.claim(6, request=request).json
        self.assertEqual((first['order'], first['quantity'], first['params']), ('o-1', 6, {'a': 1}))
        self.assertEqual(a.claim(6, request=request).json['claim'], first['claim'])
        second = b.claim(6).json
        self.assertEqual(second['quantity'], 4)
        self.assertIsNone(a.claim(6).json['claim'])
        self.assertIsNone(self.host('H3').claim(6, recipes=['other']).json['claim'])
        # Two of six passed: the other four are open again, for whoever asks.
        items = [a.run(i, 'a-%d' % i, 'P-%d' % i, 'passed' if i < 3 else 'failed') for i in range(1, 5)]
        for item in items:
            item['told']['reference'] = 'plant-claim-%d' % first['claim']
        self.assertEqual(a.send(0, items).status, 200)
        for _ in range(2):
            self.assertEqual(a.end_claim(first['claim']).status, 200)
        self.assertEqual((self.order()['passed'], self.order()['remaining'], self.order()['state']), (2, 4, 'open'))
        self.assertEqual(b.end_claim(first['claim']).json['code'], 'not-found')
        third = b.claim(6).json
        self.assertEqual(third['quantity'], 4)
        after = 0
        for c in (second, third):
            items = [b.run(i, 'b-%d' % i, 'Q-%d' % i) for i in range(after + 1, after + 5)]
            for item in items:
                item['told']['reference'] = 'plant-claim-%d' % c['claim']
            self.assertEqual(b.send(after, items).status, 200)
            self.assertEqual(b.end_claim(c['claim']).status, 200)
            after += 4
        self.assertEqual((self.order()['passed'], self.order()['state']), (10, 'done'))
        self.assertEqual(self.plant.admin.request('POST', '/orders/o-1/cancel', {'reason': 'late'}).status, 409)

    def test_a_host_that_is_gone_loses_what_is_not_known_to_have_passed(self):
        self.plant.admin.post('/orders', {'id': 'o-1', 'recipe': 'r', 'quantity': 3, 'claim_s': 1})
        a, b = self.host('H1'), self.host('H2')
        c = a.claim(3).json
        run = a.run(1, 'a-1', 'P-1')
        run['told']['reference'] = 'plant-claim-%d' % c['claim']
        self.assertEqual(a.send(0, [run]).status, 200)
        self.assertIsNone(b.claim(3).json['claim'])
        again = line.wait_for('its time is over', lambda: (x := b.claim(3).json)['claim'] and x)
        self.assertEqual(again['quantity'], 2)
        self.assertTrue(self.order()['claims'][0]['lapsed'])
        # It comes back with one more, which it had made in time: nothing is hidden.
        run = a.run(2, 'a-2', 'P-2')
        run['told']['reference'] = 'plant-claim-%d' % c['claim']
        self.assertEqual((a.send(1, [run]).status, a.end_claim(c['claim']).status), (200, 200))
        self.assertEqual((self.order()['passed'], self.order()['remaining']), (2, -1))

    def test_no_unit_is_given_to_two_hosts_however_many_ask(self):
        self.plant.admin.post('/orders', {'id': 'o-1', 'recipe': 'r', 'quantity': 40})
        hosts = [self.host('H%d' % i) for i in range(4)]
        got, rounds = [], 40

        def work(h):
            for _ in range(rounds):
                a = h.claim(3)
                if a.status == 200 and a.json['claim']:
                    got.append(a.json['quantity'])
        threads = [threading.Thread(target=work, args=(h,)) for h in hosts]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(sum(got), 40)
        self.assertEqual(self.order()['remaining'], 0)

    def test_an_order_that_a_host_cannot_take_is_held_for_a_person(self):
        self.plant.admin.post('/orders', {'id': 'o-1', 'recipe': 'r', 'quantity': 3})
        a = self.host('H1')
        c = a.claim(3).json
        self.assertEqual(a.end_claim(c['claim'], refused="/params/x: unknown parameter 'x'").status, 200)
        self.assertEqual((self.order()['state'], self.order()['why']), ('held', "/params/x: unknown parameter 'x'"))
        self.assertIsNone(a.claim(3).json['claim'])
        self.plant.admin.post('/orders/o-1/cancel', {'reason': 'wrong'})
        self.assertEqual(self.order()['state'], 'cancelled')
        self.assertEqual(self.plant.admin.request('POST', '/orders', {'id': 'o-1', 'recipe': 'r', 'quantity': 3}).status, 409)


class Schema(unittest.TestCase):
    def test_a_newer_program_migrates_and_the_older_one_takes_nothing_more(self):
        with plant.Plant(postgres) as p:
            h = plant.Host(p, 'H1')
            h.session()
            self.assertEqual(h.send(0, [h.record(1)]).status, 200)
            p.sql("INSERT INTO plant_schema (version, name, at) VALUES (99, '0099_new.sql', 0)")
            for a in (h.send(1, [h.record(2)]), h.ask_session(), p.client(None).request('GET', '/readyz', raw=True)):
                self.assertEqual((a.status, a.json['code']), (503, 'service-unreachable'), a.body)
                self.assertIn('the schema 99 of a newer provd-plant', a.json['detail'])
            p.sql('DELETE FROM plant_schema WHERE version = 99')
            self.assertEqual(h.send(1, [h.record(2)]).json, {'seen': 2})

    def start(self, p):
        r = subprocess.run([line.binary('provd-plant'), '--database', p.dsn, '--listen', '127.0.0.1:0'], text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=line.DEADLINE_S)
        self.assertEqual(r.returncode, 1)
        return r.stdout

    def test_a_database_of_a_newer_or_another_program_is_left_alone(self):
        with plant.Plant(postgres) as p:
            p.stop()
            p.sql("INSERT INTO plant_schema (version, name, at) VALUES (99, '0099_new.sql', 0)")
            self.assertIn('schema 99 of a newer provd-plant', self.start(p))
            p.sql('DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE theirs (a int)')
            self.assertIn('tables of another program', self.start(p))
            self.assertEqual(p.sql("SELECT string_agg(tablename, ' ') FROM pg_tables WHERE schemaname = 'public'"), 'theirs')
            p.sql('DROP TABLE theirs')
            p.pg.stop()
            p.pg.config = 'fsync=off'
            p.pg.start()
            try:
                self.assertIn('has fsync off', self.start(p))
            finally:
                p.pg.stop()
                p.pg.config = ''
                p.pg.start()


if __name__ == '__main__':
    line.main()
