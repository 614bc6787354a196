#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# fastboot 29.0.6 (Debian 12): `fastboot getvar X` that the unit answers with FAIL ends with exit status 0, and so does a chain
# (`getvar serialno flash ..` goes on): a station that asks the unit for its variable sees success and no value.
# Expected: exit 1, as for any other command that the unit refuses (control: oem). Control: a variable that is there.
# The unit is fastboot over TCP by its description (FB01, then messages with 8 bytes of length).
set -u
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/deb/partial" && cd "$tmp" || exit 77
want=(fastboot=1:29.0.6-28)
if ! { (cd deb && apt-get download -qq "${want[@]}") && apt-get -qq -y --no-install-recommends --allow-downgrades \
	--download-only -o Debug::NoLocking=1 -o Dir::Cache::archives="$tmp/deb" install "${want[@]}"; } > apt 2>&1; then
	cat apt
	exit 77
fi
for d in deb/*.deb; do dpkg -x "$d" x; done
export PATH=$tmp/x/usr/bin:$tmp/x/usr/sbin:$PATH LD_LIBRARY_PATH=$tmp/x/usr/lib/x86_64-linux-gnu:$tmp/x/usr/lib
good=true
export LD_LIBRARY_PATH=$tmp/x/usr/lib/x86_64-linux-gnu/android:/usr/lib/x86_64-linux-gnu/android:$LD_LIBRARY_PATH
cat > unit.py << 'PY'
import socket, struct
def take(c, n):
    said = b''
    while len(said) < n:
        more = c.recv(n - len(said))
        if not more:
            raise EOFError
        said += more
    return said
server = socket.create_server(('127.0.0.1', 0))
print(server.getsockname()[1], flush=True)
while True:
    c, _ = server.accept()
    try:
        take(c, 4)
        c.sendall(b'FB01')
        while True:
            what = take(c, struct.unpack('>Q', take(c, 8))[0])
            answer = b'OKAY1.2' if what == b'getvar:version' else b'FAILunknown' if what != b'reboot' else b'OKAY'
            c.sendall(struct.pack('>Q', len(answer)) + answer)
    except (EOFError, OSError):
        c.close()
PY
exec 3< <(exec python3 unit.py)
trap 'kill $!; rm -rf "$tmp"' EXIT
read -r port <&3
run() { # wanted status, wanted words, command...
	local status want=$1 words=$2
	shift 2
	timeout 20 fastboot -s "tcp:127.0.0.1:$port" "$@" > out 2>&1
	status=$?
	printf '%-30s exit %d  %s\n' "fastboot $*" $status "$(tr -s ' \n' ' ' < out)"
	[ $status = "$want" ] && grep -q "$words" out || good=false
}
echo "$(fastboot --version | head -1); expected: exit 1 for what FAILED; seen:"
run 0 'version: 1.2' getvar version
run 1 "FAILED (remote: 'unknown')" oem lock
run 0 "FAILED (remote: 'unknown')" getvar serialno
run 0 "FAILED (remote: 'unknown')" getvar serialno reboot
$good && echo 'as recorded: FAILED, exit 0' || { echo 'CHANGED: not what was recorded'; exit 1; }
