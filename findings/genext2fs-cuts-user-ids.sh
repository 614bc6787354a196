#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# genext2fs 1.5.0 (Debian 12), from a device table or a tar: user and group ids above 65535 lose their upper bits without a word,
# exit status 0: 65536 becomes 0, so that a file of an unprivileged user is root's in the image that goes onto every unit.
# Expected: ext2 has upper halves for both (l_i_uid_high); or an error. Controls: 65535 is kept, and the same image
# holds 101000 once debugfs has written it.
set -u
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/deb/partial" && cd "$tmp" || exit 77
want=(genext2fs=1.5.0-3 e2fsprogs=1.47.0-2+b2)
if ! { (cd deb && apt-get download -qq "${want[@]}") && apt-get -qq -y --no-install-recommends --allow-downgrades \
	--download-only -o Debug::NoLocking=1 -o Dir::Cache::archives="$tmp/deb" install "${want[@]}"; } > apt 2>&1; then
	cat apt
	exit 77
fi
for d in deb/*.deb; do dpkg -x "$d" x; done
export PATH=$tmp/x/usr/bin:$tmp/x/usr/sbin:$PATH LD_LIBRARY_PATH=$tmp/x/usr/lib/x86_64-linux-gnu:$tmp/x/usr/lib
good=true
mkdir d && echo key > d/f
owner() { debugfs -R 'stat /f' "$1" 2> /dev/null | grep -oE '(User|Group): *[0-9]+' | tr -s ' \n' ' '; }
table() { # id, wanted
	printf '/f f 600 %s %s - - - - -\n' "$1" "$1" > t
	genext2fs -b 256 -d d -D t i.img > out 2>&1 || good=false
	echo "genext2fs -D, id $1: $(owner i.img)"
	[ "$(owner i.img)" = "User: $2 Group: $2 " ] || good=false
}
echo "genext2fs 1.5.0 (says $(genext2fs -V 2>&1 | head -1)); expected: the id, or an error; seen:"
table 65535 65535
table 65536 0
table 101000 35464
debugfs -w -R 'sif /f uid 101000' i.img > out 2>&1
echo "debugfs, id 101000: $(owner i.img)"
[[ $(owner i.img) == 'User: 101000 '* ]] || good=false
$good && echo 'as recorded: another owner' || { echo 'CHANGED: not what was recorded'; exit 1; }
