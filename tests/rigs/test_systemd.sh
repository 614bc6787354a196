#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What is installed is whole, its units are clean in the eyes of systemd-analyze (which exits 0 on an
# unknown key: any word on stderr is a failure), and the service is shut in as it promises.
set -u
source "$(dirname "$0")/rig.sh"
command -v systemd-analyze > /dev/null || rig_skip 'no systemd-analyze'
rig_begin systemd
units=$work/units
mkdir -p "$units"

silent()
{
	local said

	said=$("$@" 2>&1 > /dev/null) && [ -z "$said" ] || {
		echo "$said"
		return 1
	}
}

has() { grep -qxF -- "$2" "$1"; }

# The units as they are installed, but for the program: the one that was built here.
sed "s|^ExecStart=[^ ]*|ExecStart=$build/daemon/provd|" "$build/systemd/provd.service" > "$units/provd.service"
cp "$root/systemd/provd.socket" "$units"
unit=$units/provd.service

expect 'service: systemd-analyze verify says nothing' silent systemd-analyze verify "$unit"
expect 'socket: systemd-analyze verify says nothing' silent systemd-analyze verify "$units/provd.socket"
sed 's/^WatchdogSec/WatchdgSec/' "$unit" > "$units/bad.service"
expect 'a misspelt key would be seen' refuse silent systemd-analyze verify "$units/bad.service"
expect 'exposure is at most 1.5' \
	systemd-analyze security --offline=true --threshold=15 --no-pager "$unit"
if [ -f "$build/systemd/provd-plant.service" ]; then
	sed "s|^ExecStart=[^ ]*|ExecStart=$build/plant/provd-plant|" "$build/systemd/provd-plant.service" > "$units/provd-plant.service"
	expect 'plant: systemd-analyze verify says nothing' silent systemd-analyze verify --man=no "$units/provd-plant.service"
	expect 'plant: exposure is at most 1.5' \
		systemd-analyze security --offline=true --threshold=15 --no-pager "$units/provd-plant.service"
fi
for line in Type=notify NotifyAccess=main WatchdogSec=30 Restart=always StartLimitIntervalSec=0 StateDirectory=provd \
	StateDirectoryMode=0700 DevicePolicy=closed 'DeviceAllow=char-188 rw' \
	'DeviceAllow=char-166 rw' 'DeviceAllow=char-4 rw' 'DeviceAllow=char-189 rw' 'DeviceAllow=char-hidraw rw'; do
	expect "service: $line" has "$unit" "$line"
done
# Either would cut the events of udevd off without a word (udev dossier, section 1).
expect 'the service sees the events of udevd' refuse grep -qE '^Private(Network|Users|Devices)=yes' "$unit"
expect 'and its netlink' grep -q '^RestrictAddressFamilies=.*AF_NETLINK' "$unit"

rules=$root/systemd/60-provd.rules
# udevadm knows `verify` from 254 on; the rules of an older system are read by its udevd in test_vm_hotplug.
if udevadm verify --help > /dev/null 2>&1; then
	expect 'udevadm verify' udevadm verify "$rules"
fi
gotos() { grep -oE 'GOTO="[a-z_]+"' "$1" | grep -v '^#' | cut -d'"' -f2 | sort -u; }
labels() { grep -oE '^LABEL="[a-z_]+"' "$1" | cut -d'"' -f2 | sort -u; }
expect 'each GOTO of the rules has its LABEL' test -z "$(comm -23 <(gotos "$rules") <(labels "$rules"))"

# An install into a tree of its own; a second one leaves the site's configuration alone.
install_into()
{
	DESTDIR=$1 meson install -C "$build" --no-rebuild --quiet
}
tree=$work/tree
if [ -f "$build/build.ninja" ]; then
	expect 'meson install' install_into "$tree"
	config=$(find "$tree" -name provd.yaml)
	expect 'provd.yaml is installed' test -f "$config"
	expect 'provd --check likes it' "$build/daemon/provd" --check --config "$config"
	cp "$(dirname "$config")/stations.d/bench.yaml.example" "$(dirname "$config")/stations.d/bench.yaml"
	expect 'provd --check likes the bench of the example' "$build/daemon/provd" --check --config "$config"
	echo '# of the site' >> "$config"
	expect 'meson install again' install_into "$tree"
	expect 'the configuration of the site stays' grep -q '^# of the site' "$config"
	for f in sbin/provd provd.service provd.socket provd-backup.service provd-backup.timer 60-provd.rules sysusers.d/provd.conf tmpfiles.d/provd.conf modules-load.d/provd.conf; do
		expect "installed: $f" test -n "$(find "$tree" -path "*/$f")"
	done
	expect 'the service starts what is installed' \
		test -x "$tree$(sed -n 's/^ExecStart=\([^ ]*\).*/\1/p' "$(find "$tree" -name provd.service)")"
	mkdir -p "$tree/etc" "$tree/usr"
	expect 'sysusers makes the user' \
		systemd-sysusers --root="$tree" "$(find "$tree" -path '*/sysusers.d/provd.conf')"
	expect 'the user is there' grep -q '^provd:' "$tree/etc/passwd"
	if [ "$(id -u)" = 0 ]; then
		expect 'tmpfiles makes the directories' silent systemd-tmpfiles --root="$tree" --create \
			"$(find "$tree" -path '*/tmpfiles.d/provd.conf')"
		expect 'the state is the owner'\''s alone' test "$(stat -c %a "$tree/var/lib/provd")" = 700
	fi
fi
rig_end
