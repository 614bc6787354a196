#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
#
# Power cut: provd in a virtual machine works through a job, its database on an ext4 disk; an
# observer outside reads what it acknowledges (answers 201, live events). QEMU is killed by SIGKILL at
# a random moment. All that was acknowledged must be on the disk, and provd must start from it.
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'vm'))
from vm import BUILD, DIR, ROOT, Checks, Follower, Vm, amount, build, skip, wait  # noqa: E402
import vm as vm_module  # noqa: E402

ROUNDS = amount(2, 5)
BOARDS = 4
DISK_MIB = 192


def tool(name):
    path = shutil.which(name, path=os.environ.get('PATH', '') + ':/sbin:/usr/sbin')
    return path or skip(f'no {name} (scripts/install-deps test)')


def make_disk(path):
    with open(path, 'wb') as f:
        f.truncate(DISK_MIB << 20)
    subprocess.run([tool('mke2fs'), '-q', '-F', '-t', 'ext4', path], check=True)


def station_yaml():
    return '\n'.join(f"  - {{id: A{n}, ports: {{console: {{path: 'platform-provsim-usb-0:1.{n}'}}}}}}"
                     for n in range(1, BOARDS + 1))


class Customer(threading.Thread):
    """Orders one job after the other, until the machine is cut off; keeps the ids that were answered."""

    def __init__(self, machine):
        super().__init__(daemon=True)
        self.machine = machine
        self.jobs = []
        self.pools = []
        self.start()

    def run(self):
        try:
            for n in range(10000):
                self.jobs.append(self.machine.job('production', 5))
                pool = self.machine.make('POST', '/pools', {'id': f'pool-{n}', 'pattern': f'P{n}-{{seq:04}}',
                                                            'first': 1, 'last': 9})
                self.pools.append(pool.get('id', f'pool-{n}'))
                time.sleep(0.15)
        except (OSError, RuntimeError, ValueError, vm_module.http.client.HTTPException):
            pass  # the power went


def cut_off(t, n, disk, production):
    """One life of the machine; returns what it acknowledged."""
    make_disk(disk)
    machine = Vm(f'power-cut-{n}', disk)
    try:
        machine.sh(f'setsid provsim run --boards {BOARDS} --events /run/events --control /run/control '
                   '--replace-after-idle 100 --when-serial > /run/sim.log 2>&1 < /dev/null &')
        wait('the boards', lambda: 'ready' in machine.sh('cat /run/sim.log'), 10)
        machine.start_provd(station_yaml(), "'stream:/run/events'", user=None)
        machine.prepare([production], firmware=os.urandom(8192))
        told = Follower(machine)
        customer = Customer(machine)
        wait('the first finished step', lambda: told.find('step-finished'), 30)
        enough = len(told.events) + random.randrange(20, 150)
        wait('the moment', lambda: len(told.events) >= enough, 60)
        time.sleep(random.random() * 0.3)
    except (TimeoutError, RuntimeError):
        print(machine.sh('tail -n 20 /run/provd.log; tail -n 3 /run/sim.log'))
        raise
    finally:
        machine.kill()
    told.join(5)
    customer.join(5)
    return told.events, customer


def recover_disk(disk, to):
    fsck = subprocess.run([tool('e2fsck'), '-fy', disk], capture_output=True, text=True)
    shutil.rmtree(to, ignore_errors=True)
    os.makedirs(to)
    subprocess.run([tool('debugfs'), '-R', f'rdump /state {to}', disk], capture_output=True, check=True)
    return fsck.returncode < 4


def column(db, sql):
    return {row[0] for row in db.execute(sql)}


def missing_of(db, events, customer):
    """What was acknowledged and is not there; and how much was acknowledged in all."""
    rows = dict(db.execute('SELECT seq, type FROM events'))
    steps = {(r, s) for r, s in db.execute("SELECT run_id, id FROM steps WHERE state = 'done'")}
    begun = {(r, s) for r, s in db.execute('SELECT run_id, id FROM steps')}
    runs = column(db, 'SELECT id FROM runs')
    ended = column(db, "SELECT id FROM runs WHERE state = 'finished'")
    serials = column(db, 'SELECT value FROM serials')
    jobs = column(db, 'SELECT id FROM jobs')
    pools = column(db, 'SELECT id FROM pools')
    missing = [f'job {j}' for j in customer.jobs if j not in jobs]
    missing += [f'pool {p}' for p in customer.pools if p not in pools]
    count = len(customer.jobs) + len(customer.pools)
    for seq, kind, text, _ in events:
        o = json.loads(text)
        data = o.get('data') or {}
        run, step = o.get('run'), data.get('step') or data.get('id')
        ok = rows.get(seq) == kind
        if kind == 'step-finished':
            ok = ok and (run, step) in steps
        elif kind == 'step-started':
            ok = ok and (run, step) in begun
        elif kind == 'run-finished':
            ok = ok and run in ended
        elif kind in ('run-attached', 'run-started'):
            ok = ok and run in runs
        elif kind in ('serial-reserved', 'serial-committed'):
            ok = ok and o.get('serial') in serials
        count += 1
        if not ok:
            missing.append(f'event {seq} {kind} {text[:200]}')
    return missing, count


def notices_a_loss(t, n, db, events, customer):
    """The check can fail: without its last event, or its last job, the database would not do."""
    copy = sqlite3.connect(':memory:')
    db.backup(copy)
    copy.execute('DELETE FROM events WHERE seq = ?', (events[-1][0],))
    t.equal(f'round {n}: a lost event would be noticed', len(missing_of(copy, events, customer)[0]), 1)
    copy.execute('PRAGMA foreign_keys = OFF')
    copy.execute('DELETE FROM jobs WHERE id = ?', (customer.jobs[-1],))
    t.equal(f'round {n}: a lost job would be noticed', len(missing_of(copy, events, customer)[0]), 2)
    copy.close()


def start_again(t, state, what):
    """provd, on this machine, on what the disk held: open runs become interrupted."""
    folder = os.path.dirname(state)
    config = os.path.join(folder, 'provd.yaml')
    port = os.path.join(folder, 'port')
    with open(config, 'w') as f:
        f.write(f'state_dir: {state}\nlisten: 127.0.0.1:0\nhotplug: []\nstations: []\n')
    with open(os.path.join(folder, 'provd.log'), 'w') as log:
        p = subprocess.Popen([os.path.join(BUILD, 'daemon', 'provd'), '--config', config, '--port-file', port],
                             stdout=log, stderr=subprocess.STDOUT)
    try:
        wait('provd on the recovered database',
             lambda: os.path.exists(port) and os.path.getsize(port) or p.poll() is not None, 20)
    finally:
        p.terminate()
        status = p.wait(20)
    t.equal(f'{what}: provd starts from the disk, and ends well', status, 0)


def check_disk(t, n, disk, events, customer):
    folder = os.path.join(DIR, f'power-cut-{n}.d')
    t.expect(f'round {n}: fsck mends the disk', recover_disk(disk, folder))
    state = os.path.join(folder, 'state')
    name = next(f for f in os.listdir(state) if f.endswith('.db'))
    db = sqlite3.connect(os.path.join(state, name))
    t.equal(f'round {n}: the database is whole', db.execute('PRAGMA integrity_check').fetchone()[0], 'ok')
    missing, count = missing_of(db, events, customer)
    print(f'round {n}: {count} acknowledged, {count - len(missing)} found', flush=True)
    t.expect(f'round {n}: all that was acknowledged is there', count > 0 and not missing, '\n'.join(missing[:5]))
    notices_a_loss(t, n, db, events, customer)
    was_open = column(db, "SELECT id FROM runs WHERE state = 'open'")
    db.close()
    start_again(t, state, f'round {n}')
    db = sqlite3.connect(os.path.join(state, name))
    t.equal(f'round {n}: no run is left open', column(db, "SELECT id FROM runs WHERE state = 'open'"), set())
    interrupted = column(db, "SELECT id FROM runs WHERE outcome = 'interrupted'")
    t.equal(f'round {n}: the runs that were open are interrupted', interrupted & was_open, was_open)
    doubles = db.execute("SELECT value FROM serials WHERE state = 'committed' GROUP BY value HAVING count(*) > 1")
    t.equal(f'round {n}: no serial twice', doubles.fetchall(), [])
    reserved = db.execute("SELECT count(*) FROM serials WHERE state = 'reserved'").fetchone()[0]
    t.equal(f'round {n}: no serial left in the air', reserved, 0)
    db.close()
    shutil.rmtree(folder)


def main():
    build()
    for name in ('mke2fs', 'e2fsck', 'debugfs'):
        tool(name)
    t = Checks()
    seed = int(os.environ.get('RIG_SEED', time.time_ns() & 0xffffffff))
    random.seed(seed)
    t.note(f'RIG_SEED={seed}')
    with open(os.path.join(ROOT, 'recipes', 'production.yaml')) as f:
        production = re.sub(r'delay: 200ms', 'delay: 50ms', f.read())
    disk = os.path.join(DIR, 'power-cut.img')
    for n in range(1, ROUNDS + 1):
        try:
            events, customer = cut_off(t, n, disk, production)
            check_disk(t, n, disk, events, customer)
        except (TimeoutError, RuntimeError, OSError) as e:
            t.expect(f'round {n}', False, repr(e))
        t.note(f'round {n} done')
    os.unlink(disk)
    t.end()


if __name__ == '__main__':
    main()
