#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pkcs11-tool of opensc 0.23 on a SoftHSM 2.6.1 token (Debian 12): --keypairgen with an id that a key has already makes a second
# pair of the same id, exit status 0 (a provisioning script that is run twice). From then on the id names two pairs, and what
# signs and what is read as its public key may be of different ones: a device's request is signed by a key that is not in it.
# Expected: refused, as softhsm2-util --import refuses an id in use (control). Which one is taken changes from run to run, so ids
# are tried until one differs. Control: ids with one pair always verify.
set -u
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/deb/partial" && cd "$tmp" || exit 77
want=(opensc=0.23.0-0.3+deb12u2 softhsm2=2.6.1-2.1 libsofthsm2=2.6.1-2.1)
if ! { (cd deb && apt-get download -qq "${want[@]}") && apt-get -qq -y --no-install-recommends --allow-downgrades \
	--download-only -o Debug::NoLocking=1 -o Dir::Cache::archives="$tmp/deb" install "${want[@]}"; } > apt 2>&1; then
	cat apt
	exit 77
fi
for d in deb/*.deb; do dpkg -x "$d" x; done
export PATH=$tmp/x/usr/bin:$tmp/x/usr/sbin:$PATH LD_LIBRARY_PATH=$tmp/x/usr/lib/x86_64-linux-gnu:$tmp/x/usr/lib
good=true
mkdir tokens && printf 'directories.tokendir = %s/tokens\nobjectstore.backend = file\n' "$tmp" > conf
module=$(ls x/usr/lib/softhsm/libsofthsm2.so)
export SOFTHSM2_CONF=$tmp/conf
softhsm2-util --module "$module" --init-token --free --label T --pin 1234 --so-pin 1234 > /dev/null || good=false
p11() { pkcs11-tool --module "$module" --token-label T --login --pin 1234 "$@" > out 2>&1; }
echo unit > data && openssl dgst -sha256 -binary data > hash
pair() { p11 --keypairgen --key-type EC:prime256v1 --id "$1" || { good=false; cat out; }; }
verifies() {
	p11 --sign --mechanism ECDSA --signature-format openssl --id "$1" -i hash -o sig && p11 --read-object --type pubkey --id "$1" \
		-o pub.der && openssl pkey -pubin -inform der -in pub.der -out pub.pem || good=false
	openssl dgst -sha256 -verify pub.pem -signature sig data > /dev/null 2>&1
}
echo "opensc 0.23, SoftHSM $(softhsm2-util --version); expected: the second key pair of an id refused; seen:"
for id in 01 02 03 04 05 06; do
	pair $id
	verifies $id || good=false
done
echo '6 ids with one pair: each signature verifies with the public key of its id'
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out k.pem 2> /dev/null
softhsm2-util --module "$module" --import k.pem --token T --pin 1234 --label k --id 01 > out 2>&1 && good=false
grep -q 'ID is already assigned' out || good=false
echo "softhsm2-util --import with id 01: $(grep ERROR out)"
for n in $(seq 16 75) none; do
	[ "$n" = none ] && good=false && break
	pair $n
	pair $n
	verifies $n || break
done
echo "pkcs11-tool --keypairgen twice with one id: exit 0; id $n: what it signs does not verify with its public key"
$good && echo 'as recorded: two pairs of one id' || { echo 'CHANGED: not what was recorded'; exit 1; }
