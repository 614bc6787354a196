#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Hosts of provd with a plant: what they recorded arrives once, and the numbers that they lease are nobody else's, while
hosts, plant and database are killed, and where a host is copied or restored.

    test_plant_hosts.py [BUILD]
"""
import os
import shutil
import signal
import unittest

import line
import plant

RECIPE = '''
recipe: number
version: 1
unit:
  model: provsim-1
  serial: {pool: plant-sn}
ports:
  console: {kind: tty, baud: 115200}
artifacts: {application: firmware.bin}
steps:
  - id: flash
    action: serialboot.flash
    with: {port: console, image: '${artifacts.application}', address: 0x08010000, boot: true}
    timeout: 20s
  - id: serial
    action: unit.serial
    with: {port: console, read: GET_SERIAL, pattern: '^(SN\\d{14})$', blank: '(?i)^(NONE|unset|empty)?$'}
  - id: set-serial
    action: console.command
    with:
      port: console
      send: 'SET_SERIAL ${unit.serial}'
      expect: '^OK$'
      read_back: {send: GET_SERIAL, expect: '^${unit.serial}$'}
  - id: temp
    action: console.measure
    with: {port: console, send: read temp, unit: degC, low: 20, high: 30}
'''
POOL = {'id': 'plant-sn', 'kind': 'serial', 'pattern': 'SN20261201{seq:06}', 'first': 1, 'last': 999999, 'lease_values': 8}
CONFIG = '''
secrets: {plant-token: {file: %s}}
services: {plant: {url: '%s', token: plant-token, timeout: 3s}}
plant: plant
'''
postgres = None


def setUpModule():
    global postgres
    plant.find_server()
    postgres = plant.Postgres(plant.new_home())


def tearDownModule():
    if postgres:
        postgres.close()


class Host(line.Line):
    """A line of two stations that belongs to a plant."""

    def __init__(self, p, name, units=0, **kw):
        super().__init__(stations=2, sim_args=('--replace-after-idle', '300', '--when-serial') + (('--units', str(units)) if units else ()), **kw)
        self.plant, self.name = p, name
        self.token_file = os.path.join(self.home, 'plant-token')
        line.write(self.token_file, p.add_host(name))
        os.chmod(self.token_file, 0o600)
        self.config(CONFIG % (self.token_file, p.url()))
        self.start()

    def prepare_recipe(self):
        self.put_firmware(line.firmware(4096))
        self.put_recipe(RECIPE)

    def order(self, quantity):
        return self.api.post('/jobs', {'recipe': 'number', 'quantity': quantity})['id']

    def pool(self):
        return next((x for x in self.api.get('/pools')['items'] if x['id'] == 'plant-sn'), None)

    def leased(self, at_least=1):
        return line.wait_for('numbers of the plant', lambda: (x := self.pool()) and x['remaining'] >= at_least and x)

    def holds(self):
        return {h['code']: h for h in self.api.get('/records')['holds']}

    def rows(self, sql, *args):
        with self.provd.db() as d:
            return [tuple(r) for r in d.execute(sql, args)]

    def serials(self):
        return [r[0] for r in self.rows("SELECT value FROM serials WHERE pool_id = 'plant-sn' AND exposed = 1")]

    def sent_all(self):
        """The plant has every event of this host; what it has of it."""
        newest = self.rows('SELECT max(seq) FROM events')[0][0]
        line.wait_for('the plant has all of ' + self.name, lambda: self.plant.host(self.name)['seen'] >= newest)


class Hosts(unittest.TestCase):
    def setUp(self):
        self.plant = plant.Plant(postgres)
        self.addCleanup(self.plant.close)
        self.plant.admin.post('/pools', POOL)

    def host(self, name, **kw):
        h = Host(self.plant, name, **kw)
        self.addCleanup(h.close)
        return h

    def agree(self, h):
        """What a host recorded is what the plant has of it."""
        h.sent_all()
        self.assertEqual(self.plant.sql("SELECT count(*) FROM records WHERE host = '%s'" % h.name),
                         str(h.rows('SELECT count(*) FROM events WHERE seq <= ?', self.plant.host(h.name)['seen'])[0][0]))
        ours = h.rows("SELECT id, outcome, coalesce(serial, '') FROM runs WHERE state = 'finished' ORDER BY id")
        theirs = self.plant.sql("SELECT id, outcome, coalesce(serial, '') FROM runs WHERE host = '%s' ORDER BY id" % h.name)
        self.assertEqual([tuple(r.split('|')) for r in theirs.splitlines()], ours)
        self.assertEqual(int(self.plant.sql("SELECT count(*) FROM measurements m JOIN runs r ON r.id = m.run WHERE r.host = '%s'" % h.name)),
                         h.rows('SELECT count(*) FROM measurements')[0][0])

    def test_numbers_of_one_pool_and_every_record_once_while_all_are_killed(self):
        hosts = [self.host('H1'), self.host('H2')]
        for h in hosts:
            h.prepare_recipe()
            h.leased()
        jobs = [h.order(8) for h in hosts]
        made = lambda: sum(len(h.serials()) for h in hosts)
        line.wait_for('the first units', lambda: made() >= 3)
        self.plant.kill()
        line.wait_for('units without a plant', lambda: made() >= 6)
        hosts[0].provd.kill()
        self.plant.start()
        postgres.stop(signal.SIGQUIT)
        hosts[0].start()
        postgres.start()
        for h, job in zip(hosts, jobs):
            self.assertEqual(h.job_done(job)['passed'], 8)
        for h in hosts:
            self.agree(h)
        all_of_them = sum((h.serials() for h in hosts), [])
        self.assertEqual(len(all_of_them), len(set(all_of_them)))
        self.assertGreaterEqual(len(all_of_them), 16)
        self.assertEqual(self.plant.admin.get('/conflicts')['items'], [])
        said = self.plant.admin.get('/reports/yield')
        self.assertEqual(said['all']['runs']['passed'], 16)
        self.assertEqual({g['host'] for g in said['groups']}, {'H1', 'H2'})
        # A host says how much waits for the plant, and how many numbers it has.
        row = next(b for b in hosts[0].api.get('/backlog')['items'] if b['kind'] == 'plant')
        self.assertEqual(row['waiting'], 0)

    def test_a_copy_is_stopped_before_it_gives_out_a_number_and_the_host_goes_on(self):
        h = self.host('H1')
        h.prepare_recipe()
        h.leased()
        h.sent_all()
        self.assertEqual(h.provd.term(), 0)
        copy = line.Line(stations=2, sim_args=('--replace-after-idle', '300', '--when-serial'))
        self.addCleanup(copy.close)
        shutil.copytree(os.path.join(h.home, 'state'), os.path.join(copy.home, 'state'))
        copy.config(CONFIG % (h.token_file, self.plant.url()))
        h.start()
        copy.start()
        hold = line.wait_for('the copy is held', lambda: {x['code']: x for x in copy.api.get('/records')['holds']}.get('plant-held'))
        self.assertIn('host-copied', hold['message'])
        self.assertIn('POST /hosts/H1/readmit', hold['message'])
        self.assertEqual(set(hold['stops']), {'runs', 'orders'})
        refused = copy.api.request('POST', '/jobs', {'recipe': 'number', 'quantity': 1})
        self.assertEqual((refused.status, refused.json['code']), (503, 'plant-held'))
        self.assertEqual(h.job_done(h.order(2))['passed'], 2)
        with copy.provd.db() as d:
            self.assertEqual(d.execute("SELECT count(*) FROM serials").fetchone()[0], 0)
        # It stays so when it is started again without a plant to ask.
        self.plant.stop()
        copy.provd.kill()
        copy.start()
        self.assertIn('plant-held', {x['code'] for x in copy.api.get('/records')['holds']})
        self.plant.start()
        # A person moves the host: the copy is the host from now on, with other numbers.
        had = set(h.serials())
        last = max(r[0] for r in h.rows('SELECT last FROM plant_leases'))
        h.sent_all()
        h.provd.kill()
        self.assertEqual(self.plant.host('H1')['refused']['code'], 'host-copied')
        self.plant.admin.post('/hosts/H1/readmit', {'reason': 'moved to another machine'})
        hold = line.wait_for('the copy is older than what the plant has', lambda: 'host-older' in str(copy.api.get('/records')['holds']))
        self.assertTrue(had)
        self.assertGreater(last, 0)

    def test_a_restored_host_gets_other_numbers_or_none(self):
        """The database with its marks, in the place of the newer ones: nothing on the host can tell, the plant does."""
        h = self.host('H1')
        h.prepare_recipe()
        h.leased()
        h.provd.term()
        state, backup = os.path.join(h.home, 'state'), os.path.join(h.home, 'backup')
        shutil.copytree(state, backup)
        h.start()
        self.assertEqual(h.job_done(h.order(2))['passed'], 2)
        h.sent_all()
        h.provd.kill()
        for name in os.listdir(state):
            path = os.path.join(state, name)
            if os.path.isfile(path):
                if os.path.exists(os.path.join(backup, name)):
                    # Over the same file, which stays the same one.
                    with open(os.path.join(backup, name), 'rb') as f, open(path, 'r+b') as to:
                        to.write(f.read())
                        to.truncate()
                else:
                    os.unlink(path)
        h.start()
        hold = line.wait_for('it is held', lambda: h.holds().get('plant-held'))
        self.assertIn('host-older', hold['message'])
        self.assertEqual(h.pool()['next'], 1)

    def test_a_started_machine_proves_itself_first_and_a_plant_of_before_is_refused(self):
        h = self.host('H1')
        h.prepare_recipe()
        h.leased()
        h.sent_all()
        h.provd.term()
        self.plant.stop()
        # As after a start of the machine: another place.
        path = os.path.join(h.home, 'state', 'provd.db')
        with line.sqlite3.connect(path) as d:
            d.execute("UPDATE plant SET place = 'another'")
        d.close()
        h.forget_page_sums()
        h.start()
        job = h.order(1)
        run = line.wait_for('a run without a plant', lambda: [r for r in h.api.get('/runs?job_id=%s' % job)['items'] if r['outcome'] == 'error'])[0]
        self.assertEqual(run['code'], 'host-unproven')
        first = h.rows("SELECT max(last) FROM plant_leases")[0][0]
        self.plant.start()
        h.leased()
        job = h.order(1)
        h.sim.ctl('next', board='b1', gap_ms=200)
        self.assertEqual(h.job_done(job)['passed'], 1)
        self.assertGreater(int(h.serials()[0][10:]), first, 'the rest of the lease of before is given to nobody')
        h.sent_all()
        # The plant's database is put back: it would lease the same numbers again.
        self.plant.stop()
        self.plant.sql("ALTER TABLE hosts DISABLE TRIGGER ALL; UPDATE hosts SET seen = 1, fence = 1; ALTER TABLE hosts ENABLE TRIGGER ALL")
        h.provd.term()
        self.plant.start()
        h.start()
        hold = line.wait_for('it is held', lambda: h.holds().get('plant-held'))
        self.assertIn('plant-older', hold['message'])


if __name__ == '__main__':
    line.main()
