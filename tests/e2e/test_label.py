#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Labels of recipes/label.yaml on virtual boards and a virtual printer, read by other people's scanners.

    test_label.py [BUILD]
"""
import os
import socket
import subprocess
import threading
import unittest

import line

RECIPE = os.path.join(line.ROOT, 'recipes', 'label.yaml')
PLATE = os.path.join(line.ROOT, 'recipes', 'labels', 'plate.yaml')
STATUS = b'\x02030,0,0,1245,000,0,0,0,000,0,0,0\x03\r\n\x02000,0,0,0,0,2,4,0,00000000,1,000\x03\r\n\x021234,0\x03\r\n'


def text_of(path):
    with open(path) as f:
        return f.read()


def bytes_of(path):
    with open(path, 'rb') as f:
        return f.read()


def decoded(zpl):
    """The graphic of a format as a picture (PBM), by this test's own reading of ^GF."""
    text = zpl.decode('ascii')
    assert text.startswith('^XA') and text.rstrip().endswith('^XZ'), text[:80]
    body = text[text.index('^GFA,') + 5:]
    total, _, row_bytes, data = body.split(',', 3)
    total, row_bytes = int(total), int(row_bytes)
    data = data[:data.index('^FS')]
    rows, row = [], ''
    for c in data:
        if c == ',':
            row = row.ljust(row_bytes * 2, '0')
        elif c == ':':
            assert not row, 'a colon within a row'
            row = rows[-1]
        else:
            row += c
        if len(row) == row_bytes * 2:
            rows.append(row)
            row = ''
    assert not row and len(rows) * row_bytes == total, (len(rows), row_bytes, total)
    width = int(text[text.index('^PW') + 3:].split('^')[0])
    assert width <= row_bytes * 8
    return b'P4 %d %d\n' % (row_bytes * 8, len(rows)) + bytes.fromhex(''.join(rows))


def scanned(path):
    """What zbarimg and dmtxread find: the set of all texts."""
    quiet = {'capture_output': True, 'timeout': line.DEADLINE_S}
    bars = subprocess.run(['zbarimg', '-q', '--raw', path], **quiet).stdout.decode().split('\n')
    matrix = subprocess.run(['dmtxread', '-N1', path], **quiet).stdout.decode()
    return {x for x in bars + [matrix] if x}


class RawPrinter(threading.Thread):
    """A port 9100 of the test's own: answers ~HS or not, and looks when the first byte of a label comes."""

    def __init__(self, on_label, answers=True):
        super().__init__(daemon=True)
        self.on_label, self.answers = on_label, answers
        self.got = b''
        self.error = None
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.address = '127.0.0.1:%d' % self.listener.getsockname()[1]
        self.start()

    def run(self):
        try:
            while True:
                conn, _ = self.listener.accept()
                with conn:
                    self.serve(conn)
        except OSError:
            pass
        except BaseException as e:
            self.error = e

    def serve(self, conn):
        while data := conn.recv(65536):
            if b'^XA' in data and b'^XA' not in self.got:
                self.on_label()
            self.got += data
            if self.answers and self.got.endswith(b'~HS'):
                conn.sendall(STATUS)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.join(line.DEADLINE_S)
        if self.error:
            raise self.error


class Label(unittest.TestCase):
    def setUp(self):
        self.line = line.Line(1, boards=0, station_extra='    quarantine_after: 0\n')
        self.addCleanup(self.line.close)
        app = os.path.join(self.line.home, 'app.bin')
        with open(app, 'wb') as f:
            f.write(line.firmware())
        self.line.sim = line.Sim(self.line.home, 1, '--preload', app)
        self.home = os.path.join(self.line.home, 'printer')
        os.mkdir(self.home)
        self.printer = line.Sim(self.home, 1, '--device', 'printer', '--link', 'tcp')
        self.addCleanup(self.printer.stop)
        self.seen = set()

    def begin(self, address=None, recipe=None, plate=None, answer='300ms', first=1):
        address = address or self.printer.boards()[0]['link'].removeprefix('tcp:')
        self.line.config("printers: {plates: {address: '%s', answer: %s}}\n" % (address, answer))
        self.line.start()
        self.api = self.line.api
        self.api.post('/pools', {'id': 'label-sn', 'pattern': 'LB-{seq:04}x', 'first': first, 'last': 9999})
        self.line.put_firmware((plate or text_of(PLATE)).encode(), 'plate.yaml')
        self.line.put_recipe(recipe or text_of(RECIPE))
        self.api.post('/jobs', {'recipe': 'label@1', 'quantity': 1})

    def answer(self, text):
        prompt = line.wait_for('the prompt', lambda: (self.api.get('/prompts?state=open')['items'] or [None])[0])
        self.api.post('/prompts/%s/answer' % prompt['id'], {'answer': text})

    def ended(self):
        def run():
            runs = [r for r in self.api.get('/runs?state=finished')['items'] if r['id'] not in self.seen]
            return runs[0] if runs else None
        run = line.wait_for('the run ends', run)
        self.seen.add(run['id'])
        return self.api.get('/runs/' + run['id'])

    def steps(self, run, step):
        return [s for s in self.api.get('/runs/%s/steps' % run['id'])['items'] if s['id'] == step]

    def step(self, run, step):
        return self.steps(run, step)[-1]

    def labels(self):
        return self.printer.boards()[0]['labels']

    def zpl(self, n=1):
        return bytes_of(os.path.join(self.printer.boards_dir, 'b1', 'label-%d.zpl' % n))

    def serial(self, value):
        return {v['value']: v for v in self.api.get('/pools/label-sn/serials')['items']}.get(value)

    def test_what_scanners_read_is_what_the_unit_says(self):
        self.begin()
        self.answer(']d20109521234543213' '21LB-0001x\r\n')
        run = self.ended()
        self.assertEqual((run['outcome'], run['serial']), ('passed', 'LB-0001x'), run)
        expected = {'LB-0001x', 'https://example.com/u/LB-0001x', '010952123454321321LB-0001x'}
        step = self.step(run, 'label')
        png = os.path.join(self.line.home, 'label.png')
        with open(png, 'wb') as f:
            f.write(self.api.request('GET', '/runs/%s/files/label.png' % run['id']).body)
        self.assertEqual(line.sha256(bytes_of(png)), step['evidence']['saved'][0]['sha256'])
        self.assertEqual(scanned(png), expected)
        self.assertEqual(self.labels(), 1)
        pbm = os.path.join(self.line.home, 'label.pbm')
        with open(pbm, 'wb') as f:
            f.write(decoded(self.zpl()))
        self.assertEqual(scanned(pbm), expected)
        self.assertEqual(step['evidence']['acknowledged'], "printed, by the printer's own status")
        self.assertEqual(step['evidence']['values'], {'serial': 'LB-0001x', 'gtin': '0952123454321'})
        self.assertEqual(step['evidence']['sha256'], line.sha256(self.zpl() + b'\n'))
        self.assertEqual(step['outputs']['data'], '(01)09521234543213(21)LB-0001x')
        self.assertEqual(self.step(run, 'scan')['evidence']['aim'], ']d2')

    def test_the_label_of_another_unit_fails_this_one(self):
        self.begin()
        self.answer('010952123454321321LB-0002x')
        run = self.ended()
        self.assertEqual((run['outcome'], run['code'], run['step']), ('failed', 'read-back-mismatch', 'scan'), run)
        self.assertIn('LB-0002x', run['message'])

    def test_a_value_is_on_record_before_its_label_leaves(self):
        states = []

        def look():
            with self.line.provd.db() as d:
                states.append([tuple(r) for r in d.execute(
                    "SELECT value, exposed FROM serials WHERE pool_id = 'label-sn'")])
        printer = RawPrinter(look)
        self.addCleanup(printer.close)
        self.begin(printer.address)
        self.answer('010952123454321321LB-0001x')
        self.assertEqual(self.ended()['outcome'], 'passed')
        self.assertEqual(states, [[('LB-0001x', 1)]])

    def test_a_printer_that_gives_no_status_is_believed_by_tcp_alone(self):
        printer = RawPrinter(lambda: None, answers=False)
        self.addCleanup(printer.close)
        self.begin(printer.address)
        self.answer('010952123454321321LB-0001x')
        run = self.ended()
        self.assertEqual(run['outcome'], 'passed', run)
        self.assertIn('by TCP alone', self.step(run, 'label')['evidence']['acknowledged'])
        self.assertEqual(decoded(printer.got[printer.got.index(b'^XA'):])[:3], b'P4 ')

    def test_a_printer_without_paper_gets_nothing_and_the_next_run_prints(self):
        self.printer.ctl('fault', board='b1', fault='paper-out,count=0')
        self.begin()
        run = self.ended()
        self.assertEqual((run['outcome'], run['code'], run['step']), ('error', 'printer', 'label'), run)
        self.assertIn("printer 'plates': it has no paper: load labels; nothing was sent to it", run['message'])
        self.assertEqual(self.labels(), 0)
        value = self.serial('LB-0001x')
        self.assertEqual((value['state'], value['exposed']), ('void', False), value)
        self.assertNotEqual(self.api.get('/units/' + run['unit'])['state'], 'suspect')
        self.printer.ctl('clear-faults', board='b1')
        self.line.sim.ctl('unplug', board='b1')
        line.wait_for('the unit is gone', lambda: self.api.get('/stations/A1')['state'] == 'empty')
        self.line.sim.ctl('plug', board='b1')
        self.answer('010952123454321321LB-0002x')
        again = self.ended()
        self.assertEqual((again['outcome'], again['unit'], again['serial']), ('passed', run['unit'], 'LB-0002x'), again)
        self.assertEqual(self.labels(), 1)

    def test_a_label_that_may_have_come_out_is_not_printed_again_by_a_retry(self):
        recipe = text_of(RECIPE).replace('      file: label.png\n', '    retry: {attempts: 3, delay: 100ms}\n')
        for n, (fault, labels) in enumerate((('cut=200', 0), ('cut-after', 1))):
            self.printer.ctl('fault', board='b1', fault=fault)
            if n == 0:
                self.begin(recipe=recipe)
            else:
                self.api.post('/jobs', {'recipe': 'label@1', 'quantity': 1})
                self.line.sim.ctl('next', board='b1', gap_ms=200)
            run = self.ended()
            self.assertEqual((run['outcome'], run['code']), ('error', 'printer'), run)
            self.assertIn('may have come out', run['message'])
            steps = self.steps(run, 'label')
            self.assertEqual(len(steps), 1, steps)
            self.assertEqual(steps[0]['evidence']['may_have_printed'], True)
            self.assertEqual(self.labels(), labels)
            self.assertEqual(self.api.get('/units/' + run['unit'])['state'], 'suspect')
            self.api.post('/jobs/%s/actions/abort' % run['job'], headers=line.ANY)

    def test_a_recipe_may_allow_a_second_label(self):
        recipe = text_of(RECIPE).replace('      file: label.png\n',
                                         '      reprint: true\n    retry: {attempts: 3, delay: 100ms}\n')
        self.printer.ctl('fault', board='b1', fault='cut-after')
        self.begin(recipe=recipe)
        self.answer('010952123454321321LB-0001x')
        run = self.ended()
        self.assertEqual(run['outcome'], 'passed', run)
        self.assertEqual([s['outcome'] for s in self.steps(run, 'label')], ['error', 'passed'])
        self.assertEqual(self.steps(run, 'label')[0]['evidence']['may_have_printed'], True)
        self.assertEqual(self.labels(), 2)
        self.assertEqual(self.zpl(1), self.zpl(2))

    def test_copies_come_out_as_often_as_the_recipe_says(self):
        self.begin(recipe=text_of(RECIPE).replace('      file: label.png\n', '      copies: 3\n'))
        self.answer('010952123454321321LB-0001x')
        self.assertEqual(self.ended()['outcome'], 'passed')
        self.assertEqual(self.labels(), 3)

    def test_paper_that_runs_out_says_that_the_label_waits(self):
        self.printer.ctl('fault', board='b1', fault='runs-out')
        self.begin()
        run = self.ended()
        self.assertEqual((run['outcome'], run['code']), ('error', 'printer'), run)
        self.assertIn('another print would be a second one', run['message'])
        self.assertEqual(self.labels(), 0)
        self.printer.ctl('clear-faults', board='b1')
        self.assertEqual(self.labels(), 1)

    def test_what_cannot_be_printed_exposes_no_serial_number(self):
        self.begin(plate=text_of(PLATE).replace('module: 0.25mm, height', 'module: 0.5mm, height'))
        run = self.ended()
        self.assertEqual((run['outcome'], run['code'], run['step']), ('error', 'recipe-invalid', 'label'), run)
        self.assertIn("label 'plate', /elements/6/barcode (${serial}): with the white that it needs it reaches", run['message'])
        value = self.serial('LB-0001x')
        self.assertEqual((value['state'], value['exposed']), ('void', False), value)
        self.assertEqual(self.labels(), 0)

    def test_a_template_with_a_mistake_stops_before_the_first_step(self):
        self.begin(plate=text_of(PLATE).replace('${gtin}', '${gtn}'))
        run = self.ended()
        self.assertEqual((run['outcome'], run['code']), ('error', 'preflight'), run)
        self.assertIn("there is no value for ${gtn}, did you mean 'gtin'?", run['message'])
        self.assertEqual(self.api.get('/runs/%s/steps' % run['id'])['items'], [])

    def test_a_printer_that_is_not_in_the_configuration_stops_before_the_first_step(self):
        self.begin(recipe=text_of(RECIPE).replace('printer: plates', 'printer: plate'))
        run = self.ended()
        self.assertEqual((run['outcome'], run['code']), ('error', 'preflight'), run)
        self.assertIn("provd.yaml names no printer 'plate', did you mean 'plates'?", run['message'])

    def test_a_bench_prints_and_writes_without_provd(self):
        env = dict(os.environ, PROVD_PRINTER_plates=self.printer.boards()[0]['link'].removeprefix('tcp:'))
        png = os.path.join(self.line.home, 'bench.png')
        done = subprocess.run([line.binary('provctl'), 'exec', 'unit.label', 'template=' + PLATE, 'printer=plates',
                               'values={"serial": "LB-7", "gtin": "0952123454321"}', 'file=' + png],
                              env=env, capture_output=True, text=True, timeout=line.DEADLINE_S)
        self.assertEqual(done.returncode, 0, done)
        self.assertEqual(self.labels(), 1)
        self.assertEqual(scanned(png), {'LB-7', 'https://example.com/u/LB-7', '010952123454321321LB-7'})

    def test_a_passcode_is_drawn_for_each_unit_and_printed(self):
        plate = "label: code\nwidth: 40mm\nheight: 30mm\nelements:\n  - barcode: {kind: qr, x: 3mm, y: 3mm, module: 0.5mm, data: '${serial}/${code}'}\n"
        recipe = '''
recipe: label
version: 1
unit: {model: provsim-1, serial: {pool: label-sn}}
ports: {console: {kind: tty, baud: 115200}}
artifacts: {plate: plate.yaml}
steps:
  - {id: chip, action: device.identify, with: {port: console, send: GET_UID, pattern: '^([0-9a-f]{24})$'}}
  - {id: id, action: unit.identity, with: {values: {pin: {pool: codes}}}}
  - id: label
    action: unit.label
    with: {template: '${artifacts.plate}', values: {serial: '${unit.serial}', code: '${steps.id.pin}'}, printer: plates}
'''
        address = self.printer.boards()[0]['link'].removeprefix('tcp:')
        self.line.config("printers: {plates: {address: '%s', answer: 300ms}}\n" % address)
        self.line.start()
        self.api = self.line.api
        self.api.post('/pools', {'id': 'label-sn', 'pattern': 'LB-{seq:04}x', 'first': 1, 'last': 9999})
        self.api.post('/pools', {'id': 'codes', 'kind': 'license', 'pattern': '{random:8}', 'first': 1, 'last': 9999})
        self.line.put_firmware(plate.encode(), 'plate.yaml')
        self.line.put_recipe(recipe)
        self.api.post('/jobs', {'recipe': 'label', 'quantity': 2})
        printed = []
        for n in (1, 2):
            run = self.ended()
            self.assertEqual(run['outcome'], 'passed', run)
            (code,) = [v['value'] for v in self.api.get('/serials?unit_id=' + run['unit'])['items'] if v['slot'] == 'pin']
            self.assertRegex(code, '^[0-9]{8}$')
            pbm = os.path.join(self.line.home, 'label.pbm')
            with open(pbm, 'wb') as f:
                f.write(decoded(self.zpl(n)))
            self.assertEqual(scanned(pbm), {run['serial'] + '/' + code})
            printed.append(code)
            self.line.sim.ctl('next', board='b1', gap_ms=200)
        self.assertNotEqual(*printed)

    def test_a_print_that_never_ends_is_no_failure_of_the_unit(self):
        self.printer.ctl('fault', board='b1', fault='stuck,count=0')
        self.begin(recipe=text_of(RECIPE).replace('      file: label.png\n', '    timeout: 2s\n'))
        run = self.ended()
        self.assertEqual((run['outcome'], run['code'], run['step']), ('error', 'printer', 'label'), run)
        self.assertIn('1 formats and 0 labels wait in the printer', run['message'])

    def test_a_stop_ends_a_print_that_never_ends(self):
        self.printer.ctl('fault', board='b1', fault='stuck,count=0')
        self.begin()
        run = line.wait_for('it prints', lambda: (self.api.get('/runs?state=open')['items'] or [None])[0])
        line.wait_for('the label is in the printer', lambda: self.printer.boards()[0]['formats'] == 1)
        self.api.post('/stations/A1/actions/abort')
        done = self.ended()
        self.assertEqual((done['id'], done['outcome']), (run['id'], 'aborted'), done)
        self.assertEqual(self.step(done, 'label')['evidence']['may_have_printed'], True)


if __name__ == '__main__':
    line.main()
