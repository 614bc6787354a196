#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The dashboard of a running line in headless Chromium: see browser/run.mjs.

    test_browser.py [BUILD] [--shots DIR]

Skipped (77), with the reason, on a machine without Chromium or node, or where provd was built without the dashboard.
"""
import http.server
import os
import shutil
import subprocess
import sys
import threading
import urllib.request

import line

HERE = os.path.dirname(os.path.abspath(__file__))
STATIONS = 8
PROMPT = """  - id: look
    action: operator.prompt
    with: {text: Is the label straight?, kind: confirm}
    timeout: 2m
  - id: talk
    action: tool.run
    with: {argv: [/bin/sh, TALKER], success: ['^done']}
    timeout: 2m
"""
# A programmer that has said something, and goes on once the browser has seen it.
TALKER = '''echo erasing the chip
while [ ! -e "%s" ]; do sleep 0.05; done
echo done
'''


def skip(why):
    print('skipped: ' + why)
    sys.exit(77)


def recipe(talker):
    """The production sequence, and a question to the operator before its first step."""
    with open(os.path.join(HERE, '../../recipes/production.yaml'), encoding='utf-8') as f:
        return f.read().replace('steps:\n', 'steps:\n' + PROMPT.replace('TALKER', talker), 1)


class Restarter(http.server.HTTPServer):
    """A POST kills provd and starts it again, at the address that it had."""

    def __init__(self, the_line):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                the_line.provd.kill()
                with open(the_line.provd.config, encoding='utf-8') as f:
                    text = f.read()
                with open(the_line.provd.config, 'w', encoding='utf-8') as f:
                    f.write(text.replace('listen: 127.0.0.1:0', 'listen: 127.0.0.1:%d' % the_line.provd.port))
                the_line.provd.start()
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        super().__init__(('127.0.0.1', 0), Handler)
        self.url = 'http://127.0.0.1:%d' % self.server_port
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()


def main():
    if len(sys.argv) > 1 and os.path.isdir(sys.argv[1]):
        os.environ['PROVD_BUILD'] = os.path.abspath(sys.argv[1])
    shots = sys.argv[sys.argv.index('--shots') + 1] if '--shots' in sys.argv else None
    for program in ('/usr/bin/chromium', 'node', 'npm'):
        if not shutil.which(program):
            skip('%s is not installed' % program)
    with line.Line(STATIONS) as l:
        l.start()
        url = 'http://127.0.0.1:%d' % l.provd.port
        with urllib.request.urlopen(url + '/version'):
            pass
        try:
            urllib.request.urlopen(url + '/').close()
        except urllib.error.HTTPError:
            skip('this provd was built without the dashboard')
        talker, gate = os.path.join(l.home, 'talker.sh'), os.path.join(l.home, 'gate')
        with open(talker, 'w', encoding='utf-8') as f:
            f.write(TALKER % gate)
        l.prepare(line.firmware(), recipe(talker))
        work = os.path.join(line.build_dir(), 'tests', 'browser')
        argv = ['node', os.path.join(HERE, 'browser/run.mjs'), '--url', url, '--token', l.provd.token, '--work', work,
                '--gate', gate]
        restarter = Restarter(l)
        done = subprocess.run(argv + ['--restart', restarter.url] + (['--shots', shots] if shots else []), check=False,
                              preexec_fn=line._with_parent)
        restarter.close()
    sys.exit(done.returncode)


if __name__ == '__main__':
    main()
