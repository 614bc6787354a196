#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A storm of reloads while viewers look at everything that shows the configuration, and units are plugged, pulled and
provisioned. provd must neither fall nor leave a station out.

    test_reload.py [BUILD]
"""
import os
import signal
import threading
import unittest

import line

RELOADS = int(os.environ.get('PROVD_RELOADS', '40'))
STATIONS = 4
PATHS = ('/ports', '/stations', '/stations/A1', '/stations/A4', '/metrics', '/summary', '/ports?bound=true')


class Viewer(threading.Thread):
    """Looks in turn at each path until it is asked to stop; what it got."""

    def __init__(self, l, shift):
        super().__init__(daemon=True)
        self.api = l.provd.api()
        self.shift, self.statuses, self.error = shift, {}, None
        self.stop = threading.Event()
        self.start()

    def run(self):
        n = self.shift
        try:
            while not self.stop.is_set():
                path = PATHS[n % len(PATHS)]
                a = self.api.request('GET', path)
                self.statuses.setdefault((path, a.status), 0)
                self.statuses[(path, a.status)] += 1
                n += 1
        except OSError as e:
            self.error = e
        finally:
            self.api.close()


class Reload(unittest.TestCase):
    def configure(self, l, n):
        """The stations as they are, with another title, role or settle time in each turn, and some left out."""
        text = 'stations:\n'
        for i in range(1, STATIONS + 1):
            if i == STATIONS and n % 3 == 0:
                continue
            role = 'console' if i % 2 or n % 2 else 'dut'
            text += "  - {id: A%d, title: '%s', settle: %dms, ports: {%s: {kind: tty, path: " \
                    "'platform-provsim-usb-0:1.%d', vid: '1209', pid: '0001'}}}\n" % (
                        i, 'title ' * (n % 5), 20 + n % 3, role, i)
        target = os.path.join(l.home, 'stations.d', 'line.yaml')
        with open(target + '.new', 'w') as f:
            f.write(text)
        os.rename(target + '.new', target)

    def test_viewers_and_runs_live_through_a_storm_of_reloads(self):
        with line.Line(STATIONS, config='quarantine_after: 0\n', sim_args=('--replace-after-idle', '500')) as l:
            l.start()
            l.prepare(line.firmware(16 * 1024))
            l.api.post('/jobs', {'recipe': 'production', 'quantity': 100000})
            viewers = [Viewer(l, i) for i in range(4)]
            for n in range(1, RELOADS + 1):
                self.configure(l, n)
                l.provd.process.send_signal(signal.SIGHUP)
                # The next one as soon as this one has been answered to.
                line.wait_for('the reload', lambda: l.provd.log_text().count('stations read again') >= n or
                              l.provd.process.poll() is not None, every_s=0.005)
                if l.provd.process.poll() is not None:
                    break
            for v in viewers:
                v.stop.set()
            for v in viewers:
                v.join()
            self.assertIsNone(l.provd.process.poll(), 'provd fell after %d reloads' % n)
            self.assertEqual([v.error for v in viewers if v.error], [])
            seen = {}
            for v in viewers:
                for (path, status), count in v.statuses.items():
                    seen.setdefault(path, set()).add(status)
            self.assertEqual(set(seen), set(PATHS))
            for path, statuses in seen.items():
                # A station that is being replaced, or is left out for a moment, is not there.
                self.assertLessEqual(statuses, {200, 404} if path.startswith('/stations/') else {200}, path)
            # What is configured in the end works.
            l.stations(STATIONS)
            l.provd.process.send_signal(signal.SIGHUP)
            before = {s: len(l.api.get('/runs?station=%s&outcome=passed&limit=1000' % s)['items'])
                      for s in ('A1', 'A2', 'A3', 'A4')}
            for s, had in before.items():
                line.wait_for('%s provisions again' % s, lambda: len(
                    l.api.get('/runs?station=%s&outcome=passed&limit=1000' % s)['items']) > had)
            print('%d reloads, %d answers' % (n, sum(c for v in viewers for c in v.statuses.values())))
            self.assertEqual(l.provd.term(), 0)


if __name__ == '__main__':
    line.main()
