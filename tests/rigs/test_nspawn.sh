#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# provd under a real systemd, in a container of Debian 12 (made once by mmdebstrap, kept below the
# build directory): what `meson install` installs starts by Type=notify, is killed and restarted by
# the watchdog, ends well at a stop, keeps its state to itself, is started by its socket, and is in
# its sandbox. No udevd in there: devices are the virtual machine's part.
set -u
source "$(dirname "$0")/rig.sh"
[ "$(id -u)" = 0 ] || rig_skip 'containers need root'
for tool in systemd-nspawn mmdebstrap meson node; do
	command -v $tool > /dev/null || rig_skip "no $tool (scripts/install-deps test)"
done
rig_begin nspawn
tree=$work/tree
rig_tree "$tree"
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
# A tool that makes code while it runs, in the sandbox that is shipped: the machine's node with what it
# is linked to.
mkdir -p "$tree/usr/local/bin"
cp "$(readlink -f "$(command -v node)")" "$tree/usr/local/bin/node"
ldd "$tree/usr/local/bin/node" | grep -o '/[^ ]*' | while read -r lib; do
	[ -e "$tree$lib" ] || cp -L --parents "$lib" "$tree"
done
cat > "$tree/sandbox.yaml" << 'RECIPE'
recipe: sandbox
version: 1
steps:
  - id: jit
    action: tool.run
    with:
      argv: [node, -e, 'let s = 0; for (let i = 0; i < 3e6; i++) s += i % 7; console.log("computed " + s)']
      success: ['^computed 8999994$']
  - id: records
    action: tool.run
    with:
      argv: [sh, -c, 'cat /var/lib/provd/provd.db > /dev/null 2>&1 || echo closed']
      success: ['^closed$']
  - id: devices
    action: tool.run
    with:
      argv:
        - sh
        - -c
        - |
          for n in 188 166 4 189; do
            head -c 1 /dev/rig-$n 2>&1 | grep -q 'No such device' && echo "open $n"
          done
          head -c 1 /dev/rig-60 2>&1 | grep -q 'Operation not permitted' && echo 'closed 60'
      success: ['^open 188$', '^open 166$', '^open 4$', '^open 189$', '^closed 60$']
RECIPE
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
# Nodes without a driver, of the numbers that the unit names and of one that it does not.
for n in 188 166 4 189 60; do
	mknod -m 0666 /dev/rig-$n c $n 200
done
export PROVD_TOKEN=$(cat /var/lib/provd/admin-token)
provctl recipe put /sandbox.yaml
PROVD_TOKEN=$(provctl token create admin second) provctl recipe approve sandbox@1
provctl job submit sandbox --quantity 1
provctl station start A1
until_true '[ "$(provctl --json run list | grep -c "\"state\": \"finished\"")" = 1 ]'
run=$(provctl --json run list | sed -n 's/.*"id": "\(.*\)".*/\1/p' | head -n 1)
curl -s -m 10 -H "Authorization: Bearer $PROVD_TOKEN" "http://127.0.0.1:8620/api/v1/runs/$run/steps" |
	sed 's/{"/\n&/g' | sed -n 's/.*"id":"\([a-z]*\)".*"outcome":"\([a-z]*\)".*/step=\1 \2/p'
provctl run log "$run"
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
	--private-network --system-call-filter='bpf landlock_create_ruleset landlock_add_rule landlock_restrict_self' \
	--console=read-only -D "$tree" > "$work/console.log" 2>&1
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
expect 'a tool that makes code while it runs does so in the sandbox' is 'step=jit passed'
expect 'no tool reads the records: Landlock works in the sandbox' is 'step=records passed'
expect 'devices are open by their numbers, without a driver, and others are not' is 'step=devices passed'
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
