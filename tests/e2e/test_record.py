#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The verifiable record: what is changed, left out, added or put in another order is found with its place, in a database and
in what was exported, and nothing is found where nothing was changed.

    test_record.py [BUILD]
"""
import base64
import hashlib
import http.server
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import threading
import unittest

import line

RECIPE = """
recipe: record
version: 1
unit: {model: provsim-1, serial: {pool: record-sn}}
ports:
  console: {kind: tty, baud: 115200}
steps:
  - {id: ready, action: console.command, with: {port: console, send: ping, expect: '^pong$'}, retry: {attempts: 20, delay: 100ms}}
  - {id: serial, action: console.command, with: {port: console, send: 'SET_SERIAL ${unit.serial}', expect: '^OK'}}
  - {id: vdd, action: console.measure, with: {port: console, send: read temp, name: vdd, unit: degC, low: 20, high: 30}}
"""
DATABASE = 'provd.db'
# Of the migration after that of the records.
ORDER_COLUMNS = ('number', 'content_sha256', 'expires', 'requires', 'hold', 'ending', 'rework', 'assign', 'route_check')
TOKEN_RIGHTS = ('expires_at', 'scopes', 'rotated_at', 'old_sha256', 'old_until', 'used_at', 'used_from')
SEED = int(os.environ.get('PROVD_TEST_SEED', '1'))


def without_quality():
    """What takes db/sql/0026_quality.sql and all after it away again, as the unit tests of the database do it."""
    text = line.read(os.path.join(line.ROOT, 'tests', 'unit', 'db', 'fixture.h'))
    undo = {int(n): ''.join(re.findall(r'"((?:[^"\\]|\\.)*)"', body))
            for n, body in re.findall(r'\t\[(\d+)\] = (.*?)(?=,\n\t\[|\n\};)', text, re.S)}
    return ''.join(undo[n] for n in sorted(undo, reverse=True) if n >= 26)


# What a record is made of: the tables whose rows are changed, and how a row is named.
TABLES = ('runs', 'steps', 'measurements', 'run_log', 'run_records', 'record_nodes', 'checkpoints')


class Station(line.Line):
    """Units one after another, checkpoints that are signed, and documents too."""

    def __init__(self, more='', signer=True):
        super().__init__(2, boards=0, station_extra='    quarantine_after: 0\n')
        try:
            os.environ['PROVD_KEYD'] = line.binary('provd-keyd')
            self.vault = os.path.join(self.home, 'vault')
            os.mkdir(self.vault)
            self.document_key = os.path.join(self.vault, 'documents.key')
            self.record_key = os.path.join(self.vault, 'records.key')
            subprocess.run(['openssl', 'genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', self.document_key],
                           check=True, capture_output=True)
            os.chmod(self.document_key, 0o600)
            if signer:
                more = 'signers:\n  records: {key: %s}\n  log: {key: %s, signs: checkpoints}\nrecords: {signer: log, every_runs: 5%s}\n' % (
                    self.document_key, self.record_key, more)
            self.config(more)
            app = os.path.join(self.home, 'app.bin')
            with open(app, 'wb') as f:
                f.write(line.firmware())
            self.sim = line.Sim(self.home, 2, '--preload', app)
            self.start()
            self.api.post('/pools', {'id': 'record-sn', 'pattern': 'R{seq:06}', 'first': 1, 'last': 999999})
            self.put_recipe(RECIPE)
        except BaseException:
            self.close()
            raise

    def close(self):
        super().close()
        os.environ.pop('PROVD_KEYD', None)

    @property
    def database(self):
        return os.path.join(self.home, 'state', DATABASE)

    def runs(self):
        return self.api.all('/runs?state=finished')

    def make(self, n):
        """So many runs more, each of a unit of its own."""
        have = len(self.runs())
        self.api.post('/jobs', {'recipe': 'record@1', 'quantity': n})
        for i in range(n):
            line.wait_for('run %d' % (have + i + 1), lambda: len(self.runs()) > have + i)
            for s in self.api.get('/stations')['items']:
                if s['state'] == 'done':
                    self.sim.ctl('next', board='b' + s['id'][1:], gap_ms=100)

    def public(self, key):
        path = key + '.pub'
        subprocess.run(['openssl', 'pkey', '-in', key, '-pubout', '-out', path], check=True)
        return path

    def keys(self):
        """The public keys of both in one file."""
        path = os.path.join(self.vault, 'both.pem')
        line.write(path, line.read(self.public(self.record_key)) + line.read(self.public(self.document_key)))
        return path


def verify(*args):
    """Without a daemon: (exit status, what was found, all)."""
    p = subprocess.run([line.binary('provctl'), '--json', 'record', 'verify', *args], capture_output=True, text=True,
                       env=dict(os.environ, PROVD_URL='http://127.0.0.1:1'), timeout=line.DEADLINE_S)
    said = json.loads(p.stdout) if p.stdout else {}
    return p.returncode, said.get('findings', []), said or p.stderr


def digest(path):
    with open(path, 'rb') as f:
        return hashlib.sha256(f.read()).hexdigest()


class Record(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.station = Station()
        try:
            s = cls.station
            s.make(23)
            cls.note = s.provctl('record', 'checkpoint').stdout
            passed = [r for r in s.runs() if r['outcome'] == 'passed']
            assert len(passed) > 5, [(r['outcome'], r['message']) for r in s.runs()]
            serial = passed[0]['serial']
            cls.run_id = s.runs()[3]['id']
            cls.serial = serial
            cls.unit_file = os.path.join(s.home, 'unit.json')
            cls.run_file = os.path.join(s.home, 'run.json')
            cls.range_file = os.path.join(s.home, 'range.json')
            for args in ((serial, '--file', cls.unit_file), ('--run', cls.run_id, '--file', cls.run_file),
                         ('--from', '4', '--to', '11', '--file', cls.range_file)):
                p = s.provctl('record', 'export', *args)
                assert p.returncode == 0, p
            cls.keys = s.keys()
            assert s.provd.term() == 0
        except BaseException:
            cls.station.close()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.station.close()

    def copy(self):
        """A database that this test may change."""
        folder = os.path.join(self.station.home, self.id().rsplit('.', 1)[1])
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, DATABASE)
        shutil.copyfile(self.station.database, path)
        return path

    # --- nothing is found where nothing was changed ---

    def test_what_was_not_changed_is_whole_and_is_not_touched(self):
        path = self.copy()
        before = digest(path), os.stat(path).st_mtime_ns, sorted(os.listdir(os.path.dirname(path)))
        status, found, said = verify('--database', path, '--key', self.keys)
        self.assertEqual((status, found), (0, []), said)
        self.assertEqual((said['records'], said['covered'], said['trusted']), (23, 23, True), said)
        self.assertGreaterEqual(said['checkpoints'], 3)
        self.assertEqual((digest(path), os.stat(path).st_mtime_ns, sorted(os.listdir(os.path.dirname(path)))), before)
        for name in (self.unit_file, self.run_file, self.range_file):
            status, found, said = verify(name, '--key', self.keys)
            self.assertEqual((status, found), (0, []), said)
        self.assertEqual(verify('--database', path)[:2], (0, []))

    # --- the database ---

    def open_to_change(self, path):
        d = sqlite3.connect(path, isolation_level=None)
        for name, in d.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            d.execute('DROP TRIGGER %s' % name)
        d.execute('PRAGMA foreign_keys = OFF')
        d.execute('PRAGMA ignore_check_constraints = ON')
        return d

    def place_of(self, d, table, row):
        """What the sentence must name: one of these."""
        if table == 'record_nodes':
            return ['node %d' % row['pos'], 'record', 'node']
        if table == 'checkpoints':
            return ['checkpoint']
        if table == 'run_records':
            return ['record %d' % row['n']]
        run = row['id'] if table == 'runs' else row['run_id']
        return [run]

    @staticmethod
    def key_of(table):
        return {'runs': ('seq',), 'steps': ('run_id', 'n'), 'measurements': ('run_id', 'step_n', 'k'), 'run_log': ('run_id', 'k'),
                'run_records': ('n',), 'record_nodes': ('pos',), 'checkpoints': ('seq',)}[table]

    def pick(self, r, d, table):
        d.row_factory = sqlite3.Row
        return dict(r.choice(d.execute('SELECT * FROM %s' % table).fetchall()))

    def flip(self, r, d, table):
        row = self.pick(r, d, table)
        names = [k for k, v in row.items() if v not in (None, '')]
        name = r.choice(names)
        old = row[name]
        if isinstance(old, int):
            new = old ^ (1 << r.randrange(12))
        elif isinstance(old, float):
            new = old + 2.0 ** -r.randrange(1, 30)
        else:
            b = bytearray(old.encode())
            while True:
                i = r.randrange(len(b))
                c = bytearray(b)
                c[i] ^= 1 << r.randrange(8)
                try:
                    new = c.decode()
                except UnicodeDecodeError:
                    continue
                if '\0' not in new:
                    break
        where = ' AND '.join('%s = ?' % k for k in self.key_of(table))
        try:
            d.execute('UPDATE %s SET %s = ? WHERE %s' % (table, name, where), [new] + [row[k] for k in self.key_of(table)])
        except sqlite3.IntegrityError:
            return None
        return '%s.%s of %s: %r to %r' % (table, name, [row[k] for k in self.key_of(table)], old, new), self.place_of(d, table, row)

    def delete(self, r, d, table):
        row = self.pick(r, d, table)
        where = ' AND '.join('%s = ?' % k for k in self.key_of(table))
        d.execute('DELETE FROM %s WHERE %s' % (table, where), [row[k] for k in self.key_of(table)])
        return 'deleted from %s: %s' % (table, [row[k] for k in self.key_of(table)]), self.place_of(d, table, row)

    def swap(self, r, d, table):
        """What two rows say, but their keys."""
        a, b = self.pick(r, d, table), self.pick(r, d, table)
        keys = self.key_of(table)
        skip = keys + (('id', 'chain') if table == 'runs' else ())
        names = [k for k in a if k not in skip and a[k] != b[k]]
        if not names:
            return None
        where = ' AND '.join('%s = ?' % k for k in keys)
        for to, other in ((a, b), (b, a)):
            d.execute('UPDATE %s SET %s WHERE %s' % (table, ', '.join('%s = ?' % n for n in names), where),
                      [other[n] for n in names] + [to[k] for k in keys])
        return 'swapped in %s: %s' % (table, names), self.place_of(d, table, a) + self.place_of(d, table, b)

    def insert(self, r, d, table):
        row = self.pick(r, d, table)
        named = self.place_of(d, table, row)
        if table == 'runs':
            row.update(seq=900 + r.randrange(99), id='00000000-0000-7000-8000-%012d' % r.randrange(10 ** 9), hash='0' * 64)
            row['chain'] = r.choice((None, 24))
            named = [row['id']]
        else:
            last = self.key_of(table)[-1]
            top, = d.execute('SELECT max(%s) FROM %s' % (last, table)).fetchone()
            row[last] = top + 1
            if table == 'run_records':
                named = ['record %d' % row['n']]
            if table == 'record_nodes':
                named = ['node %d' % row['pos']]
        d.execute('INSERT INTO %s (%s) VALUES (%s)' % (table, ', '.join(row), ', '.join('?' * len(row))), list(row.values()))
        return 'inserted into %s: %s' % (table, [row[k] for k in self.key_of(table)]), named

    def test_100_random_changes_of_the_database_are_found_and_located(self):
        r = random.Random(SEED)
        done = 0
        while done < 100:
            path = self.copy()
            d = self.open_to_change(path)
            what = r.choice((self.flip, self.flip, self.delete, self.swap, self.insert))
            changed = what(r, d, r.choice(TABLES))
            d.close()
            if not changed:
                continue
            done += 1
            with self.subTest(n=done, changed=changed[0]):
                status, found, said = verify('--database', path, '--key', self.keys)
                self.assertEqual(status, 1, said)
                self.assertTrue(found, said)
                self.assertTrue([f for f in found for name in changed[1] if name in f], (changed, found))

    @staticmethod
    def all_rows(path):
        """What a reader sees of these tables, with types; None where it cannot be read."""
        d = sqlite3.connect('file:%s?immutable=1' % path, uri=True)
        d.text_factory = bytes
        try:
            seen = []
            for table in TABLES:
                names = [r[1].decode() for r in d.execute('PRAGMA table_info(%s)' % table)]
                seen.append(d.execute('SELECT %s FROM %s NOT INDEXED' % (', '.join('%s, typeof(%s)' % (n, n) for n in names), table)).fetchall())
            return seen
        except sqlite3.Error:
            return None
        finally:
            d.close()

    def test_100_flipped_bits_in_the_pages_of_the_file_are_found_where_a_reader_sees_them(self):
        r = random.Random(SEED)
        path = self.copy()
        with sqlite3.connect(path) as d:
            size, = d.execute('PRAGMA page_size').fetchone()
            pages = [p for p, in d.execute('SELECT pageno FROM dbstat WHERE name IN (%s) ORDER BY pageno' % ', '.join('?' * len(TABLES)), TABLES)]
        with open(path, 'rb') as f:
            data = f.read()
        want = self.all_rows(path)
        seen = 0
        for n in range(400):
            b = bytearray(data)
            at = (r.choice(pages) - 1) * size + r.randrange(size)
            b[at] ^= 1 << r.randrange(8)
            with open(path, 'wb') as f:
                f.write(b)
            status, found, said = verify('--database', path, '--key', self.keys)
            got = self.all_rows(path)
            if got == want:
                continue
            seen += 1
            differ = got and [(t, set(a) ^ set(b)) for t, a, b in zip(TABLES, want, got) if a != b]
            with self.subTest(n=n, at=at):
                self.assertNotEqual(status, 0, (differ, said))
            if seen == 100:
                break
        self.assertGreaterEqual(seen, 100)

    def test_a_changed_row_is_named_with_its_step_and_what_was_recorded(self):
        path = self.copy()
        with self.open_to_change(path) as d:
            run, n = d.execute("SELECT run_id, step_n FROM measurements WHERE name = 'vdd' LIMIT 1 OFFSET 2").fetchone()
            d.execute('UPDATE measurements SET value = 4.75 WHERE run_id = ? AND step_n = ?', (run, n))
        _, found, said = verify('--database', path, '--key', self.keys)
        self.assertEqual(len(found), 1, said)
        self.assertRegex(found[0], r"^run %s \(record \d+\): report, steps %d 'vdd', measurements 1 'vdd', value: [0-9.]+ was recorded, 4.75 is there$" % (run, n))

    def test_a_history_that_was_written_again_is_found_by_its_checkpoints_alone(self):
        """Rows, texts, digests and tree all fit each other: only what was signed does not."""
        path = self.copy()
        with self.open_to_change(path) as d:
            rows = d.execute('SELECT n, record FROM run_records ORDER BY n').fetchall()
            texts = [t for _, t in rows]
            run, = d.execute('SELECT id FROM runs WHERE chain = 12').fetchone()
            d.execute("UPDATE prompts SET answer = answer")
            step = json.loads(texts[11])['report']['steps'][-1]
            # The report's own chain (SHA-256 of the older form) is written again as well.
            d.execute('UPDATE steps SET message = ? WHERE run_id = ? AND n = ?', ('all is well', run, step['n']))
            previous, hashes = '0' * 64, {}
            for n, old in rows:
                o = json.loads(old)
                if n == 12:
                    o['report']['steps'][-1]['message'] = 'all is well'
                report = {k: v for k, v in o['report'].items() if k not in ('hash', 'prev_hash')}
                before = hashes.get(n - 1, '0' * 64)
                text = json.dumps(report, sort_keys=True, separators=(',', ':'), ensure_ascii=False)
                hashes[n] = hashlib.sha256((before + text).encode()).hexdigest() if n >= 12 else o['report']['hash']
                o['report'].update(prev_hash=before, hash=hashes[n])
                o['previous'] = previous
                d.execute('UPDATE runs SET prev_hash = ?, hash = ? WHERE chain = ?', (before, hashes[n], n))
                texts[n - 1] = json.dumps(o, sort_keys=True, separators=(',', ':'), ensure_ascii=False)
                if n < 12:
                    self.assertEqual(texts[n - 1], old)
                previous = hashlib.sha256(texts[n - 1].encode()).hexdigest()
                d.execute('UPDATE run_records SET record = ? WHERE n = ?', (texts[n - 1], n))
            stack, pos = [], 0
            for text in texts:
                h, level = hashlib.sha256(b'\0' + text.encode()).digest(), 0
                while True:
                    d.execute('UPDATE record_nodes SET hash = ? WHERE pos = ?', (h.hex(), pos))
                    pos += 1
                    if not stack or stack[-1][0] != level:
                        break
                    h, level = hashlib.sha256(b'\1' + stack.pop()[1] + h).digest(), level + 1
                stack.append((level, h))
        status, found, said = verify('--database', path, '--key', self.keys)
        self.assertEqual(status, 1, said)
        self.assertTrue(found)
        for f in found:
            self.assertRegex(f, r'^checkpoint \d+ is of other records than the first \d+ here')
        # Where the checkpoints of the database are gone as well, one that was kept elsewhere still says so.
        with sqlite3.connect(path) as d:
            d.execute('DELETE FROM checkpoints')
            d.execute("DELETE FROM sqlite_sequence WHERE name = 'checkpoints'")
        status, found, _ = verify('--database', path, '--key', self.keys)
        self.assertEqual((status, found), (1, ['no checkpoint is signed by a key that was given: nothing here is under a signature']))
        kept = os.path.join(self.station.home, 'kept.txt')
        line.write(kept, self.note)
        status, found, said = verify('--database', path, '--key', self.keys, '--checkpoint', kept)
        self.assertEqual(status, 1, said)
        self.assertIn('another history', found[0])

    def test_a_range_says_only_what_is_in_it(self):
        path = self.copy()
        with self.open_to_change(path) as d:
            d.execute("UPDATE steps SET message = 'changed' WHERE run_id = (SELECT id FROM runs WHERE chain = 7)")
        self.assertEqual(verify('--database', path, '--from', '8', '--to', '20')[0], 0)
        status, found, _ = verify('--database', path, '--from', '7', '--to', '7')
        self.assertEqual(status, 1)
        self.assertIn('(record 7)', found[0])

    def test_another_key_or_host_is_named(self):
        path = self.copy()
        other = os.path.join(self.station.vault, 'other.key')
        subprocess.run(['openssl', 'genpkey', '-algorithm', 'ed25519', '-out', other], check=True)
        other = self.station.public(other)
        for args in (('--database', path), (self.run_file,), (self.unit_file,)):
            status, found, said = verify(*args, '--key', other)
            self.assertEqual(status, 1, said)
            self.assertTrue([f for f in found if 'signed by another key' in f], found)
            status, found, said = verify(*args, '--host', '0' * 16)
            self.assertEqual(status, 1, said)
            self.assertIn('of the host', found[0])

    def test_what_is_no_record_is_refused_with_its_place(self):
        for name, text, said in (('empty', '', '0 bytes'), ('text', 'hello', 'line 1'), ('other', '{"a": 1}', 'not a record of provd'),
                                 ('cut', line.read(self.unit_file)[:-100], 'cut off')):
            path = os.path.join(self.station.home, name)
            line.write(path, text)
            status, _, answer = verify(path)
            self.assertIn(status, (2, 3), answer)
            self.assertIn(said, answer)
        older = os.path.join(self.station.home, 'older.db')
        with sqlite3.connect(older) as d:
            d.execute('PRAGMA application_id = 1886807089')
            d.execute('PRAGMA user_version = 16')
            d.execute('CREATE TABLE x (y)')
        self.assertIn('wrote no records yet', verify('--database', older)[2])
        with sqlite3.connect(older) as d:
            d.execute('PRAGMA user_version = 9999')
        self.assertIn('newer provd', verify('--database', older)[2])
        status, _, answer = verify('--database', os.path.join(self.station.home, 'nowhere.db'))
        self.assertEqual(status, 3, answer)

    # --- what was exported ---

    def changes_of(self, r, data):
        """A flip, a piece that is missing, twice, or elsewhere."""
        b = bytearray(data)
        i, j = r.randrange(len(b)), r.randrange(len(b))
        n = r.randrange(1, 40)
        what = r.randrange(5)
        if what <= 1:
            b[i] ^= 1 << r.randrange(8)
        elif what == 2:
            del b[i:i + n]
        elif what == 3:
            b[i:i + n], b[j:j + n] = b[j:j + n], b[i:i + n]
        else:
            b[i:i] = b[j:j + n]
        return bytes(b)

    def test_100_random_changes_of_an_export_are_found_and_located(self):
        r = random.Random(SEED)
        path = os.path.join(self.station.home, 'changed')
        done = 0
        while done < 100:
            with open(r.choice((self.unit_file, self.run_file, self.range_file)), 'rb') as f:
                data = f.read()
            b = self.changes_of(r, data)
            if b == data or b.strip() == data.strip():
                continue
            done += 1
            with open(path, 'wb') as f:
                f.write(b)
            with self.subTest(n=done):
                status, found, said = verify(path, '--key', self.keys)
                self.assertNotEqual(status, 0, said)
                # Where it cannot be read any more, that is the place; else each finding has its own.
                for text in found or [said]:
                    self.assertRegex(text, r'entry \d+: run|checkpoint|envelope|statement|predicate|the file|line \d+, column \d+|bytes')

    def test_a_record_that_is_left_out_of_a_range_or_has_another_place_is_named(self):
        whole = json.loads(line.read(self.range_file))
        path = os.path.join(self.station.home, 'range-changed')

        def found_in(change):
            o = json.loads(json.dumps(whole))
            change(o['records'])
            line.write(path, json.dumps(o))
            status, found, said = verify(path, '--key', self.keys)
            self.assertEqual(status, 1, said)
            return '\n'.join(found)
        self.assertEqual([e['n'] for e in whole['records']], list(range(4, 12)))
        self.assertIn('entry 3: it is number 7, and number 6 was expected', found_in(lambda r: r.pop(2)))
        self.assertIn('and has 7', found_in(lambda r: r.pop()))
        self.assertIn('entry 1: it is number 5, and number 4 was expected', found_in(lambda r: r.insert(0, r.pop(1))))
        self.assertIn('entry 2: run', found_in(lambda r: r[1].update(record=r[2]['record'])))

    def test_a_run_that_is_left_out_of_a_unit_is_missed(self):
        envelope = json.loads(line.read(self.unit_file))
        statement = json.loads(base64.b64decode(envelope['payload']))
        self.assertEqual([s['name'] for s in statement['subject']], [self.serial])
        statement['predicate']['records'] = []
        envelope['payload'] = base64.b64encode(json.dumps(statement, sort_keys=True, separators=(',', ':'), ensure_ascii=False).encode()).decode()
        path = os.path.join(self.station.home, 'left-out')
        line.write(path, json.dumps(envelope))
        status, found, said = verify(path)
        self.assertEqual(status, 1, said)


    def test_the_page_of_the_docs_verifies_a_unit_with_openssl_and_sha256sum(self):
        page = line.read(os.path.join(line.ROOT, 'docs', 'records.md'))
        script = page[page.index("```sh\n( set -eu\n# verify a unit's records") + 6:]
        script = script[:script.index('```')]
        home = os.path.join(self.station.home, 'by-hand')
        os.mkdir(home)
        shutil.copyfile(self.station.public(self.station.record_key), os.path.join(home, 'log.pem'))
        shutil.copyfile(self.station.public(self.station.document_key), os.path.join(home, 'documents.pem'))

        def by_hand(envelope):
            line.write(os.path.join(home, 'unit.json'), json.dumps(envelope))
            return subprocess.run(['sh', '-c', script], cwd=home, capture_output=True, text=True)
        envelope = json.loads(line.read(self.unit_file))
        good = by_hand(envelope)
        self.assertEqual(good.returncode, 0, good)
        self.assertIn('the record is among those of the checkpoint', good.stdout)
        self.assertIn('Signature Verified Successfully', good.stdout)
        payload = base64.b64decode(envelope['payload'])
        at = payload.index(b'vdd')
        envelope['payload'] = base64.b64encode(payload[:at] + b'vda' + payload[at + 3:]).decode()
        self.assertNotEqual(by_hand(envelope).returncode, 0)

    def test_a_log_that_nobody_has_open_is_read_and_stays(self):
        path = self.copy()
        with sqlite3.connect(path) as d:
            # Another program's reader keeps sqlite from moving the log into the file when it closes.
            reader = sqlite3.connect(path)
            reader.execute('BEGIN')
            reader.execute('SELECT count(*) FROM runs').fetchone()
            d.execute("UPDATE clock SET floor_ms = floor_ms + 1")
            d.commit()
            for suffix in ('', '-wal'):
                shutil.copyfile(path + suffix, path + '.copy' + suffix)
            reader.close()
        copy = path + '.copy'
        self.assertGreater(os.path.getsize(copy + '-wal'), 0)
        before = digest(copy), digest(copy + '-wal'), sorted(os.listdir(os.path.dirname(path)))
        status, found, said = verify('--database', copy, '--key', self.keys)
        self.assertEqual((status, found), (0, []), said)
        self.assertEqual((digest(copy), digest(copy + '-wal'), sorted(os.listdir(os.path.dirname(path)))), before)


class Notary(http.server.BaseHTTPRequestHandler):
    """Whoever keeps checkpoints elsewhere: says no a few times first."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length'])).decode()
        self.server.asked += 1
        status = 503 if self.server.asked <= 2 else 201
        if status == 201:
            self.server.kept.append((self.path, self.headers['Content-Type'], body))
        self.send_response(status)
        self.send_header('Content-Length', '0')
        self.end_headers()

    def log_message(self, *args):
        pass


class Life(unittest.TestCase):
    def station(self, *args, **kw):
        s = Station(*args, **kw)
        self.addCleanup(s.close)
        return s

    def test_checkpoints_go_to_a_service_also_when_it_says_no_first(self):
        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Notary)
        server.asked, server.kept = 0, []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        s = self.station(", service: archive, path: /log}\nservices:\n  archive: {url: 'http://127.0.0.1:%d'" % server.server_address[1])
        s.make(6)
        line.wait_for('a checkpoint is kept elsewhere', lambda: server.kept)
        path, kind, note = server.kept[0]
        self.assertEqual((path, kind), ('/log', 'text/plain; charset=utf-8'))
        self.assertIn(note, [c['note'] for c in s.api.get('/records/checkpoints')['items']])
        kept = os.path.join(s.home, 'kept')
        line.write(kept, note)
        # While provd works.
        status, found, said = verify('--database', s.database, '--key', s.keys(), '--checkpoint', kept)
        self.assertEqual((status, found), (0, []), said)
        event = [e for e in s.api.all('/events') if e['type'] == 'records-checkpoint'][0]['data']
        self.assertTrue(event['signed'])

    def test_a_kill_in_the_middle_leaves_tree_and_runs_equal(self):
        s = self.station()
        r = random.Random(SEED)
        s.api.post('/jobs', {'recipe': 'record@1', 'quantity': 200})
        for i in range(8):
            have = len(s.runs())
            line.wait_for('a run more', lambda: len(s.runs()) > have)
            for b in (1, 2):
                s.sim.ctl('next', board='b%d' % b, gap_ms=r.choice((5, 50, 100)))
            have += r.randrange(2)
            line.wait_for('something goes on', lambda: len(s.runs()) > have or
                          [x for x in s.api.get('/stations')['items'] if x['state'] == 'running'])
            s.provd.kill()
            with self.subTest(kill=i):
                status, found, said = verify('--database', s.database)
                self.assertEqual((status, found), (0, []), said)
            s.start()
        self.assertEqual(s.provd.term(), 0)
        status, found, said = verify('--database', s.database, '--key', s.keys())
        self.assertEqual((status, found), (0, []), said)
        with sqlite3.connect(s.database) as d:
            self.assertEqual(said['records'], d.execute('SELECT count(*) FROM runs WHERE chain IS NOT NULL').fetchone()[0])
            self.assertEqual(said['covered'], said['records'])

    def test_a_restored_backup_is_another_history(self):
        s = self.station()
        s.make(3)
        self.assertEqual(s.provd.term(), 0)
        backup = s.database + '.backup'
        shutil.copyfile(s.database, backup)
        s.start()
        s.make(3)
        lost = s.provctl('record', 'checkpoint').stdout
        kept = os.path.join(s.home, 'lost.txt')
        line.write(kept, lost)
        self.assertEqual(s.provd.term(), 0)
        for name in os.listdir(os.path.dirname(s.database)):
            if name.startswith('provd.db') and not name.endswith('.backup'):
                os.unlink(os.path.join(os.path.dirname(s.database), name))
        shutil.move(backup, s.database)
        s.start()
        self.assertEqual(s.provctl('records', 'accept', '--reason', 'restored').returncode, 0)
        s.make(3)
        now = s.provctl('record', 'checkpoint').stdout
        self.assertEqual(s.provd.term(), 0)
        lost, now = lost.splitlines(), now.splitlines()
        # The same host and as many records, and nobody can take one for the other.
        self.assertEqual(lost[:2], now[:2])
        self.assertNotEqual(lost[2], now[2])
        self.assertEqual([x.split()[2] for x in (lost[3], now[3])], ['1', '2'])
        status, found, said = verify('--database', s.database, '--key', s.keys())
        self.assertEqual((status, found), (0, []), said)
        status, found, said = verify('--database', s.database, '--key', s.keys(), '--checkpoint', kept)
        self.assertEqual(status, 1, said)
        self.assertRegex(found[0], 'given is of other records than the first 6 here: after record [0-9]+, and up to it, this is another history')

    def test_runs_of_before_the_update_get_their_records(self):
        s = self.station()
        s.make(4)
        self.assertEqual(s.provd.term(), 0)
        with sqlite3.connect(s.database) as d:
            d.executescript(without_quality() + '''DROP TRIGGER tokens_stay; CREATE TRIGGER tokens_stay BEFORE UPDATE ON tokens BEGIN SELECT 1; END;'''
                            + ''.join('ALTER TABLE tokens DROP COLUMN %s;' % c for c in TOKEN_RIGHTS)
                            + 'DROP INDEX units_by_model; DROP TABLE traces; DROP TABLE job_units; DROP TRIGGER jobs_number_stays; DROP INDEX jobs_by_number; DROP INDEX jobs_by_expiry;'
                            + ''.join('ALTER TABLE jobs DROP COLUMN %s;' % c for c in ORDER_COLUMNS)
                            + '''ALTER TABLE jobs DROP COLUMN kind; DROP TABLE fixtures; DROP TABLE interlock_releases;
                            DROP TABLE deliveries; DROP TABLE webhooks; DROP TABLE spool; DROP TRIGGER run_log_remains; DROP TABLE archives;
                            DROP TABLE run_records; DROP TABLE record_nodes; DROP TABLE checkpoints; PRAGMA user_version = 16;''')
        s.forget_page_sums()
        s.start()
        line.wait_for('all runs have a record', lambda: s.api.request('GET', '/records/range?from=4').status == 200)
        s.make(1)
        self.assertEqual(s.provd.term(), 0)
        status, found, said = verify('--database', s.database, '--key', s.keys())
        self.assertEqual((status, found, said['records'], said['covered']), (0, [], 5, 5), said)

    def test_without_a_key_process_checkpoints_say_that_they_are_not_signed(self):
        s = self.station(signer=False)
        s.make(2)
        note = s.provctl('record', 'checkpoint').stdout
        self.assertNotIn('\u2014', note)
        newest = s.api.get('/records/checkpoint')
        self.assertEqual((newest['signed'], newest['public_key'], newest['size']), (False, None, 2))
        path = os.path.join(s.home, 'unit.json')
        serial = [r for r in s.runs() if r['outcome'] == 'passed'][0]['serial']
        self.assertEqual(s.provctl('record', 'export', serial, '--file', path).returncode, 0)
        self.assertEqual(json.loads(line.read(path))['signatures'], [])
        status, found, said = verify(path)
        self.assertEqual((status, found, said['covered']), (0, [], 0), said)
        self.assertEqual(verify('--database', s.database)[:2], (0, []))

    def test_the_certificate_of_conformance_loads_nothing(self):
        s = self.station()
        s.make(1)
        run, = s.runs()
        self.assertEqual(run['outcome'], 'passed', run)
        self.assertIn('\u2014', s.provctl('record', 'checkpoint').stdout)
        a = s.api.request('GET', '/units/%s/certificate-of-conformance' % run['serial'])
        page = a.body.decode()
        self.assertEqual((a.status, a.headers['Content-Type']), (200, 'text/html; charset=utf-8'))
        policy = a.headers['Content-Security-Policy']
        self.assertIn("default-src 'none'", policy)
        style = page[page.index('<style>') + 7:page.index('</style>')]
        self.assertIn("style-src 'sha256-%s'" % base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(), policy)
        for word in ('<script', ' src=', 'href=', 'http:', 'url(', 'onload', 'style='):
            self.assertNotIn(word, page)
        record = json.loads(s.api.get('/runs/%s/record' % run['id'])['record'])
        text = s.api.get('/runs/%s/record' % run['id'])['record']
        for word in (run['serial'], 'vdd', 'record', hashlib.sha256(text.encode()).hexdigest(), record['report']['recipe']['sha256']):
            self.assertIn(word, page)
        saved = os.path.join(s.home, 'page.html')
        self.assertEqual(s.provctl('unit', 'conformance', run['serial'], '--file', saved).returncode, 0)
        self.assertEqual(line.read(saved), page)
        self.assertEqual(s.api.request('GET', '/units/nobody/certificate-of-conformance').status, 404)


if __name__ == '__main__':
    line.main()
