#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A row of 32 stations of four kinds (serial bootloader, STM32 boot ROM, fastboot, ADB), whose units are pulled out,
plugged again and swapped at random while they are provisioned. In the end every station still works, nothing has
leaked, and what was recorded as passed is in the units. PROVD_SOAK_S sets how long (20; 600 for a long one)."""
import os
import random
import subprocess
import threading
import time
import unittest

import line

SECONDS = float(os.environ.get('PROVD_SOAK_S', '20'))
EACH = int(os.environ.get('PROVD_SOAK_EACH', '8'))
SEED = int(os.environ.get('PROVD_SOAK_SEED', '11'))
IMAGE = line.firmware(24 * 1024, seed=5)

RECIPES = {
    'serialboot': '''
  - id: flash
    action: serialboot.flash
    with: {port: dut, image: '${artifacts.application}', boot: true}
    timeout: 20s
''',
    'stm32-uart': '''
  - id: flash
    action: stm32.flash
    with: {port: dut, image: '${artifacts.application}', address: 0x08000000, parity: none}
    timeout: 20s
''',
    'fastboot': '''
  - id: flash
    action: fastboot.flash
    with: {port: dut, partition: recovery, image: '${artifacts.application}'}
    timeout: 20s
''',
    'adb': '''
  - id: push
    action: adb.push
    with: {port: dut, file: '${artifacts.application}', path: /data/local/tmp/app}
    timeout: 20s
''',
}
LINKS = {'serialboot': ('pty', ['--erase-ms', '0', '--boot-ms', '1']), 'stm32-uart': ('pty', []),
         'fastboot': ('tcp', ['--partitions', 'recovery:1M']), 'adb': ('tcp', [])}


class Row(line.Line):
    """Four provsim, one provd."""

    def __init__(self):
        super().__init__(stations=0, boards=0)
        self.sims = {}
        yaml, streams = 'stations:\n', []
        for k, kind in enumerate(RECIPES):
            home = os.path.join(self.home, kind)
            os.mkdir(home)
            link, more = LINKS[kind]
            first = 1 + 100 * k
            self.sims[kind] = line.Sim(home, EACH, '--device', kind, '--link', link, '--first-socket', str(first), *more)
            streams.append('stream:%s/events.sock' % home)
            yaml += ''.join("  - {id: %s-%d, ports: {dut: {path: 'platform-provsim-usb-0:1.%d'}}}\n"
                            % (kind, i, first + i) for i in range(EACH))
        with open(os.path.join(self.home, 'stations.d', 'line.yaml'), 'w') as f:
            f.write(yaml)
        with open(self.provd.config, 'w') as f:
            f.write('state_dir: %s/state\nlisten: 127.0.0.1:0\nhotplug: [%s]\nsettle: 30ms\nrate_limit: 0\n'
                    'quarantine_after: 0\n' % (self.home, ', '.join('"%s"' % s for s in streams)))

    def board(self, kind, i):
        return 'b%d' % (1 + 100 * list(RECIPES).index(kind) + i)

    def close(self):
        super().close()
        for s in self.sims.values():
            s.stop()


def usage(pid):
    """(descriptors, threads) of a process."""
    with open('/proc/%d/status' % pid) as f:
        threads = next(int(x.split()[1]) for x in f if x.startswith('Threads:'))
    return len(os.listdir('/proc/%d/fd' % pid)), threads


def anonymous_kib(pid):
    with open('/proc/%d/smaps_rollup' % pid) as f:
        return next(int(x.split()[1]) for x in f if x.startswith('Anonymous:'))


class Mixed(unittest.TestCase):
    def jobs(self, row, quantity):
        return {kind: row.api.post('/jobs', {'recipe': kind, 'quantity': quantity,
                                             'stations': ['%s-%d' % (kind, i) for i in range(EACH)]})['id']
                for kind in RECIPES}

    def hand(self, row, kind, stop, counts):
        """One hand for each kind: pulls, plugs, swaps, and gives stations new units."""
        r = random.Random('%d %s' % (SEED, kind))
        sim = row.sims[kind]
        while not stop.wait(r.uniform(0.02, 0.2)):
            what = r.choice(['next', 'next', 'next', 'next', 'replug', 'unplug', 'plug', 'reset'])
            board = row.board(kind, r.randrange(EACH))
            more = {'gap_ms': r.choice([5, 40, 100, 400])} if what in ('next', 'replug') else {}
            sim.ctl(what, board=board, **more)
            counts[what] = counts.get(what, 0) + 1

    def all_new(self, row):
        for kind in RECIPES:
            for i in range(EACH):
                row.sims[kind].ctl('next', board=row.board(kind, i), gap_ms=150)

    def settled(self, row, jobs):
        for job in jobs.values():
            row.job_done(job)

    def test_units_come_and_go_and_nothing_is_stuck_leaked_or_wrongly_passed(self):
        with Row() as row:
            row.start()
            row.put_firmware(IMAGE)
            for kind, steps in RECIPES.items():
                row.put_recipe('recipe: %s\nversion: 1\nports: {dut: {kind: any}}\nartifacts: {application: firmware.bin}\n'
                               'steps:%s' % (kind, steps))
            self.settled(row, self.jobs(row, EACH))
            before = usage(row.provd.process.pid), anonymous_kib(row.provd.process.pid)

            jobs = self.jobs(row, 1000000)
            stop, counts = threading.Event(), {}
            hands = [threading.Thread(target=self.hand, args=(row, kind, stop, counts)) for kind in RECIPES]
            for h in hands:
                h.start()
            time.sleep(SECONDS)  # the test's own length, not a wait for something
            stop.set()
            for h in hands:
                h.join()
            row.api.close()  # idle for as long as a server keeps a connection open
            for job in jobs.values():
                row.api.post('/jobs/%s/actions/abort' % job, headers=line.ANY)
            runs = row.api.all('/runs?')
            outcomes = {}
            for r in runs:
                outcomes[r['outcome']] = outcomes.get(r['outcome'], 0) + 1
            print('%d runs %s; the hands %s' % (len(runs), outcomes, counts))

            # Every station still does its work: a new unit in each passes.
            self.all_new(row)
            line.wait_for('every station is at rest', lambda: all(
                s['state'] in ('ready', 'done') for s in row.api.get('/stations')['items']))
            last = self.jobs(row, EACH)
            self.settled(row, last)
            for kind, job in last.items():
                done = row.api.all('/runs?job_id=' + job)
                self.assertEqual({(r['station'], r['outcome']) for r in done},
                                 {('%s-%d' % (kind, i), 'passed') for i in range(EACH)}, kind)
            self.hold_what_they_passed(row)

            self.all_new(row)
            line.wait_for('every station is at rest', lambda: all(
                s['state'] in ('ready', 'done') for s in row.api.get('/stations')['items']))
            line.wait_for('no descriptor or thread is left over', lambda: usage(row.provd.process.pid) <= before[0])
            grown = anonymous_kib(row.provd.process.pid) - before[1]
            print('descriptors and threads %s, anonymous memory grew by %d KiB' % (before[0], grown))
            sanitized = subprocess.run(['grep', '-qE', 'asan|tsan', '/proc/%d/maps' % row.provd.process.pid]).returncode == 0
            # The ring of live events fills up with the runs, and SQLite's caches; that ends, a leak does not.
            if not sanitized:
                self.assertLess(grown, 32 * 1024)
            self.assertEqual(row.provd.term(), 0)

    def hold_what_they_passed(self, row):
        """The units that sit in the sockets passed just now: their contents, read past provd."""
        for i in range(EACH):
            for kind, name in (('fastboot', 'recovery.img'), ('serialboot', None), ('stm32-uart', None), ('adb', None)):
                board = row.board(kind, i)
                home = row.sims[kind].boards_dir
                if kind == 'serialboot':
                    data = line._bytes_of(os.path.join(home, board + '.flash.bin'))
                else:
                    found = [os.path.join(d, f) for d, _, files in os.walk(os.path.join(home, board), followlinks=True)
                             for f in files if f in (name, 'flash.bin', 'app')]
                    self.assertTrue(found, (kind, board, os.listdir(os.path.join(home, board))))
                    data = line._bytes_of(found[0])
                self.assertEqual(line.sha256(data[:len(IMAGE)]), line.sha256(IMAGE), (kind, board))


if __name__ == '__main__':
    line.main()
