#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# fastboot 29.0.6 (Debian 12): `fastboot -w` erases userdata on the unit and only then looks for mke2fs, which neither the
# package nor one that it needs or recommends brings (android-sdk-platform-tools, which it suggests, does): exit 1, and a unit
# that has lost its data and got no file system.
# Expected: to be told before anything is erased, as `fastboot format userdata` does (control; another: `erase`, exit 0).
# The unit is fastboot over TCP by its description (FB01, then messages with 8 bytes of length); it keeps every command that
# it was given.
set -u
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/deb/partial" && cd "$tmp" || exit 77
want=(fastboot=1:29.0.6-28)
if ! { (cd deb && apt-get download -qq "${want[@]}") && apt-get -qq -y --install-recommends --allow-downgrades \
	--download-only -o Debug::NoLocking=1 -o Dir::Cache::archives="$tmp/deb" install "${want[@]}"; } > apt 2>&1; then
	cat apt
	exit 77
fi
for d in deb/*.deb; do dpkg -x "$d" x; done
export PATH=$tmp/x/usr/lib/android-sdk/platform-tools:$PATH
export LD_LIBRARY_PATH=$tmp/x/usr/lib/x86_64-linux-gnu/android:/usr/lib/x86_64-linux-gnu/android:$tmp/x/usr/lib/x86_64-linux-gnu
good=true
cat > unit.py << 'PY'
import socket, struct
VARS = {b'partition-type:userdata': b'ext4', b'partition-size:userdata': b'0x4000000', b'version': b'0.4'}
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
            if not what.startswith(b'getvar:'):
                with open('heard', 'ab') as f:
                    f.write(what + b'\n')
            name = what.partition(b':')[2]
            answer = (b'OKAY' + VARS[name] if name in VARS else b'FAILunknown') if what.startswith(b'getvar:') else b'OKAY'
            c.sendall(struct.pack('>Q', len(answer)) + answer)
    except (EOFError, OSError):
        c.close()
PY
exec 3< <(exec python3 unit.py)
trap 'kill $!; rm -rf "$tmp"' EXIT
read -r port <&3
run() { # wanted status, what the unit has to have heard, command...
	local status want=$1 heard=$2
	shift 2
	: > heard
	timeout 30 fastboot -s "tcp:127.0.0.1:$port" "$@" > out 2>&1
	status=$?
	printf '%-26s exit %d  the unit heard: %-16s %s\n' "fastboot $*" $status "$(tr '\n' ' ' < heard)" \
		"$(grep -o 'mke2fs failed[^:]*\|Cannot generate[^:]*' out | tr '\n' ' ')"
	[ $status = "$want" ] && [ "$(tr '\n' ' ' < heard)" = "$heard" ] || good=false
}
echo "$(fastboot --version | head -1); expected: nothing is erased where no file system can be made; seen:"
run 0 'erase:userdata ' erase userdata
run 1 '' format userdata
run 1 'erase:userdata ' -w
$good && echo 'as recorded: erased, then exit 1' || { echo 'CHANGED: not what was recorded'; cat out; exit 1; }
