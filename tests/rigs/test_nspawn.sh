#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# provd under a real systemd, in a container of Debian 12 (made once by mmdebstrap, kept below the
# build directory): what `meson install` installs starts by Type=notify, is killed and restarted by
# the watchdog, ends well at a stop, keeps its state to itself, is started by its socket, and stands in
# its sandbox. No udevd in there: devices are the virtual machine's part.
set -u
source "$(dirname "$0")/rig.sh"
[ "$(id -u)" = 0 ] || rig_skip 'containers need root'
for tool in systemd-nspawn mmdebstrap meson; do
	command -v $tool > /dev/null || rig_skip "no $tool (scripts/install-deps test)"
done
rig_begin nspawn
tree=$work/tree
packages=systemd,libmicrohttpd12,libjansson4,libyaml-0-2,libsqlite3-0,libudev1,libpcre2-8-0
packages=$packages,libcurl4,libssl3,libusb-1.0-0,zlib1g,libelf1,libzip4,libexpat1,curl
cache=$build/tests/rigs/nspawn-$(cksum <<< "$packages" | cut -d' ' -f1).tar

if [ ! -s "$cache" ]; then
	mmdebstrap --variant=minbase --include=$packages bookworm "${cache%.tar}.part.tar" > "$work/mmdebstrap.log" 2>&1 ||
		rig_skip "mmdebstrap: $(tail -n 1 "$work/mmdebstrap.log")"
	mv "${cache%.tar}.part.tar" "$cache"
	echo "tree made in $(rig_seconds) s"
fi
mkdir "$tree"
tar -C "$tree" -xf "$cache" --exclude './dev/*' || rig_skip 'the tree cannot be unpacked'
DESTDIR=$tree meson install -C "$build" --no-rebuild --quiet || exit 1
systemd-sysusers --root="$tree" "$(find "$tree" -path '*/sysusers.d/provd.conf')"

# The unit as it is, but for a watchdog that a test can wait for.
mkdir -p "$tree/etc/systemd/system/provd.service.d" "$tree/etc/systemd/system/multi-user.target.wants"
printf '[Service]\nWatchdogSec=3\nRestartSec=100ms\n' > "$tree/etc/systemd/system/provd.service.d/rig.conf"
cat > "$tree/etc/systemd/system/rig.service" << 'UNIT'
[Unit]
After=provd.socket
Wants=provd.socket
[Service]
Type=oneshot
ExecStart=/rig
UNIT
# A foreign program is in a cgroup of its own where systemd gives provd its own to divide.
for delegate in yes no; do
	cat > "$tree/etc/systemd/system/tool-$delegate.service" <<- UNIT
		[Service]
		Type=oneshot
		User=provd
		Delegate=$delegate
		StandardOutput=file:/tool-$delegate
		ExecStart=/usr/bin/env provctl --json exec tool.run 'argv=["/bin/cat","/proc/self/cgroup"]' 'success=["^0::"]'
	UNIT
done
ln -s ../rig.service "$tree/etc/systemd/system/multi-user.target.wants/rig.service"
config=$(find "$tree" -name provd.yaml)
sed -i 's/^stations: .*/stations:\n  - {id: A1, ports: {console: {tcp: "127.0.0.1:1"}}}/' "$config"

cat > "$tree/rig" << 'SCRIPT'
#!/bin/bash
# Facts, one a line, for the rig outside.
exec > /rig.out 2>&1
show() { systemctl show -P "$1" provd.service; }
until_true()
{
	for ((i = 0; i < 400; i++)); do
		eval "$1" && return 0
		sleep 0.05
	done
	return 1
}
echo "before=$(show ActiveState)"
echo "http=$(curl -s -m 10 -o /dev/null -w '%{http_code}' http://127.0.0.1:8620/api/v1/stations)"
until_true '[ "$(show ActiveState)" = active ]'
echo "after=$(show ActiveState)/$(show SubState)"
until_true '[ -n "$(show StatusText)" ]'
echo "status=$(show StatusText)"
pid=$(show MainPID)
echo "user=$(stat -c %U /proc/$pid)"
echo "state=$(stat -c '%U %a' /var/lib/provd)"
echo "token=$(stat -c '%U %a' /var/lib/provd/admin-token)"
echo "caps=$(awk '/^CapEff/ { print $2 }' /proc/$pid/status)"
echo "nonewprivs=$(awk '/^NoNewPrivs/ { print $2 }' /proc/$pid/status)"
echo "seccomp=$(awk '/^Seccomp:/ { print $2 }' /proc/$pid/status)"
nsenter -t $pid -m touch /usr/provd-was-here 2> /dev/null && echo usr=writable || echo usr=readonly
kill -STOP $pid
until_true '[ "$(show NRestarts)" = 1 ] && [ "$(show ActiveState)" = active ]'
echo "restarts=$(show NRestarts)"
[ "$(show MainPID)" != "$pid" ] && echo newpid=yes
echo "again=$(curl -s -m 10 -o /dev/null -w '%{http_code}' http://127.0.0.1:8620/api/v1/stations)"
systemctl reload provd && echo "reload=$(show ActiveState)"
systemctl stop provd.socket provd.service
echo "stop=$(show Result) $(show ExecMainStatus)"
systemctl start tool-yes tool-no
echo "delegated=$(grep -c '/provd-tool-' /tool-yes)"
echo "undelegated=$(grep -c '/provd-tool-' /tool-no) $(grep -c '"passed": true' /tool-no)"
echo end
systemctl poweroff --no-block
SCRIPT
chmod +x "$tree/rig"

begun=$EPOCHREALTIME
SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 timeout -k 5 60 systemd-nspawn --quiet --boot --register=no --keep-unit \
	--private-network --console=read-only -D "$tree" > "$work/console.log" 2>&1
out=$tree/rig.out
[ -f "$out" ] || rig_skip "the container does not boot: $(grep -v '^$' "$work/console.log" | tail -n 1)"
echo "boot to power-off $(awk -v a="$begun" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }') s"

is() { grep -qxF "$1" "$out" || { cat "$out"; return 1; }; }
expect 'idle until someone asks' is before=inactive
expect 'socket activation: the first request is answered' is http=401
expect 'Type=notify: it is running' is after=active/running
expect 'it tells its status' grep -q '^status=.*1 stations' "$out"
expect 'it runs as provd' is user=provd
expect 'its state is its own' is 'state=provd 700'
expect 'the first token too' is 'token=provd 600'
expect 'no capabilities' is caps=0000000000000000
expect 'no new privileges' is nonewprivs=1
expect 'system calls are filtered' is seccomp=2
expect 'the system is read-only to it' is usr=readonly
expect 'the watchdog restarts one that hangs' is restarts=1
expect 'as a new process' is newpid=yes
expect 'which serves the same socket' is again=401
expect 'a reload keeps it up' is reload=active
expect 'a stop ends it well' is 'stop=success 0'
expect 'a program has a cgroup of its own where that is delegated' grep -q '^delegated=[1-9]' "$out"
expect 'and none elsewhere' is 'undelegated=0 1'
expect 'to the end' is end
rm -rf "$tree"
rig_end
