#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Hosts of provd with a plant: what they recorded arrives once, and the numbers that they lease are nobody else's, while
hosts, plant and database are killed, and where a host is copied or restored.

    test_plant_hosts.py [BUILD]
"""
import os
import shutil
import unittest

import line
import plant
import plant_line

postgres = None


def setUpModule():
    global postgres
    plant.find_server()
    postgres = plant.Postgres(plant.new_home())


def tearDownModule():
    if postgres:
        postgres.close()


class Hosts(unittest.TestCase):
    def setUp(self):
        self.plant = plant.Plant(postgres)
        self.addCleanup(self.plant.close)
        self.plant.admin.post('/pools', plant_line.POOL)

    def host(self, name, **kw):
        h = plant_line.Host(self.plant, name, **kw)
        self.addCleanup(h.close)
        return h

    def test_numbers_of_one_pool_and_every_record_once_while_all_are_killed(self):
        plant_line.story(self, self.plant, hosts=2, stations=2, units=16)

    def test_a_copy_is_stopped_before_it_gives_out_a_number_and_the_host_goes_on(self):
        h = self.host('H1')
        h.prepare_recipe()
        h.leased()
        h.sent_all()
        self.assertEqual(h.provd.term(), 0)
        copy = line.Line(stations=2, sim_args=('--replace-after-idle', '300', '--when-serial'))
        self.addCleanup(copy.close)
        shutil.copytree(os.path.join(h.home, 'state'), os.path.join(copy.home, 'state'))
        copy.config(plant_line.CONFIG % (h.token_file, self.plant.url()))
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

    def order(self, name):
        return next(o for o in self.plant.admin.get('/orders')['items'] if o['id'] == name)

    def test_a_part_goes_to_another_host_when_its_time_is_over(self):
        gone = self.host('H1', boards=0)
        gone.prepare_recipe()
        gone.leased()
        self.plant.admin.post('/orders', {'id': 'wrong', 'recipe': 'number', 'quantity': 2, 'params': {'colour': 'red'}})
        held = line.wait_for('the order is held', lambda: (o := self.order('wrong'))['state'] == 'held' and o)
        self.assertIn('colour', held['why'])
        self.plant.admin.post('/orders', {'id': 'right', 'recipe': 'number', 'quantity': 3, 'claim_s': 4})
        line.wait_for('H1 has it', lambda: self.order('right')['claims'])
        job = gone.api.get('/jobs')['items'][0]
        self.assertEqual((job['quantity'], job['number']), (3, 'right/%d' % self.order('right')['claims'][0]['claim']))
        self.assertIsNotNone(job['expires'])
        gone.provd.kill()
        h = self.host('H2')
        h.prepare_recipe()
        done = line.wait_for('H2 has made it', lambda: h.exchange() or (o := self.order('right'))['state'] == 'done' and o, every_s=0.5)
        self.assertEqual([(c['host'], c['lapsed'], c['passed']) for c in done['claims']], [('H1', True, 0), ('H2', False, 3)])
        # The first one comes back: it begins nothing of it, and says so.
        gone.start()
        line.wait_for('its order has ended', lambda: gone.api.get('/jobs/' + job['id'])['state'] == 'cancelled')
        line.wait_for('the plant is told', lambda: gone.rows('SELECT count(*) FROM plant_claims WHERE told = 1')[0][0] == 2)
        self.assertEqual(self.order('right')['passed'], 3)

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
