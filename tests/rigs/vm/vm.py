# SPDX-License-Identifier: Apache-2.0
#
# The virtual machine of the rigs, seen from the test: boot and kill, a shell inside, the API of the
# provd in it (forwarded to a port of the host's loopback), and the control socket of its provsim.
import ctypes
import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
BUILD = os.path.abspath(os.environ.get('MESON_BUILD_ROOT') or
                        (sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, 'build')))
DIR = os.path.join(BUILD, 'tests', 'rigs', 'vm')
FIRMWARE = '/usr/share/seabios/bios.bin'
API_PORT = 8620
SHELL_PORT = 7000
PR_SET_PDEATHSIG = 1
FULL = bool(os.environ.get('PROVD_RIG_FULL'))
libc = ctypes.CDLL(None)


def amount(some, all_of_them):
    """How many of what takes an emulated machine long: CI does some, PROVD_RIG_FULL=1 all."""
    return all_of_them if FULL else some


def skip(why):
    print(f'SKIP: {why}')
    sys.exit(77)


def build():
    """Makes the machine out of the programs as they are built now."""
    if not shutil.which('qemu-system-x86_64'):
        skip('no qemu-system-x86_64 (scripts/install-deps test)')
    if not os.path.exists(FIRMWARE):
        skip(f'no {FIRMWARE} (scripts/install-deps run)')
    p = subprocess.run([os.path.join(HERE, 'build-vm'), BUILD], stdout=subprocess.PIPE, text=True)
    print(p.stdout, end='')
    if p.returncode:
        sys.exit(p.returncode)


def before_others(pid):
    """An emulated machine needs its processor, or its kernel takes a device for lost; all else can wait for one. The kernel
    shares processors out by session first (sched(7), the autogroup feature), then by process."""
    try:
        os.setpriority(os.PRIO_PROCESS, pid, -10)
        with open(f'/proc/{pid}/autogroup', 'w') as f:
            f.write('-10')
    except OSError:
        pass  # not root, or a kernel without it: the machine is slower


class Checks:
    """Counts what was expected; the last line is `N passed, N failed`."""

    def __init__(self):
        self.passed = self.failed = 0
        self.begun = time.monotonic()

    def expect(self, what, ok, detail=''):
        if ok:
            self.passed += 1
        else:
            self.failed += 1
            print(f'FAIL: {what}{": " if detail != "" else ""}{detail}', flush=True)
        return ok

    def equal(self, what, got, want):
        return self.expect(what, got == want, f'{got!r:.300}, expected {want!r:.300}')

    def note(self, text):
        print(f'{time.monotonic() - self.begun:6.1f} s  {text}', flush=True)

    def end(self):
        print(f'{self.passed} passed, {self.failed} failed, {time.monotonic() - self.begun:.1f} s')
        sys.exit(0 if self.passed and not self.failed else 1)


def wait(what, f, seconds):
    """The first true value of f(), or a TimeoutError that names what did not come. Asked ever more seldom: an emulated
    machine spends more on an answer than on most of what is waited for."""
    end = time.monotonic() + seconds
    pause = 0.02
    while True:
        value = f()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f'{what}: not within {seconds} s')
        time.sleep(pause)
        pause = min(pause * 1.5, 0.5)


def with_parent():
    """The machine does not outlive the test, whatever ends the test."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_ports(n):
    held = [socket.create_server(('127.0.0.1', 0)) for _ in range(n)]
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


class Vm:
    """Always under TCG: the hosts of a CI have no KVM that works."""

    def __init__(self, name, disk=None):
        self.log_path = os.path.join(DIR, f'{name}.log')
        self.api_port, self.shell_port = free_ports(2)
        self.token = None
        nic = (f'user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:{self.api_port}-:{API_PORT},'
               f'hostfwd=tcp:127.0.0.1:{self.shell_port}-:{SHELL_PORT}')
        argv = ['qemu-system-x86_64', '-accel', 'tcg', '-cpu', 'max', '-machine', 'pc', '-m', '512',
                '-smp', '1', '-nodefaults', '-no-reboot', '-display', 'none', '-nic', nic,
                '-kernel', os.path.join(DIR, 'vmlinux'), '-initrd', os.path.join(DIR, 'initramfs.cpio'),
                '-append', f'console=ttyS0 quiet loglevel=3 mitigations=off rdinit=/init panic=-1 disk={int(bool(disk))}',
                '-serial', f'file:{self.log_path}']
        if disk:
            argv += ['-drive', f'file={disk},if=virtio,format=raw,cache=writeback']
        open(self.log_path, 'w').close()
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=with_parent)
        before_others(self.process.pid)
        try:
            wait('the virtual machine', self.booted, 60)
        except TimeoutError:
            self.kill()
            raise

    def log(self):
        with open(self.log_path, errors='replace') as f:
            return f.read()

    def booted(self):
        if self.process.poll() is not None:
            raise RuntimeError(f'qemu ended: see {self.log_path}')
        if 'VM: up' not in self.log():
            return False
        try:
            return self.sh('echo ready') == 'ready\n'
        except OSError:
            return False

    def kill(self):
        """As a power cut: SIGKILL, nothing is flushed."""
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def sh(self, script, data=b'', seconds=30):
        """Runs a script in the machine; returns what it prints on stdout and stderr."""
        with socket.create_connection(('127.0.0.1', self.shell_port), timeout=seconds) as s:
            s.sendall(f'exec 2>&1\n{script}\nexit\n'.encode() + data)
            got = b''
            while True:
                part = s.recv(65536)
                if not part:
                    return got.decode(errors='replace')
                got += part

    def sim(self, command, board=None, **more):
        order = json.dumps({'cmd': command, **({'board': board} if board else {}), **more})
        answer = json.loads(self.sh(f"provsim ctl --control /run/control '{order}'").splitlines()[0])
        if not answer.get('ok'):
            raise RuntimeError(f'provsim: {order}: {answer}')
        return answer

    def request(self, method, path, body=None, kind='application/json', headers=None, seconds=30):
        c = http.client.HTTPConnection('127.0.0.1', self.api_port, timeout=seconds)
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        head = {'Authorization': f'Bearer {self.token}', 'Content-Type': kind, **(headers or {})}
        try:
            c.request(method, f'/api/v1{path}', body, head)
            r = c.getresponse()
            raw = r.read()
        finally:
            c.close()
        return r.status, json.loads(raw) if raw else None

    def get(self, path):
        status, body = self.request('GET', path)
        if status != 200:
            raise RuntimeError(f'GET {path}: {status} {body}')
        return body

    def make(self, method, path, body, kind='application/json', headers=None):
        status, answer = self.request(method, path, body, kind, headers)
        if status not in (200, 201):
            raise RuntimeError(f'{method} {path}: {status} {answer}')
        return answer

    def start_provd(self, stations, hotplug, user=870):
        config = (f'state_dir: /d/state\nlisten: 0.0.0.0:{API_PORT}\ninsecure: true\nhotplug: [{hotplug}]\nsettle: 100ms\napproval: any\n'
                  f'quarantine_after: 0\nrate_limit: 0\nclock_sync: ignored\nstations:\n{stations}')
        # As the user of the unit: what it may open, it may by the udev rules alone.
        become = f'/usr/bin/setpriv --reuid={user} --regid={user} --clear-groups ' if user else ''
        owner = f'chown {user}:{user} /d/state; ' if user else ''
        self.sh('mkdir -p /d/provd /d/state; cat > /d/provd/provd.yaml <<"END"\n' + config + '\nEND\n'
                f'{owner}chmod 700 /d/state\n'
                f'setsid {become}provd --config /d/provd/provd.yaml > /run/provd.log 2>&1 < /dev/null &')
        wait('provd to serve', self.serves, 30)
        self.token = wait('the token', lambda: self.sh('cat /d/state/admin-token').strip(), 5)

    def serves(self):
        try:
            return self.request('GET', '/stations')[0] in (200, 401)
        except (OSError, http.client.HTTPException):
            return False

    def prepare(self, recipes, firmware=None):
        """Pool, firmware and the recipes, approved."""
        if firmware is None:
            with open(FIRMWARE, 'rb') as f:
                firmware = f.read()
        self.sha = hashlib.sha256(firmware).hexdigest()
        self.make('POST', '/pools', {'id': 'production-sn', 'pattern': 'SN{date:%Y%m%d}{seq:06}', 'first': 1,
                                     'last': 999999})
        self.make('PUT', f'/artifacts/{self.sha}?name=firmware.bin', firmware, 'application/octet-stream')
        for text in recipes:
            name = re.search(r'^recipe: (\S+)', text, re.M)[1]
            self.make('POST', '/recipes', text, 'application/yaml')
            self.make('POST', f'/recipes/{name}/versions/1/actions/approve', None)

    def job(self, recipe, quantity, stations=None):
        body = {'recipe': recipe, 'quantity': quantity}
        if stations:
            body['stations'] = stations
        return self.make('POST', '/jobs', body)['id']

    def runs(self, job):
        return self.get(f'/runs?job_id={job}&limit=1000')['items']

    def ended(self, job, n, seconds):
        """The runs of a job once n of them have ended."""
        def enough():
            runs = self.runs(job)
            return runs if sum(r['state'] == 'finished' for r in runs) >= n else None
        return wait(f'{n} ended runs of job {job}', enough, seconds)


class Follower(threading.Thread):
    """Follows the live events as a MES does: what it has read was told."""

    def __init__(self, vm):
        super().__init__(daemon=True)
        self.vm = vm
        self.events = []
        self.start()

    def run(self):
        try:
            c = http.client.HTTPConnection('127.0.0.1', self.vm.api_port, timeout=60)
            c.request('GET', '/api/v1/events?after=0', headers={
                'Authorization': f'Bearer {self.vm.token}', 'Accept': 'text/event-stream'})
            frame = {}
            for raw in c.getresponse():
                line = raw.decode().rstrip('\n')
                if line:
                    key, _, value = line.partition(': ')
                    frame[key] = value
                    continue
                if 'id' in frame:
                    self.events.append((int(frame['id']), frame['event'], frame['data'], time.monotonic()))
                frame = {}
        except (OSError, http.client.HTTPException, ValueError, AttributeError):
            pass  # the machine was cut off: what came before counts

    def find(self, kind, **facts):
        for seq, event, data, at in list(self.events):
            o = json.loads(data)
            if event == kind and all(o.get(k, o.get('data', {}).get(k) if isinstance(o.get('data'), dict) else None) == v
                                     for k, v in facts.items()):
                return o, at
        return None
