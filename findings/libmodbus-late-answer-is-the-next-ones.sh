#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# libmodbus 3.1.6 (Debian 12), Modbus RTU, a meter that once answers after the timeout: the library leaves what came late in the
# line's buffer, and takes it as the answer to the next question. The voltage of register 1 is given for register 2, with
# return value 1 (success). From then on every reading is that of the question before.
# Expected: an RTU frame has no number, so what is in the buffer before a question is thrown away (as the library's own
# modbus_flush does: control). Control: over TCP, where a frame has a number, the same late answer is refused.
set -u
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/deb/partial" && cd "$tmp" || exit 77
want=(libmodbus5=3.1.6-2.1+deb12u1)
if ! { (cd deb && apt-get download -qq "${want[@]}") && apt-get -qq -y --no-install-recommends --allow-downgrades \
	--download-only -o Debug::NoLocking=1 -o Dir::Cache::archives="$tmp/deb" install "${want[@]}"; } > apt 2>&1; then
	cat apt
	exit 77
fi
for d in deb/*.deb; do dpkg -x "$d" x; done
export PATH=$tmp/x/usr/bin:$tmp/x/usr/sbin:$PATH LD_LIBRARY_PATH=$tmp/x/usr/lib/x86_64-linux-gnu:$tmp/x/usr/lib
good=true
cat > late.py << 'PY'
import array, ctypes, fcntl, os, pty, select, socket, struct, sys, termios, threading, tty
m = ctypes.CDLL('libmodbus.so.5', use_errno=True)
m.modbus_new_rtu.restype = m.modbus_new_tcp.restype = ctypes.c_void_p
m.modbus_strerror.restype = ctypes.c_char_p
def crc(d):
    c = 0xFFFF
    for b in d:
        c ^= b
        for _ in range(8):
            c = c >> 1 ^ (0xA001 if c & 1 else 0)
    return struct.pack('<H', c)
def rtu(q): # the meter: register n holds 100 * n
    body = bytes([1, 3, 2]) + struct.pack('>H', 100 * struct.unpack('>H', q[2:4])[0])
    return body + crc(body)
def tcp(q):
    return q[:4] + b'\0\5' + bytes([1, 3, 2]) + struct.pack('>H', 100 * struct.unpack('>H', q[8:10])[0])
def meter(fd, size, answer, late):
    q = [os.read(fd, size)]
    late.wait() # the first question's timeout has passed
    os.write(fd, answer(q[0]))
    while True:
        os.write(fd, answer(os.read(fd, size)))
def ask(x, register):
    value = (ctypes.c_uint16 * 1)()
    n = m.modbus_read_registers(x, register, 1, value)
    return 'register %d = %d' % (register, value[0]) if n == 1 else m.modbus_strerror(ctypes.get_errno()).decode()
def run(name, x, fd, size, answer, flush, want):
    x, late = ctypes.c_void_p(x), threading.Event()
    m.modbus_set_slave(x, 1)
    m.modbus_set_response_timeout(x, 0, 300000)
    if m.modbus_connect(x):
        sys.exit('no connection')
    threading.Thread(target=meter, args=(fd(), size, answer, late), daemon=True).start()
    first = ask(x, 1)
    late.set()
    select.select([m.modbus_get_socket(x)], [], [], 10)
    waiting = array.array('i', [0])
    while waiting[0] < len(answer(bytes(12))): # the late answer has come whole
        fcntl.ioctl(m.modbus_get_socket(x), termios.FIONREAD, waiting)
    if flush:
        m.modbus_flush(x)
    then = [ask(x, 2)] + ([] if 'TCP' in name else [ask(x, 3)])
    print('%-12s register 1: %s; then: %s' % (name, first, ', '.join(then)))
    return first == 'Connection timed out' and then == want
def line():
    master, slave = pty.openpty()
    tty.setraw(slave)
    return master, m.modbus_new_rtu(os.ttyname(slave).encode(), 115200, ctypes.c_char(b'N'), 8, 1)
good = True
for name, flush, want in (('RTU', False, ['register 2 = 100', 'register 3 = 200']),
                          ('RTU, flushed', True, ['register 2 = 200', 'register 3 = 300'])):
    master, x = line()
    good &= run(name, x, lambda: master, 8, rtu, flush, want)
s = socket.create_server(('127.0.0.1', 0))
x = m.modbus_new_tcp(b'127.0.0.1', s.getsockname()[1])
good &= run('TCP', x, lambda: s.accept()[0].detach(), 12, tcp, False, ['Invalid data'])
sys.exit(0 if good else 1)
PY
echo 'libmodbus 3.1.6; register n holds 100 * n; expected: never "register 2 = 100"; seen:'
timeout 60 python3 late.py || good=false
$good && echo 'as recorded: the value of register 1 for register 2' || { echo 'CHANGED: not what was recorded'; exit 1; }
