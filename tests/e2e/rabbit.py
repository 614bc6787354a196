# SPDX-License-Identifier: Apache-2.0
"""RabbitMQ of Debian as an ordinary process: folders, node name, cookie, ports and epmd of its own, all on loopback, with its
plugin for AMQP 1.0. Only processes started here are ended.

    with rabbit.Broker(queues=['cfx']) as b:
        b.port
"""
import glob
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

import line

# Ends with all that it started when its stdin does, so that nothing outlives a test that was killed.
KEEPER = '''
import ctypes, os, select, signal, subprocess, sys
ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: what the scripts of Erlang leave is reaped here
p = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
while p.poll() is None and not select.select([0], [], [], 0.2)[0]:
    pass
os.killpg(0, signal.SIGKILL)
'''
SERVER = '/usr/lib/rabbitmq/bin/rabbitmq-server'
USER, PASSWORD = 'provd', 'open sesame 4711'


def check_installed():
    if not os.path.exists(SERVER) or not shutil.which('erl') or not shutil.which('epmd'):
        raise unittest.SkipTest('rabbitmq-server is not installed (it needs Erlang): scripts/install-deps test')
    if not glob.glob('/usr/lib/rabbitmq/lib/rabbitmq_server-*/plugins/rabbitmq_amqp1_0-*'):
        raise unittest.SkipTest('this rabbitmq-server has no plugin rabbitmq_amqp1_0')


def free_ports(n):
    sockets = [socket.create_server(('127.0.0.1', 0)) for _ in range(n)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Broker:
    def __init__(self, queues=(), more=''):
        check_installed()
        self.home = tempfile.mkdtemp(prefix='provd-rabbit-')
        self.port, self.dist, self.epmd_port = free_ports(3)
        self.process = self.epmd = None
        line.write(self.path('definitions.json'), json.dumps({
            'users': [{'name': USER, 'password': PASSWORD, 'tags': ''}],
            'vhosts': [{'name': '/'}],
            'permissions': [{'user': USER, 'vhost': '/', 'configure': '^(%s)$' % '|'.join(queues), 'write': '.*', 'read': '.*'}],
            'queues': [{'name': q, 'vhost': '/', 'durable': True, 'auto_delete': False, 'arguments': {}} for q in queues]}))
        line.write(self.path('rabbitmq.conf'), 'listeners.tcp.1 = 127.0.0.1:%d\nload_definitions = %s\nlog.file.level = info\n%s'
                   % (self.port, self.path('definitions.json'), more))
        line.write(self.path('plugins'), '[rabbitmq_amqp1_0].\n')
        cookie = self.path('.erlang.cookie')
        line.write(cookie, os.urandom(16).hex())
        os.chmod(cookie, 0o400)
        self.env = {
            'PATH': os.environ['PATH'], 'HOME': self.home, 'LANG': 'C.UTF-8',
            'ERL_EPMD_PORT': str(self.epmd_port), 'ERL_EPMD_ADDRESS': '127.0.0.1',
            'RABBITMQ_NODENAME': 'provd%d@localhost' % self.port,
            'RABBITMQ_DIST_PORT': str(self.dist), 'RABBITMQ_NODE_IP_ADDRESS': '127.0.0.1', 'RABBITMQ_NODE_PORT': str(self.port),
            'RABBITMQ_MNESIA_BASE': self.path('mnesia'), 'RABBITMQ_LOG_BASE': self.path('log'),
            'RABBITMQ_CONFIG_FILE': self.path('rabbitmq.conf'), 'RABBITMQ_ENABLED_PLUGINS_FILE': self.path('plugins'),
            'RABBITMQ_CONF_ENV_FILE': self.path('none'), 'RABBITMQ_PID_FILE': self.path('pid'),
            'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS': '+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}',
        }
        try:
            self.epmd = self._run(['epmd', '-port', str(self.epmd_port), '-address', '127.0.0.1'])
            self.start()
        except BaseException:
            self.close()
            raise

    def path(self, name):
        return os.path.join(self.home, name)

    def _run(self, command):
        with open(self.path('out'), 'ab') as out:
            return subprocess.Popen([sys.executable, '-c', KEEPER, *command], env=self.env, cwd=self.home, stdin=subprocess.PIPE,
                                    stdout=out, stderr=out, start_new_session=True)

    def _serves(self):
        assert self.process.poll() is None, 'rabbitmq-server ended:\n' + line.read(self.path('out'))
        try:
            with socket.create_connection(('127.0.0.1', self.port), timeout=1) as s:
                s.sendall(b'AMQP\x03\x01\x00\x00')
                return s.recv(8) == b'AMQP\x03\x01\x00\x00'
        except OSError:
            return False

    def start(self):
        self.process = self._run([SERVER])
        line.wait_for('RabbitMQ speaks AMQP 1.0', self._serves, every_s=0.1)

    def kill(self):
        """At once, with all that it started."""
        self._end(self.process)
        self.process = None

    @staticmethod
    def _end(process):
        process.stdin.close()
        process.wait()

    def close(self):
        for p in (self.process, self.epmd):
            if p is not None:
                self._end(p)
        shutil.rmtree(self.home, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
