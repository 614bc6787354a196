#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# lxi-tools 2.4 (Debian 12), `lxi scpi --raw`: a reading that comes in two TCP segments is printed up to the first
# segment's end, and the exit status is 0. "12" is printed where the instrument said "1234.5": a number, and a wrong one.
# Expected: SCPI over a raw socket ends a response with a newline (IEEE 488.2, NR1 ^END); read until it came, or fail.
# Controls: the same answer in one segment is whole; an instrument that says nothing at all is an error.
set -u
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/deb/partial" && cd "$tmp" || exit 77
want=(lxi-tools=2.4-1)
if ! { (cd deb && apt-get download -qq "${want[@]}") && apt-get -qq -y --no-install-recommends --allow-downgrades \
	--download-only -o Debug::NoLocking=1 -o Dir::Cache::archives="$tmp/deb" install "${want[@]}"; } > apt 2>&1; then
	cat apt
	exit 77
fi
for d in deb/*.deb; do dpkg -x "$d" x; done
export PATH=$tmp/x/usr/bin:$tmp/x/usr/sbin:$PATH LD_LIBRARY_PATH=$tmp/x/usr/lib/x86_64-linux-gnu:$tmp/x/usr/lib
good=true
cat > instrument.py << 'PY'
# An instrument on a raw socket. SPLIT? is answered in two pieces, the second once the asker has left, or after a second.
import socket, threading
def serve(c):
    said = b''
    while b'\n' not in said:
        said += c.recv(4096)
    c.settimeout(1)
    if said == b'SPLIT?\n':
        c.sendall(b'12')
        try:
            c.recv(1)
            c.sendall(b'34.5\n')
        except TimeoutError:
            c.sendall(b'34.5\n')
        except OSError:
            pass
    elif said == b'WHOLE?\n':
        c.sendall(b'1234.5\n')
    else:
        c.settimeout(10)
        c.recv(1) # says nothing until the asker leaves
s = socket.create_server(('127.0.0.1', 0))
print(s.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
PY
exec 3< <(exec python3 instrument.py)
trap 'kill $!; rm -rf "$tmp"' EXIT
read -r port <&3
ask() { # question, wanted status, wanted text
	local said status
	said=$(timeout 20 lxi scpi --address 127.0.0.1 --port "$port" --raw --timeout 2 "$1" 2> err)
	status=$?
	printf '%-8s exit %d  "%s" %s\n' "$1" $status "$said" "$(head -1 err)"
	[ $status = "$2" ] && [ "$said" = "$3" ] || good=false
}
echo "$(lxi --version | head -1); expected: 1234.5 or an error for SPLIT?; seen:"
ask WHOLE? 0 1234.5
ask SPLIT? 0 12
ask SILENT? 1 ''
$good && echo 'as recorded: half of a number, exit 0' || { echo 'CHANGED: not what was recorded'; exit 1; }
