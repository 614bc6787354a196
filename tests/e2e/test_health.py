#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""/livez and /readyz: each cause by a fault that the test makes.

    test_health.py [BUILD]
"""
import calendar
import os
import shutil
import subprocess
import tempfile
import threading
import time
import unittest

import line
from test_observe import ASK, labels, parse

# STA_UNSYNC of adjtimex(2).
ADJTIMEX = '''
import ctypes
t = (ctypes.c_char * 256)()
state = ctypes.CDLL(None).adjtimex(t)
status = ctypes.c_int.from_buffer(t, 40).value
print('synchronised' if state != 5 and not status & 0x40 else 'not')
'''


def strace(pid, what, thread=None):
    """It injects `what` into the calls of a process, or of one of its threads alone, until it is ended."""
    who = ['-p', str(thread)] if thread else ['-f', '-p', str(pid)]
    p = subprocess.Popen(['strace', '-qq', '-o', '/dev/null', '-e', 'trace=' + what.split(':')[0], '-e', 'inject=' + what, *who],
                         stderr=subprocess.DEVNULL, preexec_fn=line._with_parent)

    def traced():
        with open('/proc/%d/status' % (thread or pid)) as f:
            return f.read().split('TracerPid:')[1].split()[0] == str(p.pid)
    line.wait_for('strace has it', lambda: p.poll() is not None or traced())
    if p.poll() is not None:
        raise unittest.SkipTest('strace may not trace here')
    return p


class Health(unittest.TestCase):
    """Each cause, by a fault that the test makes; and its end."""

    def ready(self, l):
        a = l.api.request('GET', '/readyz', raw=True)
        self.assertEqual(a.status, 200 if a.json['status'] == 'ok' else 503)
        self.assertEqual(a.json['status'] == 'ok', not any(c['blocks'] for c in a.json['causes']))
        for c in a.json['causes']:
            self.assertTrue(c['message'] and c['hint'], c)
        return {c['code']: c['message'] for c in a.json['causes']}

    def until(self, l, code, there=True):
        return line.wait_for('%s is %s' % (code, 'a cause' if there else 'no cause any more'),
                             lambda: (code in self.ready(l)) == there and (self.ready(l).get(code) or True))

    def test_a_line_that_works_lives_and_is_ready(self):
        with line.Line(1, boards=0) as l:
            l.start()
            self.assertEqual(self.ready(l), {})
            a = l.api.request('GET', '/livez', raw=True)
            self.assertEqual((a.status, a.json), (200, {'status': 'ok', 'causes': []}))

    def test_a_writer_that_hangs_at_its_disk(self):
        with line.Line(1, boards=0) as l:
            l.start()
            l.put_firmware(line.firmware(256))
            tracer = strace(l.provd.process.pid, 'fdatasync:delay_enter=14s')
            self.addCleanup(tracer.kill)
            # It waits for the commit, in a thread of its own.
            api = l.provd.api()
            self.addCleanup(api.close)
            waiting = threading.Thread(target=lambda: api.request('POST', '/tokens', {'name': 'slow', 'role': 'viewer'}),
                                       daemon=True)
            waiting.start()
            self.assertIn('has not come round for 1', self.until(l, 'writer-stuck'))
            self.assertEqual(l.api.request('GET', '/livez', raw=True).status, 200)
            tracer.terminate()
            tracer.wait()
            self.until(l, 'writer-stuck', False)
            waiting.join(line.DEADLINE_S)

    def test_a_disk_that_takes_no_write(self):
        """As a file system that the kernel has made read-only: each write of the database fails."""
        with line.Line(1, boards=0) as l:
            l.start()
            tracer = strace(l.provd.process.pid, 'pwrite64:error=EROFS')
            self.addCleanup(tracer.kill)
            def refused():
                return l.api.request('POST', '/tokens', {'name': 't%d' % time.monotonic_ns(), 'role': 'viewer'}).status >= 500
            line.wait_for('a write is refused', refused)
            self.assertIn('could not be written', self.until(l, 'database'))
            self.assertIn('provd_writer_commits_failed_total{code="database"}', l.api.request('GET', '/metrics').body.decode())
            tracer.terminate()
            tracer.wait()
            line.wait_for('a write is taken', lambda: not refused())
            self.until(l, 'database', False)

    def test_a_database_that_may_not_be_written(self):
        """As on a file system that the kernel has made read-only."""
        with line.Line(1, boards=0) as l:
            l.start()
            path = os.path.join(l.home, 'state', 'provd.db')
            if subprocess.run(['mount', '--bind', path, path], capture_output=True).returncode:
                self.skipTest('to mount needs root')
            try:
                subprocess.run(['mount', '-o', 'remount,bind,ro', path], check=True)
                self.assertIn('Read-only file system', self.until(l, 'database-read-only'))
            finally:
                subprocess.run(['umount', '-l', path], check=True)
            self.until(l, 'database-read-only', False)

    def test_a_disk_without_room(self):
        m = tempfile.mkdtemp(prefix='provd-disk-')
        if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=40m', 'tmpfs', m], capture_output=True).returncode:
            self.skipTest('a file system of its own needs root')
        self.addCleanup(lambda: (subprocess.run(['umount', '-l', m]), os.rmdir(m)))
        with line.Line(1, boards=0) as l:
            os.symlink(m, os.path.join(l.home, 'state'))
            l.start()
            with open(os.path.join(m, 'fill'), 'wb') as f:
                try:
                    while True:
                        f.write(bytes(1 << 16))
                        f.flush()
                except OSError:
                    pass
            self.assertIn('disk', self.until(l, 'disk-full'))
            values, _ = parse(l.api.request('GET', '/metrics').body.decode())
            self.assertEqual(values['provd_hold'], {labels(code='disk-full'): 1})
            os.unlink(os.path.join(m, 'fill'))
            self.until(l, 'disk-full', False)

    def test_a_clock_that_nothing_keeps(self):
        t = subprocess.run(['/usr/bin/python3', '-c', ADJTIMEX], capture_output=True, text=True)
        if t.stdout.strip() == 'synchronised':
            self.skipTest('the clock of this machine is synchronised')
        with line.Line(1, boards=0, config='clock_sync: required\n') as l:
            l.start()
            self.assertIn('not synchronised', self.until(l, 'clock'))
            self.assertEqual(l.api.request('GET', '/readyz', raw=True).status, 200, 'what carries no date goes on')
            self.assertIn('provd_clock_synchronised 0', l.api.request('GET', '/metrics').body.decode())

    def test_more_that_waits_than_is_allowed(self):
        """A webhook that nobody takes anything of."""
        with line.Line(1, boards=0, config='secrets: {s: {file: %s}}\noutbox: {stop_after: 2}\nwebhooks: '
                       '{allow: [127.0.0.1], clear: [127.0.0.1]}\n' % self.secret()) as l:
            l.start()
            l.api.post('/webhooks', {'url': 'http://127.0.0.1:1/', 'types': ['job-*'], 'secret': 's'})
            l.put_recipe(ASK)
            for i in range(4):
                l.api.post('/jobs', {'recipe': 'ask', 'quantity': 1})
            self.assertIn('wait for the webhook', self.until(l, 'backlog'))

    def secret(self):
        d = tempfile.mkdtemp(prefix='provd-secret-')
        self.addCleanup(shutil.rmtree, d)
        with open(os.path.join(d, 's'), 'w') as f:
            f.write('whsec_' + 'A' * 32)
        return f.name

    def certificate(self, d, *dates):
        key, crt = os.path.join(d, 'k.pem'), os.path.join(d, 'c.pem')
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', crt,
                        '-subj', '/CN=localhost', '-days', '1'], check=True, capture_output=True)
        conf = os.path.join(d, 'ca.cnf')
        with open(conf, 'w') as f:
            f.write('[ca]\ndefault_ca=x\n[x]\ndatabase=%s/index\nserial=%s/serial\nnew_certs_dir=%s\n'
                    'default_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n' % (d, d, d))
        open(os.path.join(d, 'index'), 'w').close()
        with open(os.path.join(d, 'serial'), 'w') as f:
            f.write('01\n')
        csr = os.path.join(d, 'r.pem')
        subprocess.run(['openssl', 'req', '-new', '-key', key, '-subj', '/CN=localhost', '-out', csr], check=True,
                       capture_output=True)
        subprocess.run(['openssl', 'ca', '-batch', '-config', conf, '-selfsign', '-keyfile', key, '-in', csr, '-out', crt,
                        '-notext', '-startdate', dates[0], '-enddate', dates[1]], check=True, capture_output=True)
        os.chmod(key, 0o600)
        return 'tls: {certificate: %s, key: %s}\nlisten: [http://127.0.0.1:0]\n' % (crt, key)

    def test_a_certificate_that_has_ended_or_not_begun(self):
        for code, dates in (('tls-certificate-expired', ('200101000000Z', '200102000000Z')),
                            ('tls-certificate-not-yet-valid', ('20480101000000Z', '20490102000000Z'))):
            d = tempfile.mkdtemp(prefix='provd-crt-')
            self.addCleanup(shutil.rmtree, d)
            with line.Line(1, boards=0) as l:
                tls = self.certificate(d, *dates)
                with open(l.provd.config) as f:
                    text = f.read().replace('listen: 127.0.0.1:0\n', '')
                with open(l.provd.config, 'w') as f:
                    f.write(text + tls)
                l.start()
                self.assertIn('certificate of the API', self.until(l, code))
                values, _ = parse(l.api.request('GET', '/metrics').body.decode())
                ends = calendar.timegm(time.strptime(dates[1][-13:], '%y%m%d%H%M%SZ'))
                self.assertEqual(values['provd_tls_certificate_end_seconds'], {(): ends})
                self.assertEqual(values['provd_tls_files_refused'], {(): 0})

    def test_a_main_loop_that_hangs_ends_the_life(self):
        with line.Line(1, boards=0) as l:
            l.start()
            tracer = strace(l.provd.process.pid, 'poll:delay_enter=60s', thread=l.provd.process.pid)
            self.addCleanup(tracer.kill)
            a = line.wait_for('it is seen', lambda: (lambda a: a if a.status == 503 else None)(
                l.api.request('GET', '/livez', raw=True)))
            self.assertEqual([c['code'] for c in a.json['causes']], ['main-loop-hangs'])
            tracer.terminate()
            tracer.wait()
            line.wait_for('it lives again', lambda: l.api.request('GET', '/livez', raw=True).status == 200)


if __name__ == '__main__':
    line.main()
