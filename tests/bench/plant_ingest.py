#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How many records a second a plant takes, next to a bare COPY of the same rows on the same PostgreSQL (docs/plant.md).

    plant_ingest.py [BUILD] [HOSTS]
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

BATCHES, SIZE = 100, 100


def measure(hosts, make):
    """Records a second, all hosts at once."""
    bodies = {h: [json.dumps({'fence': h.fence, 'after': b * SIZE, 'records': [make(h, i) for i in range(b * SIZE + 1, (b + 1) * SIZE + 1)]})
                  for b in range(BATCHES)] for h in hosts}

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
    return BATCHES * SIZE * len(hosts) / (time.monotonic() - begun)


def main():
    if len(sys.argv) > 1 and os.path.isdir(sys.argv[1]):
        os.environ['PROVD_BUILD'] = os.path.abspath(sys.argv.pop(1))
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    pg = plant.Postgres(plant.new_home())
    try:
        with plant.Plant(pg) as p:
            hosts = [plant.Host(p, 'E%d' % i) for i in range(n)]
            for h in hosts:
                h.session()
            events = measure(hosts, lambda h, i: h.record(i))
            p.sql('CREATE TABLE bare (LIKE records INCLUDING ALL)')
            rows = p.sql("COPY records TO STDOUT")
            argv = [os.path.join(pg.bin, 'psql'), '-h', pg.dir, '-U', 'plant', '-d', p.database, '-Xq', '-c', 'COPY bare FROM STDIN']
            begun = time.monotonic()
            subprocess.run(argv, input=rows + '\n', text=True, check=True)
            copied = BATCHES * SIZE * n / (time.monotonic() - begun)
            hosts = [plant.Host(p, 'R%d' % i) for i in range(n)]
            for h in hosts:
                h.session()
            runs = measure(hosts, lambda h, i: h.run(i, '%s-%d' % (h.name, i), '%s-%d' % (h.name, i), measured=10))
            size = p.sql("SELECT pg_total_relation_size('runs') + pg_total_relation_size('measurements') + pg_total_relation_size('ledger')")
            print('hosts %d: events/s %.0f, bare COPY rows/s %.0f (ratio %.2f), runs/s with 10 measurements %.0f, bytes of a run %d'
                  % (n, events, copied, events / copied, runs, int(size) / (BATCHES * SIZE * n)))
    finally:
        pg.close()


if __name__ == '__main__':
    main()
