# SPDX-License-Identifier: Apache-2.0
"""Hosts of provd with a plant, and their story: units on all hosts by numbers of one pool, while a host, the plant and its
database are killed. `scripts/run --plant` tells it with three hosts.

    plant_line.py [BUILD] [--hosts N] [--stations N] [--units N]
"""
import argparse
import os
import signal
import sys
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
POOL = {'id': 'plant-sn', 'kind': 'serial', 'pattern': 'SN20261201{seq:06}', 'first': 1, 'last': 999999, 'lease_values': 16}
CONFIG = '''
secrets: {plant-token: {file: %s}}
services: {plant: {url: '%s', token: plant-token, timeout: 3s}}
plant: plant
'''


class Host(line.Line):
    """A line that belongs to a plant."""

    def __init__(self, p, name, stations=2, units=0, **kw):
        super().__init__(stations=stations, sim_args=('--replace-after-idle', '300', '--when-serial') + (('--units', str(units)) if units else ()), **kw)
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

    def exchange(self):
        """A unit that a kill left without a number makes way for the next, as under an operator's hands."""
        for i, s in enumerate(self.api.get('/stations')['items'], 1):
            if s['state'] in ('done', 'fault'):
                self.sim.ctl('next', board='b%d' % i, gap_ms=200)

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


def agree(test, p, h):
    """What a host recorded is what the plant has of it."""
    h.sent_all()
    test.assertEqual(p.sql("SELECT count(*) FROM records WHERE host = '%s'" % h.name),
                     str(h.rows('SELECT count(*) FROM events WHERE seq <= ?', p.host(h.name)['seen'])[0][0]))
    ours = h.rows("SELECT id, outcome, coalesce(serial, '') FROM runs WHERE state = 'finished' ORDER BY id")
    theirs = p.sql("SELECT id, outcome, coalesce(serial, '') FROM runs WHERE host = '%s' ORDER BY id" % h.name)
    test.assertEqual([tuple(r.split('|')) for r in theirs.splitlines()], ours)
    test.assertEqual(int(p.sql("SELECT count(*) FROM measurements m JOIN runs r ON r.id = m.run WHERE r.host = '%s'" % h.name)),
                     h.rows('SELECT count(*) FROM measurements')[0][0])


def story(test, p, hosts, stations, units, say=lambda text: None):
    """p: a plant with the pool. One order, of which the hosts take parts as they have time."""
    lines = []
    try:
        for i in range(hosts):
            lines.append(Host(p, 'H%d' % (i + 1), stations=stations))
            lines[-1].prepare_recipe()
        for h in lines:
            h.leased()
        say('%d hosts with %d stations each have numbers of the plant' % (hosts, stations))
        p.admin.post('/orders', {'id': 'story', 'recipe': 'number', 'quantity': units})
        order = lambda: p.admin.get('/orders')['items'][0]
        made = lambda: sum(len(h.serials()) for h in lines)
        line.wait_for('the first units', lambda: made() >= units // 5)
        p.kill()
        say('%d units: provd-plant is killed' % made())
        line.wait_for('units without a plant', lambda: made() >= units // 3)
        lines[0].provd.kill()
        say('%d units were made, also without it: host H1 is killed, and PostgreSQL as by a power cut' % made())
        p.pg.stop(signal.SIGQUIT)
        lines[0].start()
        p.pg.start()
        p.start()
        say('all of them are started again')

        def done():
            for h in lines:
                h.exchange()
            return order()['state'] == 'done'
        line.wait_for('the order is done', done, every_s=1)
        for h in lines:
            agree(test, p, h)
        numbers = sum((h.serials() for h in lines), [])
        test.assertEqual(len(numbers), len(set(numbers)))
        test.assertGreaterEqual(len(numbers), units)
        test.assertEqual(p.admin.get('/conflicts')['items'], [])
        said = p.admin.get('/reports/yield')
        test.assertEqual(said['all']['runs']['passed'], units)
        test.assertEqual((order()['passed'], order()['remaining']), (units, 0))
        test.assertEqual(sum(len(h.rows("SELECT 1 FROM plant_claims")) for h in lines), len(order()['claims']))
        test.assertEqual({g['host'] for g in said['groups']}, {h.name for h in lines})
        for h in lines:
            row = next(b for b in h.api.get('/backlog')['items'] if b['kind'] == 'plant')
            test.assertEqual(row['waiting'], 0)
        say('%d units passed in %d parts, %d numbers were given out, none of them twice' % (units, len(order()['claims']), len(numbers)))
        for g in said['groups']:
            say('%s: %s' % (g['host'], ', '.join('%d %s' % (n, k) for k, n in g['runs'].items() if n)))
    finally:
        for h in lines:
            h.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('build', nargs='?')
    for name, default in (('hosts', 3), ('stations', 8), ('units', 96)):
        parser.add_argument('--' + name, type=int, default=default)
    args = parser.parse_args()
    if args.build:
        os.environ['PROVD_BUILD'] = os.path.abspath(args.build)
    try:
        pg = plant.Postgres(plant.new_home())
    except unittest.SkipTest as e:
        sys.exit('plant_line: %s' % e)
    try:
        with plant.Plant(pg) as p:
            p.admin.post('/pools', dict(POOL, lease_values=2 * args.units // args.hosts))
            story(unittest.TestCase(), p, args.hosts, args.stations, args.units, lambda text: print('      ' + text, flush=True))
    finally:
        pg.close()


if __name__ == '__main__':
    main()
