#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ippeveprinter 2.4.2 (Debian 12, cups-ipp-utils): `-n 127.0.0.1` ends at once with "Unable to create IPv6 listener: Success". It makes
# a listener of each family for the one host name, and an IPv4 address has no IPv6 one; what it prints is an errno that nothing set.
# Expected: a printer on that address, or an error that names the cause; any IPv4-only host name is meant by this.
# Control: `-n localhost`, which has both, starts and answers ipptool.
# It needs the bus of Avahi to start at all, and goes on without Avahi: the script brings a bus of its own.
set -u
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/deb/partial" "$tmp/spool" && cd "$tmp" || exit 77
want=(cups-ipp-utils=2.4.2-3+deb12u9 dbus-daemon=1.14.10-1~deb12u1)
if ! { (cd deb && apt-get download -qq "${want[@]}") && apt-get -qq -y --no-install-recommends --allow-downgrades \
	--download-only -o Debug::NoLocking=1 -o Dir::Cache::archives="$tmp/deb" install "${want[@]}"; } > apt 2>&1; then
	cat apt
	exit 77
fi
for d in deb/*.deb; do dpkg -x "$d" x; done
export PATH=$tmp/x/usr/bin:$tmp/x/usr/sbin:$PATH LD_LIBRARY_PATH=$tmp/x/usr/lib/x86_64-linux-gnu:$tmp/x/lib/x86_64-linux-gnu
good=true pids=()
trap 'kill "${pids[@]}" 2> /dev/null; rm -rf "$tmp"' EXIT
cat > bus.conf << EOF
<busconfig><type>session</type><listen>unix:path=$tmp/bus</listen><auth>EXTERNAL</auth><policy context="default">
<allow send_destination="*"/><allow send_type="*"/><allow receive_sender="*"/><allow own="*"/><allow user="*"/></policy></busconfig>
EOF
dbus-daemon --config-file="$tmp/bus.conf" --nofork 2> bus.log &
pids+=($!)
for _ in $(seq 50); do [ ! -S bus ] || break; read -rt 0.1 <> <(:) || true; done
[ -S bus ] || { cat bus.log; exit 77; }
export DBUS_SYSTEM_BUS_ADDRESS=unix:path=$tmp/bus
port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
printer=(ippeveprinter -r off -p "$port" -f application/pdf -d "$tmp/spool")
echo "cups-ipp-utils 2.4.2; expected of -n 127.0.0.1: a printer, or its cause; seen:"
timeout 10 "${printer[@]}" -n 127.0.0.1 test > four 2>&1
status=$?
echo "  exit $status: $(tail -n 1 four)"
[ $status = 1 ] && grep -qx 'Unable to create IPv6 listener: Success' four || good=false
"${printer[@]}" -n localhost test > both 2>&1 &
pids+=($!)
for _ in $(seq 50); do
	(exec 4<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null && answers=yes && break
	read -rt 0.1 <> <(:) || true
done
echo "  -n localhost: $([ "${answers:-}" = yes ] && echo listens || tail -n 1 both)"
[ "${answers:-}" = yes ] || good=false
$good && echo 'as recorded: "Success", and no printer' || { echo 'CHANGED: not what was recorded'; exit 1; }
