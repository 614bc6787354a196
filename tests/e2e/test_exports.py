#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Lists of the records as lines: CSV and NDJSON say what the lists say, in the memory of a page, and go on where they broke off.

    test_exports.py [BUILD]
"""
import csv
import io
import json
import os
import socket
import sqlite3
import time
import unittest

import line
import test_api

EVENTS = 120000


class Exports(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.line = l = line.Line(stations=2)
        try:
            l.start()
            l.prepare(line.firmware())
            l.job_done(l.api.post('/jobs', {'recipe': 'production', 'quantity': 2})['id'])
            l.api.post('/pools', {'id': 'names', 'kind': 'license', 'values': ['=cmd()', '-5', 'plain,"quoted"']})
        except BaseException:
            l.close()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.line.close()

    def setUp(self):
        self.api = self.line.api

    def lines(self, path, kind):
        a = self.api.request('GET', path + ('&' if '?' in path else '?') + 'format=' + kind)
        self.assertEqual(a.status, 200, a.body[:300])
        text = a.body.decode()
        if kind == 'csv':
            return list(csv.DictReader(io.StringIO(text, newline='')))
        return [json.loads(x) for x in text.splitlines()]

    def test_lines_are_what_the_lists_have(self):
        for path in ('/runs', '/units', '/serials', '/events', '/measurements', '/runs?outcome=passed', '/serials?kind=license',
                     '/measurements?station=A1', '/events?type=run-finished'):
            with self.subTest(path=path):
                items = self.api.all(path)
                self.assertTrue(items)
                found = self.lines(path, 'ndjson')
                self.assertEqual([{k: v for k, v in x.items() if k != 'cursor'} for x in found], items)
                rows = self.lines(path, 'csv')
                self.assertEqual(len(rows), len(items))
                for row, item in zip(rows, items):
                    for name, cell in row.items():
                        value = item.get(name)
                        if isinstance(value, str) and name != 'value':
                            self.assertEqual(cell, value)
                        elif isinstance(value, (int, float)) and not isinstance(value, bool):
                            self.assertEqual(float(cell), value)
                # It goes on after any line, and in pages.
                half = found[len(found) // 2]
                rest = self.lines(path + ('&' if '?' in path else '?') + 'cursor=' + half['cursor'], 'ndjson')
                self.assertEqual(rest, found[len(found) // 2 + 1:])
                pages, next_ = [], path + ('&' if '?' in path else '?') + 'format=ndjson&limit=1'
                for _ in range(min(3, len(found))):
                    a = self.api.request('GET', next_)
                    pages += [json.loads(x) for x in a.body.decode().splitlines()]
                    next_ = (a.headers['Link'] or '<>').split('<')[1].split('>')[0].removeprefix('/api/v1')
                self.assertEqual(pages, found[:len(pages)])
        schema = test_api.Schema(self.api.get('/openapi.json'))
        self.assertEqual(schema.errors(self.api.get('/measurements'), {'$ref': '#/components/schemas/MeasuredValueList'}), [])

    def test_what_a_spreadsheet_would_run_is_a_text(self):
        text = self.api.request('GET', '/serials?kind=license&format=csv').body.decode()
        self.assertTrue(all(x.endswith('\r') for x in text.split('\n')[:-1]), text)
        self.assertEqual([r['value'] for r in self.lines('/serials?kind=license', 'csv')], ["'=cmd()", '-5', 'plain,"quoted"'])
        self.assertEqual([r['value'] for r in self.lines('/serials?kind=license', 'ndjson')], ['=cmd()', '-5', 'plain,"quoted"'])
        text = self.api.request('GET', '/pools/names/values.csv').body.decode()
        self.assertIn("\r\n'=cmd(),", text)

    def test_what_is_wrong_is_said_before_the_first_line(self):
        for path in ('/runs?format=xml', '/runs?format=csv&colour=red', '/runs?format=csv&cursor=x', '/runs?format=csv&limit=0',
                     '/runs?format=csv&from=yesterday', '/jobs?format=csv', '/measurements?format=ndjson&cursor=1'):
            self.assertEqual(self.api.request('GET', path).status, 400, path)
        for words in (('export', 'secrets'), ('export', 'runs', '--format', 'xml')):
            self.assertEqual(self.line.provctl(*words).returncode, 2, words)

    def test_provctl_writes_them(self):
        p = self.line.provctl('export', 'runs', '--outcome', 'passed')
        self.assertEqual((p.returncode, len(list(csv.DictReader(io.StringIO(p.stdout))))), (0, 2), p)
        path = os.path.join(self.line.home, 'out.ndjson')
        self.assertEqual(self.line.provctl('export', 'measurements', '--format', 'ndjson', '--out', path).returncode, 0)
        self.assertEqual([json.loads(x) for x in line.read(path).splitlines()], self.lines('/measurements', 'ndjson'))
        p = self.line.provctl('export', 'units', '--kind', 'x')
        self.assertEqual(p.returncode, 2, p)
        self.assertIn("'kind'", p.stderr)


class Large(unittest.TestCase):
    def test_it_takes_the_memory_of_a_page_and_a_break_is_seen(self):
        with line.Line(stations=0, boards=0) as l:
            l.start()
            l.provd.stop()
            now_ms = int(time.time() * 1000) - EVENTS
            with sqlite3.connect(os.path.join(l.home, 'state', 'provd.db')) as d:
                d.executemany("INSERT INTO events (at, type, station, data) VALUES (?, 'tick', 'A1', ?)",
                              ((now_ms + i, '{"n":%d,"text":"%s"}' % (i, 'x' * 100)) for i in range(EVENTS)))
            d.close()
            l.forget_page_sums()
            l.start()
            l.api.request('GET', '/events?type=tick&format=csv&limit=1000')
            before = l.provd.peak_kib()
            text = l.api.request('GET', '/events?type=tick&format=ndjson').body
            self.assertEqual(text.count(b'\n'), EVENTS)
            self.assertGreater(len(text), 25000000)
            if not line.sanitized():
                self.assertLess(l.provd.peak_kib() - before, 8000)
            # Cut off while it is sent: there is no end of the chunks, and the last whole line says where to go on.
            with socket.create_connection(('127.0.0.1', l.provd.port), timeout=line.DEADLINE_S) as s:
                s.sendall(b'GET /api/v1/events?type=tick&format=ndjson HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n'
                          % l.provd.token.encode())
                got = b''
                while len(got) < 65536: # the first bytes may be the head alone
                    got += s.recv(65536)
                l.provd.kill()
                while (more := s.recv(1 << 20)):
                    got += more
            self.assertNotIn(b'\r\n0\r\n\r\n', got)
            l.start()
            last = json.loads([x for x in got.split(b'\n') if x.startswith(b'{') and x.endswith(b'}')][-1])
            rest = l.api.request('GET', '/events?type=tick&format=ndjson&cursor=%s' % last['cursor']).body
            self.assertEqual(json.loads(rest.split(b'\n')[0])['seq'], last['seq'] + 1)
            self.assertEqual(rest.count(b'\n'), EVENTS - last['data']['n'] - 1)


if __name__ == '__main__':
    line.main()
