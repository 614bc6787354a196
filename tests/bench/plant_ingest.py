#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How many records a second a plant takes, next to a bare COPY and to single INSERTs of the same rows on the same PostgreSQL
(docs/plant.md). `scripts/bench plant` runs it on an optimised build.

    plant_ingest.py [BUILD] [HOSTS...]
"""
import json
import os
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'e2e'))
import line
import plant

ROWS, SIZE = 20000, 500  # of a host; of a batch, as provd sends them when it has many
INSERTS = 400
TABLE = 'CREATE TABLE %s (LIKE records INCLUDING ALL)'


def bodies_of(h, make):
    return [json.dumps({'fence': h.fence, 'after': b, 'records': [make(h, i) for i in range(b + 1, b + SIZE + 1)]}) for b in range(0, ROWS, SIZE)]


def measure(hosts, make):
    """Records a second, all hosts at once."""
    bodies = {h: bodies_of(h, make) for h in hosts}

    def send(h):
        for body in bodies[h]:
            a = h.api.request('POST', '/host/records', body, {'Content-Type': 'application/json'})
            assert a.status == 200, a.body
    threads = [threading.Thread(target=send, args=(h,)) for h in hosts]
    begun = time.monotonic()
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return ROWS * len(hosts) / (time.monotonic() - begun)


def psql_ms(pg, database, script):
    """What psql says that the statements took, all together; without its own start."""
    r = subprocess.run([os.path.join(pg.bin, 'psql'), '-h', pg.dir, '-U', 'plant', '-d', database, '-Xq', '-v', 'ON_ERROR_STOP=1'],
                       input='\\timing on\n' + script, text=True, check=True, stdout=subprocess.PIPE)
    return sum(float(l.split()[1]) for l in r.stdout.splitlines() if l.startswith('Time:'))


def hosts_of(p, kind, n):
    hosts = [plant.Host(p, '%s%d' % (kind, i)) for i in range(n)]
    for h in hosts:
        h.session()
    return hosts


def round_of(pg, p, n):
    p.admin.close()  # what rests for long is closed by the plant
    tag = '%d_' % n
    events = measure(hosts_of(p, 'E' + tag, n), lambda h, i: h.record(i))
    p.sql(TABLE % ('bare' + tag))
    p.sql(TABLE % ('single' + tag))
    where = "(SELECT * FROM records WHERE host LIKE 'E%s%%')" % tag
    rows = p.sql('COPY %s TO STDOUT' % where)
    copied = ROWS * n / psql_ms(pg, p.database, 'COPY bare%s FROM STDIN;\n%s\n\\.\n' % (tag, rows)) * 1000
    insert = p.sql("SELECT string_agg(format('INSERT INTO single%s VALUES (%%L,%%L,%%L,%%L,%%L,%%L,%%L,%%L,%%L,%%L,%%L);',"
                   " host, seq, at, type, station, job, run, serial, text, digest, taken_at), E'\\n') FROM"
                   " (SELECT * FROM %s AS a LIMIT %d) AS b" % (tag, where, INSERTS))
    single = INSERTS / psql_ms(pg, p.database, insert) * 1000
    runs = measure(hosts_of(p, 'R' + tag, n), lambda h, i: h.run(i, '%s-%d' % (h.name, i), '%s-%d' % (h.name, i), measured=10))
    size = p.sql("SELECT pg_total_relation_size('runs') + pg_total_relation_size('measurements') + pg_total_relation_size('ledger')")
    count = int(p.sql('SELECT count(*) FROM runs'))
    print('hosts %d: events/s %.0f; bare COPY rows/s %.0f, ratio %.2f; single INSERTs/s %.0f, ratio %.0f; runs/s with 10 measurements %.0f,'
          ' bytes of a run %d' % (n, events, copied, events / copied, single, events / single, runs, int(size) / count), flush=True)


def main():
    if len(sys.argv) > 1 and os.path.isdir(sys.argv[1]):
        os.environ['PROVD_BUILD'] = os.path.abspath(sys.argv.pop(1))
    pg = plant.Postgres(plant.new_home())
    try:
        with plant.Plant(pg) as p:
            for n in [int(x) for x in sys.argv[1:]] or [1, 4]:
                round_of(pg, p, n)
    finally:
        pg.close()


if __name__ == '__main__':
    main()
