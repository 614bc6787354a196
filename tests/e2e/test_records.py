#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# The records when they are not what the line worked with: a restored backup, a database that is gone,
# damage in it, a disk without room, a clock that falls. Each is seen, said, and nothing is given out
# twice. Clock and disk are made by a small library that is put in front of the C library's.
import contextlib
import glob
import json
import os
import random
import shutil
import sqlite3
import subprocess
import threading
import time
import unittest

import line

SHIM = r'''
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static long long read_number(const char *env)
{
	char text[32] = {0};
	const char *path = getenv(env);
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof text - 1) < 0)
		text[0] = 0;
	close(fd);
	return atoll(text);
}
int clock_gettime(clockid_t c, struct timespec *t)
{
	int r = (int)syscall(SYS_clock_gettime, c, t);

	if (r == 0 && (c == CLOCK_REALTIME || c == CLOCK_REALTIME_COARSE))
		t->tv_sec += read_number("TEST_CLOCK_OFFSET");
	return r;
}
time_t time(time_t *p)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return p ? (*p = t.tv_sec) : t.tv_sec;
}
int statvfs(const char *path, struct statvfs *v)
{
	long long left = read_number("TEST_DISK_FREE");

	v->f_bsize = v->f_frsize = 4096;
	v->f_blocks = (256ll << 30) / 4096;
	v->f_bavail = v->f_bfree = (left ? left : 100ll << 30) / 4096;
	return 0;
}
int statvfs64(const char *path, struct statvfs64 *v) __attribute__((alias("statvfs")));
'''


def dump(path):
    with open(path) as f:
        return f.read()


class Filler(threading.Thread):
    """Takes every block of a file system that anybody gives free, until end()."""

    def __init__(self, directory):
        super().__init__(daemon=True)
        self.directory, self.path = directory, os.path.join(directory, 'fill')
        self.ending = threading.Event()
        self.start()

    def run(self):
        with open(self.path, 'wb', buffering=0) as f:
            while not self.ending.is_set():
                try:
                    while f.write(bytes(4096)):
                        pass
                except OSError:
                    self.ending.wait(0.002)

    def full(self):
        return os.statvfs(self.directory).f_bavail == 0

    def end(self):
        self.ending.set()
        self.join()
        os.unlink(self.path)


class RecordsTest(unittest.TestCase):
    def setUp(self):
        self.image = line.firmware(16 * 1024)

    def order(self, l, n=1):
        job = l.api.post('/jobs', {'recipe': 'production', 'quantity': n})['id']
        return l.job_done(job)

    def serials(self, l):
        return sorted(u['serial'] for u in l.api.all('/units') if u['serial'])

    def db_path(self, l):
        return os.path.join(l.home, 'state', 'provd.db')

    def backup(self, l, name='backup.db'):
        """As the operator's guide says: sqlite's own backup, while provd works."""
        to = os.path.join(l.home, name)
        with sqlite3.connect(self.db_path(l)) as src, sqlite3.connect(to) as dst:
            src.backup(dst)
        return to

    def restore(self, l, backup):
        for path in glob.glob(self.db_path(l) + '*'):
            os.unlink(path)
        if backup:
            shutil.copy(backup, self.db_path(l))
            os.chmod(self.db_path(l), 0o600)

    def holds(self, l):
        a = l.api.request('GET', '/readyz', raw=True)
        return a.status, {h['code']: h for h in a.json['holds']}

    def test_a_restored_backup_gives_nothing_out_twice(self):
        with line.Line(stations=2, boards=2, sim_args=('--units', '60', '--replace-after-idle', '300')) as l:
            l.start()
            l.prepare(self.image)
            self.order(l, 2)
            backup = self.backup(l)
            before = self.serials(l)
            self.order(l, 3)
            after = self.serials(l)
            last = l.api.get('/records')['last_seq']
            epoch = l.api.get('/records')['epoch']
            self.assertEqual(l.provd.term(), 0)
            self.restore(l, backup)
            l.start()
            status, holds = self.holds(l)
            self.assertEqual(status, 503)
            self.assertIn('older', holds['records-held']['message'])
            # Reading goes on; an order, a pool, a recipe are refused with the way out.
            self.assertEqual(self.serials(l), before)
            a = l.api.request('POST', '/jobs', {'recipe': 'production', 'quantity': 1})
            self.assertEqual((a.status, a.json['code']), (503, 'records-held'))
            self.assertEqual(l.api.request('POST', '/pools', {'id': 'x', 'pattern': '{seq}'}).status, 503)
            self.assertEqual(l.api.request('POST', '/records/actions/accept', {}).status, 422)
            shown = l.provctl('records', 'show')
            self.assertIn('records-held', shown.stdout)
            self.accept_at_once(l, 'the disk of the host died')
            self.assertEqual(self.holds(l)[0], 200)
            self.order(l, 2)
            now = self.serials(l)
            self.assertEqual(len(now), 4)
            on_units = [state['serial'] for _, state, _ in l.sim.units() if state.get('serial')]
            self.assertGreater(len(on_units), len(after))
            self.assertEqual(len(on_units), len(set(on_units)), 'a serial number was given out twice')
            # Events go on after the last that was published, in another epoch.
            new = l.api.get('/records')
            self.assertNotEqual(new['epoch'], epoch)
            self.assertGreater(new['last_seq'], last)
            self.assertEqual(new['epochs'][0]['reason'], 'the disk of the host died')
            for cursor, status in (('%s-%d' % (epoch, last), 410), (str(last), 410), (str(new['last_seq']), 200)):
                a = l.api.request('GET', '/events?after=' + cursor)
                self.assertEqual(a.status, status, cursor)
            self.assertEqual(l.api.request('GET', '/events', headers={
                'Accept': 'text/event-stream', 'Last-Event-ID': str(last)}).status, 410)
            # What is accepted stays so over a restart.
            self.assertEqual(l.provd.term(), 0)
            l.start()
            self.assertEqual(self.holds(l)[0], 200)
            self.assertEqual(l.api.request('POST', '/records/actions/accept', {'reason': 'x'}).status, 409)

    def accept_at_once(self, l, reason, people=6):
        """Of several who accept at the same time one does; the others are in conflict with that."""
        answers = []

        def accept():
            api = l.provd.api()
            answers.append(api.request('POST', '/records/actions/accept', {'reason': reason}))
            api.close()

        threads = [threading.Thread(target=accept) for _ in range(people)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(sorted(a.status for a in answers), [200] + [409] * (people - 1))
        won = next(a.json for a in answers if a.status == 200)
        self.assertEqual(won['epoch'], l.api.get('/records')['epoch'])
        self.assertEqual(len(l.api.get('/records')['epochs']), 2)

    def test_damaged_marks_hold_the_line_and_a_person_names_what_was_given_out(self):
        with line.Line(stations=1, boards=1) as l:
            l.start()
            l.prepare(self.image)
            self.assertEqual(l.provd.term(), 0)
            os.truncate(os.path.join(l.home, 'state', 'provd.marks'), 100)
            l.start()
            status, holds = self.holds(l)
            self.assertEqual(status, 503)
            self.assertIn('damaged', holds['records-held']['message'])
            self.assertEqual(l.api.request('POST', '/records/actions/accept', {'reason': 'bad disk'}).status, 422)
            done = l.provctl('records', 'accept', '--reason', 'bad disk', '--pools', 'production-sn=77')
            self.assertEqual(done.returncode, 0, done.stderr)
            self.order(l, 1)
            self.assertRegex(self.serials(l)[0], '000077$')
            self.assertEqual(l.provd.term(), 0)
            l.start()
            self.assertEqual(self.holds(l)[0], 200)

    def test_marks_that_are_damaged_anywhere_hold_the_line_and_a_torn_end_does_not(self):
        """An older database with damaged marks: what they lack is not given out a second time."""
        with line.Line(stations=1, boards=1, sim_args=('--units', '60', '--replace-after-idle', '300')) as l:
            l.start()
            l.prepare(self.image)
            self.order(l)
            backup = self.backup(l)
            self.order(l, 3)
            self.assertEqual(l.provd.term(), 0)
            newest = os.path.join(l.home, 'newest.db')
            shutil.copy(self.db_path(l), newest)
            marks = os.path.join(l.home, 'state', 'provd.marks')
            with open(marks, 'rb') as f:
                good = f.read()
            lines = good[512:].splitlines(keepends=True)
            of_pool = [n for n, text in enumerate(lines) if b'production-sn' in text]
            self.assertGreaterEqual(len(of_pool), 4)

            def start(bytes, database):
                self.restore(l, database)
                with open(marks, 'wb') as f:
                    f.write(bytes)
                l.start()
                held = self.holds(l)[1].get('records-held', {}).get('message', '')
                if not held:
                    self.assertEqual(l.provd.term(), 0)
                return held
            # All but the first line of the pool are lost, in different ways.
            cut = good[:512 + len(b''.join(lines[:of_pool[1]]))]
            zeros = cut + bytes(len(good) - len(cut))
            bad = bytearray(good)
            for n in of_pool[1:]:
                bad[512 + len(b''.join(lines[:n])) + 12] ^= 1
            missing = good[:512] + b''.join(text for n, text in enumerate(lines) if n not in of_pool[1:])
            for what, bytes_ in (('cut', cut), ('zeros', zeros), ('changed', bytes(bad)), ('missing', missing)):
                for database in (backup, newest):
                    self.assertIn('damaged', start(bytes_, database), what)
                    a = l.api.request('POST', '/records/actions/accept', {'reason': 'without numbers'})
                    self.assertEqual(a.status, 422, what)
                    l.provd.stop()
            # What a crash leaves: a last line that nobody was answered for.
            self.assertEqual(start(good + lines[-1][:20], newest), '')
            self.assertEqual(start(good + bytes(700), newest), '')
            # The way out.
            self.assertIn('damaged', start(bytes(bad), backup))
            done = l.provctl('records', 'accept', '--reason', 'bad disk', '--pools', 'production-sn=50')
            self.assertEqual(done.returncode, 0, done.stderr)
            self.order(l)
            on_units = [state['serial'] for _, state, _ in l.sim.units() if state.get('serial')]
            self.assertEqual(len(on_units), len(set(on_units)), on_units)

    def test_a_copy_with_its_marks_on_another_machine_is_held(self):
        with line.Line(stations=1, boards=1, sim_args=('--units', '60', '--replace-after-idle', '300')) as l:
            machine = os.path.join(l.home, 'machine-id')

            def name(text):
                with open(machine, 'w') as f:
                    f.write(text)
            name('0123456789abcdef0123456789abcdef\n')
            l.config('machine_id: %s\n' % machine)
            l.start()
            l.prepare(self.image)
            self.order(l)
            self.assertEqual(l.provd.term(), 0)
            l.start()
            self.assertEqual(self.holds(l), (200, {}))
            self.assertEqual(l.provd.term(), 0)
            self.assertNotIn('0123456789abcdef', dump(os.path.join(l.home, 'state', 'provd.marks')))
            name('00000000000000000000000000000001\n')
            for _ in range(2):
                l.start()
                status, holds = self.holds(l)
                self.assertEqual(status, 503)
                self.assertIn('another machine', holds['records-held']['message'])
                self.assertEqual(l.api.get('/records')['lineage']['verdict'], 'moved')
                self.assertEqual(len(self.serials(l)), 1)
                self.assertEqual(l.api.request('POST', '/jobs', {'recipe': 'production', 'quantity': 1}).status, 503)
                self.assertEqual(l.provd.term(), 0)
            # A machine without a name is not told apart, and the log says so.
            name('uninitialized\n')
            l.start()
            self.assertEqual(self.holds(l), (200, {}))
            self.assertIn('would not be noticed', l.provd.log_text())
            self.assertEqual(l.provd.term(), 0)
            name('00000000000000000000000000000001\n')
            l.start()
            done = l.provctl('records', 'accept', '--reason', 'both work', '--pools', 'production-sn=5000')
            self.assertEqual(done.returncode, 0, done.stderr)
            self.order(l)
            self.assertRegex(self.serials(l)[-1], '005000$')
            self.assertEqual(l.provd.term(), 0)
            l.start()
            self.assertEqual(self.holds(l), (200, {}))
            self.assertEqual(l.api.get('/records')['epochs'][0]['reason'], 'both work')

    def test_a_database_that_is_gone_is_no_first_start(self):
        with line.Line(stations=1, boards=1) as l:
            l.start()
            l.prepare(self.image)
            self.order(l)
            l.provd.kill()
            self.restore(l, None)
            l.start()
            self.assertIn('missing', self.holds(l)[1]['records-held']['message'])
            l.provd.kill()
            l.start()
            self.assertEqual(self.holds(l)[0], 503, 'a second start forgot it')

    def test_a_database_that_is_gone_with_its_marks_leaves_its_sums(self):
        with line.Line(stations=1, boards=1) as l:
            l.start()
            l.prepare(self.image)
            self.order(l)
            l.provd.kill()
            for name in ('provd.db', 'provd.db-wal', 'provd.db-shm', 'provd.marks'):
                os.unlink(os.path.join(l.home, 'state', name))
            for start in ('first', 'second'):
                l.start()
                self.assertEqual(self.holds(l)[0], 503, start)
                self.assertIn('high-water marks', self.holds(l)[1]['records-held']['message'])
                l.provd.kill()

    def test_a_file_that_is_taken_away_from_a_running_provd_holds_the_line(self):
        for name in ('provd.db', 'provd.db-wal', 'provd.marks'):
            with self.subTest(file=name), line.Line(stations=1, boards=1) as l:
                l.start()
                l.prepare(self.image)
                path = os.path.join(l.home, 'state', name)
                self.assertEqual(self.holds(l), (200, {}))
                os.rename(path, path + '.away')
                line.wait_for('the hold', lambda: self.holds(l)[0] == 503)
                self.assertIn(name + ' was removed', self.holds(l)[1]['records-damaged']['message'])
                l.provd.term()
                os.rename(path + '.away', path)
                l.start()
                self.assertEqual(self.holds(l), (200, {}))
                self.order(l)

    def test_marks_that_are_gone_need_a_persons_numbers(self):
        with line.Line(stations=1, boards=1) as l:
            l.start()
            l.prepare(self.image)
            self.order(l)
            self.assertEqual(l.provd.term(), 0)
            os.unlink(os.path.join(l.home, 'state', 'provd.marks'))
            l.start()
            self.assertEqual(self.holds(l)[0], 503)
            done = l.provctl('records', 'accept', '--reason', 'new host')
            self.assertEqual(done.returncode, 2)
            self.assertIn('production-sn', done.stderr)
            done = l.provctl('records', 'accept', '--reason', 'new host', '--pools', 'production-sn=500')
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(l.api.get('/pools/production-sn')['next'], 500)

    def test_a_pool_is_advanced_with_a_reason(self):
        with line.Line(stations=0) as l:
            l.start()
            l.api.post('/pools', {'id': 'p', 'pattern': 'X{seq:04}', 'first': 1, 'last': 100})
            done = l.provctl('pool', 'advance', 'p', '40', '--reason', 'labels 1 to 39 were printed elsewhere')
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(l.api.get('/pools/p')['next'], 40)
            event = [e for e in l.api.all('/events') if e['type'] == 'pool-advanced'][-1]
            self.assertEqual((event['data']['from'], event['data']['to']), (1, 40))
            self.assertIn('labels', event['data']['reason'])
            for words in (('p', '39'), ('p', '102'), ('nosuch', '1')):
                done = l.provctl('pool', 'advance', *words, '--reason', 'x')
                self.assertNotEqual(done.returncode, 0, words)

    def test_damage_is_found_and_nothing_is_built_on_it(self):
        rng = random.Random(7)
        with line.Line(stations=1, boards=1, sim_args=('--units', '60', '--replace-after-idle', '300')) as l:
            l.start()
            l.prepare(self.image)
            self.order(l, 5)
            # On a slow machine the board may be replaced within a run, which then is not a passed one.
            before, run = next((n, r['id']) for n, r in enumerate(reversed(l.api.all('/runs')))
                               if n >= 2 and r['outcome'] == 'passed')
            self.assertEqual(l.provd.term(), 0)
            good = os.path.join(l.home, 'good.db')
            good_sums = good + '-sums'
            shutil.copy(self.db_path(l), good)
            shutil.copy(self.db_path(l) + '-sums', good_sums)
            with sqlite3.connect(self.db_path(l)) as d:
                d.execute('DROP TRIGGER measurements_stay')
                n = d.execute("UPDATE measurements SET value = value + 1 WHERE run_id = ? AND value IS NOT NULL",
                              (run,)).rowcount
                self.assertGreater(n, 0)
            l.forget_page_sums()
            l.start()
            # As a row is read, at the latest.
            a = l.api.request('GET', '/runs/%s/report' % run)
            self.assertEqual((a.status, a.json['code']), (503, 'records-damaged'))
            held = line.wait_for('the damage is found', lambda: self.holds(l)[1].get('records-damaged'))
            self.assertIn(run, held['message'])
            self.assertEqual(l.api.request('POST', '/jobs', {'recipe': 'production', 'quantity': 1}).status, 503)
            check = line.wait_for('the check ends', lambda: next(
                (c for c in [l.api.get('/records')['check']] if c['state'] not in ('none', 'running')), None))
            self.assertEqual((check['state'], check['runs']), ('damaged', before))
            self.assertIn('%d runs before it are whole' % before, check['message'])
            self.assertEqual(l.provd.term(), 0)
            # Bytes of the file: none of them may end in an order that is taken on what cannot be read. With the sums of its
            # pages all are seen. Where those are lost too, what no digest covers can look whole, and is not out of shape then.
            for sums in (True, False):
                seen = [self.damaged(l, rng, good, good_sums if sums else None) for _ in range(6)]
                print('damaged files, %s sums: %d refused at the start, %d found by the check, %d not seen' % (
                    'with' if sums else 'without', seen.count('refused'), seen.count('told'), seen.count('whole')))
                self.assertTrue(sums or 'refused' in seen or 'told' in seen)
                self.assertNotIn('whole', seen if sums else [])

    def damaged(self, l, rng, good, sums):
        """What provd says of records with 640 bytes of chance in them. The sums are of that very file: it is written in place."""
        with open(good, 'rb') as f:
            data = bytearray(f.read())
        for _ in range(40):
            at = rng.randrange(4096, len(data) - 16)
            data[at:at + 16] = rng.randbytes(16)
        for end in ('-wal', '-shm', '-sums'):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.db_path(l) + end)
        with open(self.db_path(l), 'r+b') as f:
            f.write(data)
            f.truncate()
        if sums:
            shutil.copy(sums, self.db_path(l) + '-sums')
            os.chmod(self.db_path(l) + '-sums', 0o600)
        in_shape = self.in_shape(self.db_path(l))
        before = os.path.getsize(l.provd.log_path)
        l.provd.start(ready=False)
        line.wait_for('it serves or ends', lambda: l.provd.process.poll() is not None or self.served(l))
        with open(l.provd.log_path, 'rb') as f:
            f.seek(before)
            self.assertEqual(b'a sum of each' not in f.read(), bool(sums))
        if l.provd.process.poll() is not None:
            self.assertRegex(l.provd.log_tail(), 'malformed|damaged|does not fit|not a database')
            self.assertIn('are damaged, or its provd.db is not of the same time', l.provd.log_tail(600))
            return 'refused'
        l.api = l.provd.api()
        state = line.wait_for('the check ends', lambda: self.check_state(l))
        if state == 'damaged':
            self.assertIn(l.api.request('POST', '/jobs', {'recipe': 'production', 'quantity': 1}).status, (503, 401))
        else:
            self.assertTrue(in_shape, 'SQLite finds damage, and the check did not')
        l.api.close()
        l.provd.stop()
        return 'told' if state == 'damaged' else 'whole'

    @staticmethod
    def in_shape(path):
        copy = path + '-copy'
        shutil.copy(path, copy)
        try:
            with contextlib.closing(sqlite3.connect(copy)) as d:
                return d.execute('PRAGMA quick_check').fetchone()[0] == 'ok'
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            return False
        finally:
            os.unlink(copy)

    def page_of(self, path, table):
        """A page with rows of a table, and the offset of its last byte in use."""
        with sqlite3.connect('file:%s?immutable=1' % path, uri=True) as d:
            page, size = d.execute("SELECT max(pageno), max(pgsize) FROM dbstat WHERE name = ? AND pagetype = 'leaf'"
                                   " AND ncell > 0", (table,)).fetchone()
        d.close()
        return page, page * size - 2

    def test_a_changed_byte_of_any_table_is_damage(self):
        with line.Line(stations=1, boards=1, sim_args=('--units', '60', '--replace-after-idle', '300')) as l:
            l.start()
            l.prepare(self.image)
            self.order(l, 2)
            self.assertEqual(l.provd.term(), 0)
            path = self.db_path(l)
            tables = {'events': '/events', 'jobs': '/jobs', 'pools': '/pools', 'recipes': '/recipes',
                      'artifacts': '/artifacts', 'audit': '/audit', 'runs': '/runs', 'units': '/units', 'serials': None,
                      'steps': None, 'measurements': None, 'tokens': None}
            for table, route in tables.items():
                page, at = self.page_of(path, table)
                with open(path, 'r+b') as f:
                    f.seek(at)
                    good = f.read(1)
                    f.seek(at)
                    f.write(bytes([good[0] ^ 1]))
                l.provd.start(ready=False)
                line.wait_for('it serves or ends', lambda: l.provd.process.poll() is not None or self.served(l))
                if l.provd.process.poll() is None:
                    l.api = l.provd.api()
                    held = line.wait_for('the damage of ' + table, lambda: self.holds(l)[1].get('records-damaged'))
                    self.assertIn('page %d of the database is not what was written' % page, held['message'])
                    a = l.api.request('POST', '/jobs', {'recipe': 'production', 'quantity': 1})
                    self.assertIn(a.status, (503, 401), table)
                    if route:
                        a = l.api.request('GET', route)
                        self.assertEqual((a.status, a.json['code']), (503, 'records-damaged'), table)
                        line.wait_for('the check says where', lambda: 'table ' + table in
                                      l.api.get('/records')['check'].get('message', ''))
                    l.api.close()
                    l.provd.kill()
                else:
                    self.assertEqual(table, 'tokens', 'nothing but the tokens is needed to start')
                    self.assertIn('not what was written', l.provd.log_tail())
                with open(path, 'r+b') as f:
                    f.seek(at)
                    f.write(good)
            l.start()
            line.wait_for('all is whole', lambda: l.api.get('/records')['check']['state'] == 'sound')
            self.assertEqual(self.holds(l), (200, {}))
            # SQL of another program is damage too; a killed provd whose records were only read is not.
            self.order(l)
            l.provd.kill()
            with sqlite3.connect(path) as d:
                d.execute('SELECT count(*) FROM runs').fetchone()
            d.close()
            self.assertFalse(os.path.exists(path + '-wal'), 'the shell has moved the log')
            l.start()
            line.wait_for('all is whole', lambda: l.api.get('/records')['check']['state'] == 'sound')
            begun = [e for e in l.api.all('/events') if e['type'] == 'page-sums-begun']
            self.assertIn('has moved the log', begun[-1]['data']['reason'])
            self.assertEqual(l.provd.term(), 0)
            with sqlite3.connect(path) as d:
                d.execute('UPDATE stations SET fail_count = fail_count + 1')
            d.close()
            l.start()
            held = line.wait_for('the change is found', lambda: self.holds(l)[1].get('records-damaged'))
            self.assertIn('not what was written', held['message'])

    def served(self, l):
        try:
            return l.provd._serves()
        except AssertionError:
            return True

    def check_state(self, l):
        a = l.api.request('GET', '/readyz', raw=True)
        if any(h['code'] == 'records-damaged' for h in a.json['holds']):
            return 'damaged'
        a = l.api.request('GET', '/records')
        if a.status != 200:
            return 'damaged' if a.status in (401, 503) else None
        state = a.json['check']['state']
        return state if state not in ('none', 'running') else None

    def test_the_check_runs_again_at_a_reload(self):
        with line.Line(stations=1, boards=1) as l:
            l.start()
            l.prepare(self.image)
            self.order(l)
            line.wait_for('the first check', lambda: l.api.get('/records')['check']['state'] == 'sound')
            with sqlite3.connect(self.db_path(l), timeout=30) as d:
                d.execute('DROP TRIGGER steps_finished_stay')
                d.execute("UPDATE steps SET message = 'nothing' WHERE n = 1")
            self.assertEqual(self.holds(l)[0], 200)
            os.kill(l.provd.process.pid, 1)
            line.wait_for('the second check', lambda: self.holds(l)[1].get('records-damaged'))

    def test_a_start_does_not_wait_for_all_pages_nor_take_that_for_damage(self):
        with line.Line(stations=1, boards=1) as l:
            l.start()
            l.prepare(self.image)
            self.assertEqual(l.provd.term(), 0)
            with sqlite3.connect(self.db_path(l)) as d:  # 120 MB: more than any machine looks at in the moment that a start takes
                d.execute('WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 120000) INSERT INTO events (at, type, data)'
                          " SELECT 1, 'test', '\"' || hex(zeroblob(480)) || '\"' FROM n")
            os.unlink(self.db_path(l) + '-sums')  # else this would be damage
            for _ in range(3):
                l.start()
                self.assertEqual(self.holds(l), (200, {}))
                self.assertEqual(l.provd.term(), 0)
            l.start()
            self.order(l)
            line.wait_for('the check in the background', lambda: l.api.get('/records')['check']['state'] != 'running')
            self.assertEqual(l.api.get('/records')['check']['state'], 'sound')

    def test_events_are_kept_as_long_as_the_policy_says_and_the_rest_for_ever(self):
        with line.Line(stations=1, boards=1, config='events_keep: 1s\n') as l:
            l.start()
            l.prepare(self.image)
            self.order(l)
            last = l.api.get('/records')['last_seq']
            runs, audit = l.api.all('/runs'), l.api.all('/audit')
            line.wait_for('they are old', lambda: time.time() - os.stat(self.db_path(l) + '-wal').st_mtime > 1.2)
            self.assertEqual(l.provd.term(), 0)
            l.start()
            line.wait_for('the events have gone', lambda: not [e for e in l.api.all('/events') if e['seq'] <= last])
            self.assertEqual(l.api.request('GET', '/events?after=1').status, 410)
            self.assertEqual(l.api.request('GET', '/events?after=%d' % last).status, 200)
            self.assertEqual([r['id'] for r in l.api.all('/runs')], [r['id'] for r in runs])
            self.assertLessEqual({a['seq'] for a in audit}, {a['seq'] for a in l.api.all('/audit')})
            self.assertEqual(self.holds(l), (200, {}))
            # Numbers go on, and a restart takes nothing for a restored backup.
            l.provd.kill()
            l.start()
            self.assertEqual(self.holds(l), (200, {}))
            self.assertGreaterEqual(l.api.get('/records')['last_seq'], last)

    def test_the_head_of_the_chain_leaves_signed_and_openssl_verifies_it(self):
        with line.Line(stations=1, boards=1) as l:
            l.start()
            l.prepare(self.image)
            self.order(l)
            records = l.api.get('/records')
            self.assertEqual(l.provd.term(), 0)
            l.start()
            event = [e for e in l.api.all('/events') if e['type'] == 'chain-head'][-1]['data']
            last = l.api.get('/runs/%s/report' % event['run'])
            self.assertEqual((event['chain'], event['hash']), (1, last['hash']))
            # The page of the integrator, as it is there.
            with open(os.path.join(line.ROOT, 'docs', 'integrator.md')) as f:
                page = f.read()
            script = page[page.index('```sh\n# verify a chain-head') + 6:]
            script = script[:script.index('```')]
            names = dict(os.environ, CHAIN=str(event['chain']), HASH=event['hash'], RUN=event['run'],
                         SIGNATURE=event['signature'])

            def verify(**changed):
                with open(os.path.join(l.home, 'records.pub'), 'w') as f:
                    f.write(records['public_key'])
                return subprocess.run(['sh', '-euc', script], cwd=l.home, env=dict(names, **changed),
                                      capture_output=True, text=True)
            good = verify()
            self.assertEqual(good.returncode, 0, good)
            self.assertIn('Verified Successfully', good.stdout)
            self.assertNotEqual(verify(HASH='0' * 64).returncode, 0)
            self.assertNotEqual(verify(CHAIN='2').returncode, 0)
            self.assertEqual(l.api.get('/records')['key'], records['key'])
            self.assertEqual(event['key'], records['key'])

    def shimmed(self, l):
        so, src = os.path.join(l.home, 'shim.so'), os.path.join(l.home, 'shim.c')
        with open(src, 'w') as f:
            f.write(SHIM)
        subprocess.run(['cc', '-shared', '-fPIC', '-o', so, src], check=True)
        env = {'LD_PRELOAD': so}
        for name in ('clock_offset', 'disk_free'):
            env['TEST_' + name.upper()] = os.path.join(l.home, name)
            self.say(l, name, 0)
        l.provd.wrap = ['env'] + ['%s=%s' % kv for kv in env.items()]

    def say(self, l, name, number):
        tmp = os.path.join(l.home, name + '.new')
        with open(tmp, 'w') as f:
            f.write(str(number))
        os.rename(tmp, os.path.join(l.home, name))

    @unittest.skipIf(line.sanitized(), 'the sanitizer must be the first library')
    def test_a_clock_that_falls_holds_back_what_carries_a_date(self):
        with line.Line(stations=1, boards=1, sim_args=('--units', '60', '--replace-after-idle', '300')) as l:
            self.shimmed(l)
            l.start()
            l.prepare(self.image)
            self.order(l)
            self.say(l, 'clock_offset', -40 * 365 * 86400)
            held = line.wait_for('it is said', lambda: self.holds(l)[1].get('clock'))
            self.assertIn('newest record', held['message'])
            self.assertEqual(self.holds(l)[0], 200, 'what carries no date goes on')
            job = l.api.post('/jobs', {'recipe': 'production', 'quantity': 1})['id']
            line.wait_for('the station says why', lambda: 'clock' in (
                l.api.get('/stations')['items'][0].get('code') or ''))
            # A restart does not forget what time it was.
            self.assertEqual(l.provd.term(), 0)
            l.start()
            line.wait_for('it is said again', lambda: self.holds(l)[1].get('clock'))
            self.assertEqual(len(l.api.all('/units')), 1)
            self.say(l, 'clock_offset', 0)
            l.job_done(job)
            self.assertEqual([s[:4] for s in self.serials(l)], ['SN20'] * 2)
            self.assertTrue([e for e in l.api.all('/events') if e['type'] == 'clock-jumped'])
            # A clock that was ahead by mistake: a person says which time is right.
            self.say(l, 'clock_offset', 20 * 365 * 86400)
            line.wait_for('an event of the future', lambda: [
                e for e in l.api.all('/events') if e['type'] == 'clock-jumped' and e['data']['by_ms'] > 1e11][1:])
            self.say(l, 'clock_offset', 0)
            line.wait_for('held', lambda: self.holds(l)[1].get('clock'))
            done = l.provctl('records', 'accept-clock', '--reason', 'the battery was changed')
            self.assertEqual(done.returncode, 0, done.stderr)
            line.wait_for('over', lambda: not self.holds(l)[1])

    @unittest.skipIf(line.sanitized(), 'the sanitizer must be the first library')
    def test_a_backup_under_the_log_of_the_newer_database_ends_the_start_with_advice(self):
        with line.Line(stations=2, boards=2, sim_args=('--units', '60', '--replace-after-idle', '300')) as l:
            l.start()
            l.prepare(self.image)
            self.order(l, 2)
            backup = self.backup(l)
            self.order(l, 4)
            l.provd.stop()
            l.start()
            self.order(l, 1)
            l.provd.kill()
            shutil.copy(backup, self.db_path(l))
            l.provd.start(ready=False)
            self.assertEqual(l.provd.process.wait(line.DEADLINE_S), 1)
            self.assertIn('restore a backup, with no file of the old database next to it', l.provd.log_tail(600))

    def test_a_kill_within_accept_leaves_it_held_or_accepted(self):
        with line.Line(stations=1, boards=1, sim_args=('--units', '20', '--replace-after-idle', '300')) as l:
            l.start()
            l.prepare(self.image)
            self.order(l)
            backup = self.backup(l)
            self.order(l)
            self.assertEqual(l.provd.term(), 0)
            epochs, seen = set(), set()
            for n in range(12):
                self.restore(l, backup)
                l.start()
                self.assertIn('records-held', self.holds(l)[1], 'round %d' % n)
                answer = []
                asks = threading.Thread(target=lambda: answer.append(
                    l.api.request('POST', '/records/actions/accept', {'reason': 'round'}).status))

                def ask():
                    try:
                        asks.run()
                    except (OSError, line.http.client.HTTPException):
                        pass
                thread = threading.Thread(target=ask)
                thread.start()
                thread.join(0.001 * n)
                l.provd.kill()
                thread.join()
                l.start()
                records = l.api.get('/records')
                held = [h['code'] for h in records['holds']]
                self.assertIn(held, ([], ['records-held']), 'round %d' % n)
                self.assertEqual(records['lineage']['verdict'] == 'same', held == [], records)
                if answer and answer[0] < 300:
                    self.assertEqual(held, [], 'round %d: accepted, and held again' % n)
                if not held:
                    # Each is an epoch of its own: nothing of the one before is given out again.
                    self.assertNotIn(records['epoch'], epochs)
                    epochs.add(records['epoch'])
                seen.add(bool(held))
                self.assertEqual(l.provd.term(), 0)
            l.start()
            if self.holds(l)[0] != 200:
                l.api.post('/records/actions/accept', {'reason': 'the last'})
            self.order(l)
            on_units = [state['serial'] for _, state, _ in l.sim.units() if state.get('serial')]
            self.assertEqual(len(on_units), len(set(on_units)), on_units)

    def test_a_full_disk_takes_no_order_and_loses_no_run(self):
        with line.Line(stations=1, boards=1, sim_args=('--units', '60', '--replace-after-idle', '300')) as l:
            self.shimmed(l)
            l.start()
            l.prepare(self.image)
            reserve = os.path.join(l.home, 'state', 'reserve')
            self.assertEqual(os.stat(reserve).st_blocks * 512, 64 << 20)
            self.say(l, 'disk_free', 32 << 20)
            line.wait_for('it is said', lambda: self.holds(l)[1].get('disk-full'))
            self.assertEqual(self.holds(l)[0], 503)
            for method, path, body in (('POST', '/jobs', {'recipe': 'production', 'quantity': 1}),
                                       ('PUT', '/artifacts/%s' % line.sha256(b'x'), b'x')):
                a = l.api.request(method, path, body)
                self.assertEqual((a.status, a.json['code']), (507, 'disk-full'), path)
            # Less than one commit may need: the reserve goes to the records.
            self.say(l, 'disk_free', 1 << 20)
            l.api.request('POST', '/stations/A1/actions/disable')
            line.wait_for('the reserve gives way', lambda: os.path.getsize(reserve) == 0)
            l.provd.kill()
            l.start()
            self.assertEqual(self.holds(l)[0], 503)
            self.say(l, 'disk_free', 0)
            line.wait_for('there is room', lambda: self.holds(l)[0] == 200)
            self.assertEqual(os.stat(reserve).st_blocks * 512, 64 << 20)
            l.api.request('POST', '/stations/A1/actions/enable')
            self.order(l)

    def small_disk(self, l, size):
        """A file system of its own for the state directory."""
        CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000
        if line.libc.unshare(CLONE_NEWNS) or line.libc.mount(b'none', b'/', None, MS_REC | MS_PRIVATE, None):
            self.skipTest('no mount namespace of its own')
        state = os.path.join(l.home, 'state')
        os.mkdir(state, 0o700)
        if line.libc.mount(b'tmpfs', state.encode(), b'tmpfs', 0, b'size=%s,mode=0700' % size):
            self.skipTest('no tmpfs')
        self.addCleanup(line.libc.umount2, state.encode(), 2)
        return state

    def start_small(self, l):
        """Without the room that the making of the tables leaves in the WAL, where a run's end would find some."""
        l.start()
        self.assertEqual(l.provd.term(), 0)
        l.start()

    @unittest.skipIf(os.getuid() != 0, 'a file system of its own needs root')
    def test_a_disk_without_any_room_is_read_from_and_the_line_goes_on_by_itself(self):
        recipe = line._bytes_of(line.PRODUCTION).decode()
        with line.Line(stations=1, boards=1, sim_args=('--units', '60', '--replace-after-idle', '300',
                                                      '--when-serial', '--set', '*:erase-ms=2500')) as l:
            state = self.small_disk(l, b'24m')
            self.start_small(l)
            l.prepare(self.image, recipe)
            token = l.provd.token
            job = l.api.post('/jobs', {'recipe': 'production', 'quantity': 3})['id']
            line.wait_for('a run', lambda: [r for r in l.api.all('/runs') if r['state'] == 'open'])
            run = l.api.all('/runs')[0]['id']
            line.wait_for('room for the start', lambda: os.path.exists(os.path.join(state, 'reserve.start')))
            filler = Filler(state)
            line.wait_for('the reserve is gone', lambda: os.path.getsize(os.path.join(state, 'reserve')) == 0)
            station = line.wait_for('the end of the run finds no room', lambda: next(
                (s for s in l.api.get('/stations')['items'] if s['state'] == 'fault'), None))
            self.assertEqual(station['code'], 'disk-full')
            self.assertIn('not on record yet', station['message'])
            # Who reads is served; who orders is not, and is told why.
            status, holds = self.holds(l)
            self.assertEqual((status, list(holds)), (503, ['disk-full']))
            self.assertIn('nothing can be recorded', holds['disk-full']['message'])
            self.assertEqual(l.api.get('/runs/' + run)['state'], 'open')
            a = l.api.request('POST', '/jobs', {'recipe': 'production', 'quantity': 1})
            self.assertEqual((a.status, a.json['code']), (507, 'disk-full'))
            # Room again: nobody has to do anything.
            filler.end()
            line.wait_for('the run is on record', lambda: l.api.get('/runs/' + run)['state'] == 'finished')
            ended = l.api.get('/runs/' + run)
            self.assertEqual((ended['outcome'], ended['code']), ('error', 'disk-full'))
            line.wait_for('the line goes on', lambda: self.holds(l) == (200, {}))
            self.assertIn('led off', json.dumps(l.api.all('/runs/%s/log' % run)), 'no teardown')
            # The unit has had its run.
            line.wait_for('it is done', lambda: l.api.get('/stations')['items'][0]['state'] == 'done')
            l.api.post('/stations/A1/actions/start')
            # Killed within a run on such a disk, and started on it.
            run = line.wait_for('a run', lambda: [r for r in l.api.all('/runs') if r['state'] == 'open'])[0]['id']
            filler = Filler(state)
            line.wait_for('it is full', lambda: 'disk-full' in self.holds(l)[1] and filler.full())
            for how in (l.provd.kill, l.provd.term):
                l.api.close()
                how()
                if how == l.provd.term and os.path.exists(self.db_path(l) + '-shm'):
                    os.unlink(self.db_path(l) + '-shm')
                line.wait_for('it is full again', filler.full)
                l.provd.start()
                l.api = l.provd.api(token)
                self.assertEqual((self.holds(l)[0], list(self.holds(l)[1])), (503, ['disk-full']))
                self.assertEqual(l.api.get('/runs/' + run)['id'], run)
            self.assertIn('kept for the start is used', l.provd.log_text())
            self.assertEqual(l.provctl('records', 'show').returncode, 0)
            filler.end()
            line.wait_for('the open run is ended', lambda: l.api.get('/runs/' + run)['state'] == 'finished')
            self.assertEqual(l.api.get('/runs/' + run)['outcome'], 'interrupted')
            l.job_done(job)
            line.wait_for('nothing is held', lambda: self.holds(l) == (200, {}))
            # Recorded once each, and no number twice.
            self.assertEqual(len([r for r in l.api.all('/runs') if r['outcome'] == 'passed']), 3)
            self.assertEqual(len(set(self.serials(l))), len(self.serials(l)))

    @unittest.skipIf(os.getuid() != 0, 'a file system of its own needs root')
    def test_a_disk_that_is_really_full_is_started_on_and_loses_nothing(self):
        with line.Line(stations=1, boards=1, sim_args=('--units', '60', '--replace-after-idle', '300',
                                                      '--when-serial', '--set', '*:erase-ms=2500')) as l:
            state = self.small_disk(l, b'48m')
            self.start_small(l)
            l.prepare(self.image)
            job = l.api.post('/jobs', {'recipe': 'production', 'quantity': 2})['id']
            line.wait_for('a run', lambda: [r for r in l.api.all('/runs') if r['state'] == 'open'])
            run = l.api.all('/runs')[0]['id']
            fill = open(os.path.join(state, 'fill'), 'wb', buffering=0)
            try:
                while fill.write(bytes(4096)):
                    pass
            except OSError:
                pass
            fill.close()
            # The run that goes on ends on record, out of the reserve.
            line.wait_for('its end', lambda: l.api.get('/runs/' + run)['state'] == 'finished')
            self.assertEqual(l.api.get('/runs/' + run)['outcome'], 'passed')
            line.wait_for('the line is held', lambda: self.holds(l)[0] == 503)
            self.assertEqual(list(self.holds(l)[1]), ['disk-full'])
            # Killed and started again on it.
            l.provd.kill()
            l.start()
            self.assertEqual(self.holds(l)[0], 503)
            self.assertEqual(l.api.get('/runs/' + run)['outcome'], 'passed')
            self.assertEqual(l.api.request('POST', '/jobs', {'recipe': 'production', 'quantity': 1}).status, 507)
            os.unlink(os.path.join(state, 'fill'))
            l.job_done(job)
            self.assertEqual(self.holds(l), (200, {}))
            self.assertEqual(len(set(self.serials(l))), 2)


if __name__ == '__main__':
    line.main()
