#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tpm2_nvwrite of tpm2-tools 5.4 on a TPM 2.0 (swtpm 0.7.1, Debian 12): a serial number that is written over a longer one keeps
# the old one's tail. SN99 over SN123456 is read back as SN993456: the serial of a unit that does not exist. Exit status 0.
# Expected: as of a file that is written again (the tool takes the place of dd in provisioning scripts): the rest cleared, or
# a word that the write was partial; it does say so for the reading ("Reading full size"). Controls: a value that is longer than
# the index is refused; the same serial into a new index is followed by FF alone.
set -u
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/deb/partial" && cd "$tmp" || exit 77
want=(tpm2-tools=5.4-1 swtpm=0.7.1-1.3 swtpm-libs=0.7.1-1.3 libtss2-tcti-swtpm0=3.2.1-3)
if ! { (cd deb && apt-get download -qq "${want[@]}") && apt-get -qq -y --no-install-recommends --allow-downgrades \
	--download-only -o Debug::NoLocking=1 -o Dir::Cache::archives="$tmp/deb" install "${want[@]}"; } > apt 2>&1; then
	cat apt
	exit 77
fi
for d in deb/*.deb; do dpkg -x "$d" x; done
export PATH=$tmp/x/usr/bin:$tmp/x/usr/sbin:$PATH LD_LIBRARY_PATH=$tmp/x/usr/lib/x86_64-linux-gnu:$tmp/x/usr/lib
good=true
export LD_LIBRARY_PATH=$LD_LIBRARY_PATH:$tmp/x/usr/lib/x86_64-linux-gnu/swtpm
mkdir state
swtpm socket --tpm2 --tpmstate dir=state --server type=unixio,path=tpm --ctrl type=unixio,path=tpm.ctrl \
	--flags not-need-init,startup-clear > swtpm.log 2>&1 &
trap 'kill $!; rm -rf "$tmp"' EXIT
for _ in $(seq 100); do [ -S tpm ] && [ -S tpm.ctrl ] && break || sleep 0.1; done
export TPM2TOOLS_TCTI=swtpm:path=$tmp/tpm
text() { tpm2_nvread "$1" -C o 2> /dev/null | tr '\377' '.'; }
write() { # index, value, wanted status, wanted content
	local status
	printf %s "$2" | tpm2_nvwrite "$1" -C o -i- > out 2>&1
	status=$?
	printf '%s %-18s exit %d  index: %s  %s\n' "$1" "$2" $status "$(text "$1")" "$(head -1 out)"
	[ $status = "$3" ] && [ "$(text "$1")" = "$4" ] || good=false
}
for index in 0x1500001 0x1500002; do
	tpm2_nvdefine $index -C o -s 16 -a 'ownerread|ownerwrite' > out 2>&1 || { cat out; good=false; }
done
echo "$(tpm2_nvwrite --version | grep -o 'version="[^"]*"'); expected: SN99 and nothing of the old serial; seen:"
write 0x1500002 SN99 0 'SN99............'
write 0x1500001 SN123456 0 'SN123456........'
write 0x1500001 SN123456789012345 2 'SN123456........'
write 0x1500001 SN99 0 'SN993456........'
$good && echo 'as recorded: a serial made of two' || { echo 'CHANGED: not what was recorded'; exit 1; }
