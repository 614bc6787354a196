#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Labels over IPP: what a printer of CUPS (ippeveprinter) gets is the label in its size, and a queue of the test's own has what
queues do to a job.

    test_ipp.py [BUILD]
"""
import http.server
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import unittest

import line
import test_label

PLATE = test_label.PLATE
VALUES = 'values={"serial": "LB-7", "gtin": "0952123454321"}'
READ = {'LB-7', 'https://example.com/u/LB-7', '010952123454321321LB-7'}
PRINT_JOB, GET_JOB, GET_JOBS, GET_PRINTER = 0x0002, 0x0009, 0x000a, 0x000b


def attribute(tag, name, value):
    value = struct.pack('>I', value) if isinstance(value, int) and tag != 0x22 else value
    return struct.pack('>BH', tag, len(name)) + name.encode() + struct.pack('>H', len(value)) + value


def read_request(raw):
    """(operation, number, attributes by name, document) by this test's own reading of RFC 8010."""
    operation, number = struct.unpack_from('>HI', raw, 2)
    at, found, name = 8, {}, ''
    while raw[at] != 3:
        if raw[at] <= 15:
            at += 1
            continue
        n = struct.unpack_from('>H', raw, at + 1)[0]
        name = raw[at + 3:at + 3 + n].decode() or name
        at += 3 + n
        n = struct.unpack_from('>H', raw, at)[0]
        found.setdefault(name, []).append(raw[at + 2:at + 2 + n])
        at += 2 + n
    return operation, number, found, raw[at + 1:]


class Queue:
    """A queue that takes a job and has it end as it is told. lost: Print-Job is carried out (or not), its answer never comes."""

    def __init__(self):
        self.state, self.reasons, self.accepts = 3, [b'none'], True
        self.end, self.why = 9, b'job-completed-successfully'
        self.lost = self.carried = self.other_number = self.other_job = False
        self.formats = [b'application/pdf']
        self.refuses = 0
        self.jobs, self.requests = [], []
        queue = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def log_message(self, *_):
                pass

            def do_POST(self):
                raw = self.rfile.read(int(self.headers['Content-Length']))
                answer = queue.answer(self.path, raw)
                self.close_connection = True
                if answer is None:
                    return
                self.send_response(200)
                self.send_header('Content-Type', 'application/ipp')
                self.send_header('Content-Length', str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.address = '127.0.0.1:%d' % self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def job(self, i):
        name = self.jobs[i][0]
        return b'\x02' + attribute(0x21, 'job-id', i + 1) + attribute(0x42, 'job-name', name) + \
            attribute(0x23, 'job-state', self.end) + attribute(0x44, 'job-state-reasons', self.why)

    def answer(self, path, raw):
        operation, number, got, document = read_request(raw)
        self.requests.append(operation)
        assert path == '/printers/plates' and got['printer-uri'] == [b'ipp://%s/printers/plates' % self.address.encode()]
        status, groups = 0, b''
        if operation == GET_PRINTER:
            groups = b'\x04' + attribute(0x23, 'printer-state', self.state)
            for i, reason in enumerate(self.reasons):
                groups += attribute(0x44, '' if i else 'printer-state-reasons', reason)
            groups += attribute(0x22, 'printer-is-accepting-jobs', b'\1' if self.accepts else b'\0')
            for i, f in enumerate(self.formats):
                groups += attribute(0x49, '' if i else 'document-format-supported', f)
        elif operation == PRINT_JOB:
            assert document.startswith(b'%PDF') and got['document-format'] == [b'application/pdf']
            if self.refuses:
                status = self.refuses
            elif not self.lost or self.carried:
                self.jobs.append((got['job-name'][0], document))
                groups = self.job(len(self.jobs) - 1)
            if self.lost:
                return None
        elif operation == GET_JOB:
            groups = self.job(struct.unpack('>I', got['job-id'][0])[0] - 1 - self.other_job)
        else:
            assert operation == GET_JOBS
            groups = b''.join(self.job(i) for i in range(len(self.jobs)))
        head = struct.pack('>HHI', 0x0200, status, number + (1 if self.other_number else 0))
        return head + b'\x01' + attribute(0x47, 'attributes-charset', b'utf-8') + \
            attribute(0x48, 'attributes-natural-language', b'en') + groups + b'\x03'


class Exec(unittest.TestCase):
    def setUp(self):
        self.home = tempfile.mkdtemp(prefix='provd-ipp-')
        self.addCleanup(shutil.rmtree, self.home)

    def label(self, printer, *more):
        done = subprocess.run([line.binary('provctl'), '--json', 'exec', 'unit.label', 'template=' + PLATE, 'printer=plates', VALUES,
                               *more], env=dict(os.environ, PROVD_PRINTER_plates=printer), capture_output=True, text=True,
                              timeout=line.DEADLINE_S)
        run = json.loads(done.stdout)
        return done.returncode, dict(run, evidence=run['steps'][-1].get('evidence') or {}), done

    def read(self, pdf):
        """What scanners read of each page, by poppler's picture of it."""
        subprocess.run(['pdftoppm', '-r', '600', '-png', pdf, os.path.join(self.home, 'page')], check=True, timeout=line.DEADLINE_S)
        pages = sorted(f for f in os.listdir(self.home) if f.startswith('page') and f.endswith('.png'))
        return [test_label.scanned(os.path.join(self.home, f)) for f in pages]

    def size(self, pdf):
        """(width, height) of its pages in millimetres."""
        said = subprocess.run(['pdfinfo', pdf], check=True, capture_output=True, text=True, timeout=line.DEADLINE_S).stdout
        words = next(x for x in said.split('\n') if x.startswith('Page size:')).split()
        return float(words[2]) * 25.4 / 72, float(words[4]) * 25.4 / 72


class File(Exec):
    def test_a_pdf_has_the_size_of_the_label_and_scanners_read_it(self):
        pdf = os.path.join(self.home, 'label.pdf')
        done = subprocess.run([line.binary('provctl'), 'exec', 'unit.label', 'template=' + PLATE, VALUES, 'file=' + pdf, 'format=pdf'],
                              capture_output=True, text=True, timeout=line.DEADLINE_S)
        self.assertEqual(done.returncode, 0, done)
        width, height = (float(next(x for x in test_label.text_of(PLATE).split('\n') if x.startswith(key)).split()[1].rstrip('m'))
                         for key in ('width:', 'height:'))
        got = self.size(pdf)
        self.assertAlmostEqual(got[0], width, delta=0.01)
        self.assertAlmostEqual(got[1], height, delta=0.01)
        self.assertEqual(self.read(pdf), [READ])


class Real(Exec):
    """ippeveprinter needs the bus of Avahi, and goes on without Avahi itself."""

    def setUp(self):
        super().setUp()
        if not shutil.which('ippeveprinter') or not shutil.which('dbus-daemon'):
            self.skipTest('ippeveprinter (cups-ipp-utils) and dbus-daemon are not installed')
        bus = 'unix:path=' + os.path.join(self.home, 'bus')
        self.run_it('dbus-daemon', '--session', '--nofork', '--address=' + bus)
        line.wait_for('the bus', lambda: os.path.exists(os.path.join(self.home, 'bus')))
        with socket.create_server(('127.0.0.1', 0)) as s:
            port = s.getsockname()[1]
        self.out = os.path.join(self.home, 'printed')
        os.mkdir(self.out)
        command = os.path.join(self.home, 'print')
        with open(command, 'w') as f:
            f.write('#!/bin/sh\nn=$(ls %s | wc -l)\ncp "$1" %s/$n.tmp && mv %s/$n.tmp %s/$n.pdf\n' % ((self.out,) * 4))
        os.chmod(command, 0o700)
        self.spool = os.path.join(self.home, 'spool')
        os.mkdir(self.spool)
        self.run_it('ippeveprinter', '-r', 'off', '-p', str(port), '-n', 'localhost', '-f', 'application/pdf', '-d', self.spool,
                    '-c', command, 'plates', env=dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS=bus))
        self.printer = 'ipp://localhost:%d/ipp/print' % port

        def listens():
            with socket.socket() as s:
                return s.connect_ex(('127.0.0.1', port)) == 0
        line.wait_for('the printer listens', listens)

    def run_it(self, *args, env=None):
        p = subprocess.Popen(args, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def end():
            p.terminate()
            p.wait(line.DEADLINE_S)
        self.addCleanup(end)

    def test_a_printer_of_cups_gets_the_label_once_in_its_size(self):
        status, said, done = self.label(self.printer, 'copies=2')
        self.assertEqual(status, 0, done)
        self.assertEqual(said['evidence']['job']['state'], 'completed')
        self.assertEqual(said['evidence']['acknowledged'], "completed, by the queue's own state")
        self.assertEqual(os.listdir(self.out), ['0.pdf'])
        pdf = os.path.join(self.out, '0.pdf')
        self.assertEqual(said['evidence']['sha256'], line.sha256(test_label.bytes_of(pdf)))
        self.assertEqual(self.read(pdf), [READ, READ])


class Faults(Exec):
    def setUp(self):
        super().setUp()
        self.queue = Queue()
        self.addCleanup(self.queue.close)
        self.printer = 'ipp://%s/printers/plates' % self.queue.address

    def refused(self, says, printed, *more):
        """It ends as an error of the printer, and so many labels are in the queue."""
        status, said, done = self.label(self.printer, *more)
        self.assertEqual((status, said['code']), (3, 'printer'), done)
        self.assertIn(says, said['message'])
        self.assertEqual(len(self.queue.jobs), printed)
        return said['evidence']

    def test_a_job_that_completes_has_passed(self):
        status, said, done = self.label(self.printer)
        self.assertEqual(status, 0, done)
        self.assertEqual(said['evidence']['job'], {'id': 1, 'state': 'completed', 'looked_up': False})
        self.assertEqual(len(self.queue.jobs), 1)

    def test_a_printer_that_cannot_print_gets_nothing(self):
        for state, reasons, says in ((5, [b'none'], 'it is stopped'), (5, [b'paused'], 'it is paused: resume it'),
                                     (3, [b'media-empty-error'], 'it has no paper: load labels; nothing was sent'),
                                     (4, [b'none', b'cover-open'], 'its cover is open: close it')):
            self.queue.state, self.queue.reasons = state, reasons
            self.refused(says, 0)
        self.assertEqual(set(self.queue.requests), {GET_PRINTER})
        self.queue.state, self.queue.reasons, self.queue.accepts = 3, [b'none'], False
        self.refused('it accepts no jobs', 0)
        self.queue.accepts, self.queue.formats = True, [b'image/urf', b'image/jpeg']
        self.refused('it does not take application/pdf', 0)

    def test_a_warning_lets_it_print(self):
        self.queue.reasons = [b'media-low-warning', b'media-empty-report', b'marker-supply-low-warning']
        self.assertEqual(self.label(self.printer)[0], 0)

    def test_a_job_that_does_not_complete_is_an_error_that_says_what_may_have_come_out(self):
        for end, why, says in ((4, b'job-hold-until-specified', 'another print would be a second one'),
                               (6, b'printer-stopped', 'job 2 is stopped (printer-stopped)'),
                               (7, b'job-canceled-by-operator', 'job 3 was canceled (job-canceled-by-operator)'),
                               (8, b'aborted-by-system', 'job 4 was aborted (aborted-by-system): look at the printer')):
            self.queue.end, self.queue.why = end, why
            n = len(self.queue.jobs) + 1
            self.assertEqual(self.refused(says, n)['may_have_printed'], True)

    def test_a_job_that_completed_with_errors_is_one(self):
        for why in (b'job-completed-with-errors', b'aborted-by-system', b'job-canceled-by-operator', b'document-format-error'):
            self.queue.why = why
            says = 'job %d is completed, and its reason is %s' % (len(self.queue.jobs) + 1, why.decode())
            self.assertEqual(self.refused(says, len(self.queue.jobs) + 1)['may_have_printed'], True)
        self.queue.why = b'job-completed-with-warnings'
        self.assertEqual(self.label(self.printer)[0], 0)

    def test_the_state_of_another_job_is_not_believed(self):
        self.queue.jobs.append((b'of somebody else', b''))
        self.queue.other_job = True
        self.assertEqual(self.refused('gives the state of job 1, that of job 2 was expected', 2)['may_have_printed'], True)

    def test_a_printer_with_many_warnings_says_its_error_too(self):
        self.queue.reasons = [b'marker-supply-low-warning', b'media-low-warning', b'toner-low-warning', b'marker-waste-almost-full-warning',
                              b'fuser-over-temp-warning', b'spool-area-full-report', b'developer-low-warning', b'media-empty-error']
        self.refused('it has no paper: load labels', 0)

    def test_a_refusal_prints_nothing_and_says_so(self):
        self.queue.refuses = 0x040b
        self.assertNotIn('may_have_printed', self.refused('refused the label with status 0x040b', 0))

    def test_a_lost_answer_is_looked_up_and_not_printed_again(self):
        self.queue.lost = self.queue.carried = True
        status, said, done = self.label(self.printer)
        self.assertEqual(status, 0, done)
        self.assertEqual(said['evidence']['job'], {'id': 1, 'state': 'completed', 'looked_up': True})
        self.assertEqual(self.queue.requests.count(PRINT_JOB), 1)

    def test_a_lost_answer_of_a_job_that_is_not_there_may_have_printed(self):
        self.queue.lost = True
        self.assertEqual(self.refused('it may have come out, so that another print may be a second one', 0)['may_have_printed'], True)
        self.assertEqual(self.queue.requests.count(PRINT_JOB), 1)

    def test_the_answer_to_another_request_is_not_believed(self):
        self.queue.other_number = True
        self.refused('the answer to request 1 was expected', 0)


class Station(unittest.TestCase):
    """What a printer that cannot print, and one whose answer is lost, do to the records."""

    def setUp(self):
        self.queue = Queue()
        self.addCleanup(self.queue.close)
        self.line = line.Line(1, boards=0, station_extra='    quarantine_after: 0\n')
        self.addCleanup(self.line.close)
        app = os.path.join(self.line.home, 'app.bin')
        with open(app, 'wb') as f:
            f.write(line.firmware())
        self.line.sim = line.Sim(self.line.home, 1, '--preload', app)
        self.line.config("printers: {plates: {address: '%s', kind: ipp, path: /printers/plates}}\n" % self.queue.address)

    def run_of(self, recipe):
        self.line.start()
        api = self.line.api
        api.post('/pools', {'id': 'label-sn', 'pattern': 'LB-{seq:04}x', 'first': 1, 'last': 9999})
        self.line.put_firmware(test_label.text_of(PLATE).encode(), 'plate.yaml')
        self.line.put_recipe(recipe)
        api.post('/jobs', {'recipe': 'label@1', 'quantity': 1})
        run = line.wait_for('the run ends', lambda: (api.get('/runs?state=finished')['items'] or [None])[0])
        value = {v['value']: v for v in api.get('/pools/label-sn/serials')['items']}['LB-0001x']
        return run, [s for s in api.get('/runs/%s/steps' % run['id'])['items'] if s['id'] == 'label'], value

    def test_a_stopped_printer_exposes_no_serial_number(self):
        self.queue.state, self.queue.reasons = 5, [b'media-empty-error']
        run, _, value = self.run_of(test_label.text_of(test_label.RECIPE))
        self.assertEqual((run['outcome'], run['code'], run['step']), ('error', 'printer', 'label'), run)
        self.assertIn("printer 'plates': it has no paper: load labels; nothing was sent to it", run['message'])
        self.assertEqual((value['state'], value['exposed']), ('void', False), value)

    def test_a_label_that_may_have_come_out_is_not_printed_again_by_a_retry(self):
        self.queue.lost = True
        recipe = test_label.text_of(test_label.RECIPE).replace('      file: label.png\n', '    retry: {attempts: 3, delay: 100ms}\n')
        run, steps, value = self.run_of(recipe)
        self.assertEqual((run['outcome'], run['code']), ('error', 'printer'), run)
        self.assertEqual([s['evidence']['may_have_printed'] for s in steps], [True])
        self.assertTrue(value['exposed'])
        self.assertEqual(self.queue.requests.count(PRINT_JOB), 1)


if __name__ == '__main__':
    line.main()
