# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What every rig shares (sourced): a scratch folder, counted expectations, `N passed, N failed` at
# the end, exit 77 with the reason where the machine cannot run it. Called by meson with the build
# directory as MESON_BUILD_ROOT; by hand: tests/rigs/test_NAME.sh [BUILD_DIR].

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${MESON_BUILD_ROOT:-${1:-$root/build}}
build=$(realpath -m "$build")
passed=0
failed=0
rig_started=$EPOCHREALTIME

rig_begin()
{
	work=$build/tests/rigs/$1.d
	rm -rf "$work"
	mkdir -p "$work"
}

rig_skip()
{
	echo "SKIP: $*"
	exit 77
}

rig_seconds()
{
	awk -v a="$rig_started" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }'
}

rig_end()
{
	echo "$passed passed, $failed failed, $(rig_seconds) s"
	[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
	exit
}

# expect WHAT COMMAND...: the command succeeds.
expect()
{
	local what=$1 log

	shift
	if log=$("$@" 2>&1); then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAIL: $what"
		[ -z "$log" ] || sed 's/^/      /' <<< "$log" | tail -n 15
	fi
}

refuse()
{
	! "$@"
}

# until_true SECONDS COMMAND...: waits for the event, with a deadline.
until_true()
{
	local end=$((SECONDS + $1))

	shift
	until "$@" > /dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.05
	done
}

# rig_tree DIR: Debian 12 with what provd and its tests there need. Made once in a build directory.
rig_tree()
{
	local cache packages=systemd,systemd-sysv,dbus,udev,debconf,gpgv,curl,libmicrohttpd12,libjansson4,libyaml-0-2,libsqlite3-0
	packages=$packages,libudev1,libpcre2-8-0,libgnutls30,libpam0g,libzint2.11,libp11-kit0,libcurl4,libssl3,libusb-1.0-0,libgpiod2,zlib1g
	packages=$packages,libelf1,libmagic1,libzip4,libcbor0.8,libexpat1,libqpid-proton11,libarchive13,libpq5
	cache=$build/tests/rigs/tree-$(cksum <<< "$packages" | cut -d' ' -f1).tar
	# Rigs run at the same time.
	exec 9> "${cache%.tar}.lock"
	flock 9
	if [ ! -s "$cache" ]; then
		mmdebstrap --variant=minbase --include=$packages bookworm "${cache%.tar}.part.tar" > "$work/mmdebstrap.log" 2>&1 ||
			rig_skip "mmdebstrap: $(tail -n 1 "$work/mmdebstrap.log")"
		mv "${cache%.tar}.part.tar" "$cache"
		echo "tree made in $(rig_seconds) s"
	fi
	exec 9>&-
	mkdir "$1"
	tar -C "$1" -xf "$cache" --exclude './dev/*' || rig_skip 'the tree cannot be unpacked'
}
