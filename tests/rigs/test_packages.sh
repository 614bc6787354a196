#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The Debian packages in a booted container of Debian 12: made by scripts/release, once, on this machine, of the programs
# that were built here where they have the options of packages (PROVD_PACKAGES names a folder that has packages), installed by apt from the signed repository, upgraded while a run
# is open, a downgrade refused, removed with the records kept, installed over records of the schema before, purged.
# scripts/release --check does it with the packages as they are released.
set -u
source "$(dirname "$0")/rig.sh"
[ "$(id -u)" = 0 ] || rig_skip 'containers need root'
for tool in systemd-nspawn mmdebstrap dpkg-buildpackage dh po2debconf lintian apt-ftparchive gpg git python3; do
	command -v $tool > /dev/null || rig_skip "no $tool (scripts/install-deps release)"
done
git -C "$root" rev-parse HEAD > /dev/null 2>&1 || rig_skip 'not a git checkout: packages are made of a commit'
rig_begin packages
tree=$work/tree

# The key of a repository that nobody else trusts.
export GNUPGHOME=$work/gpg
mkdir -m 0700 "$GNUPGHOME"
# Its agent does not outlive the rig.
trap 'gpgconf --kill all' EXIT
gpg --batch --quiet --passphrase '' --quick-generate-key 'rig <rig@provd.example>' ed25519 sign never ||
	rig_skip 'gpg makes no key here'
# A build with other options (scripts/run, a developer's) would put its files elsewhere: then all of it is built.
if meson introspect --buildoptions "$build" 2> /dev/null | python3 -c '
import json, sys
has = {o["name"]: o["value"] for o in json.load(sys.stdin)}
for line in open(sys.argv[1]):
    name, value = line.strip().lstrip("-").removeprefix("D").split("=")
    if has.get(name) != value:
        sys.exit(f"{name} is {has.get(name)}")' "$root/packaging/build-options"; then
	export PROVD_BUILT=$build
fi
release() {
	DEB_BUILD_OPTIONS='noopt noautodbgsym' "$root/scripts/release" --here --once --key rig@provd.example --out "$work/release" \
		> "$work/release.log" 2>&1
}
if [ -n "${PROVD_PACKAGES:-}" ]; then
	mkdir -p "$work/release/apt"
	cp -r "$(realpath "$PROVD_PACKAGES/../../../..")"/. "$work/release/apt/"
else
	release || { tail -n 40 "$work/release.log"; exit 1; }
	grep '^release: packages' "$work/release.log"
fi
repo=$work/release/apt
pool=$repo/pool/main/p/provd
version=$(dpkg-deb -f "$pool"/provd_*.deb Version)
expect 'lintian has no error' lintian --allow-root --fail-on error "$pool"/*.deb

# The same packages as another version.
repack() { # VERSION
	local deb parts=$work/parts
	mkdir -p "$tree/$1"
	for deb in "$pool"/provd_*.deb "$pool"/provctl_*.deb; do
		rm -rf "$parts"
		dpkg-deb -R "$deb" "$parts"
		sed -i "s/^Version: .*/Version: $1/; s/(= [^)]*)/(= $1)/" "$parts/DEBIAN/control"
		dpkg-deb -Znone --root-owner-group -b "$parts" "$tree/$1/" > /dev/null
	done
}

rig_tree "$tree"
rm -f "$tree"/etc/apt/sources.list "$tree"/etc/apt/sources.list.d/*
cp -r "$repo" "$tree/repo"
cp -r "$repo" "$tree/changed"
# One byte of a list that is signed.
sed -i '0,/^Description: f/s//Description: F/' "$tree"/changed/dists/stable/main/binary-*/Packages
rm -f "$tree"/changed/dists/stable/main/binary-*/Packages.gz
signed='deb [signed-by=/repo/provd-archive-keyring.gpg] file:'
[ -e "$repo/provd-archive-keyring.gpg" ] || signed='deb [trusted=yes] file:'
echo "$signed/repo stable main" > "$tree/etc/apt/sources.list.d/provd.list"
echo "$signed/changed stable main" > "$tree/changed.list"
repack 9.0
cat > "$tree/sleepy.yaml" << 'RECIPE'
recipe: sleepy
version: 1
steps:
  - id: long
    action: tool.run
    timeout: 120s
    with: {argv: [sh, -c, 'until [ -e /stopping ]; do sleep 0.1; done; echo slept'], success: ['^slept$']}
  - id: after
    action: tool.run
    with: {argv: [echo, done], success: ['^done$']}
RECIPE
# Records of the schema before this one, as a database that is empty but for that.
python3 - "$root/db/sql" "$tree/before.db" << 'PY'
import pathlib, sqlite3, sys
files = sorted(pathlib.Path(sys.argv[1]).glob('*.sql'))
db = sqlite3.connect(sys.argv[2])
for f in files[:-1]:
    db.executescript(f.read_text())
db.execute(f'PRAGMA user_version = {len(files) - 1}')
db.execute(f'PRAGMA application_id = {0x70766431}')
db.commit()
PY
schema=$(find "$root/db/sql" -name '*.sql' | wc -l)

cat > "$tree/rig" << 'SCRIPT'
#!/bin/bash
# Facts, one a line, for the rig outside.
exec > /rig.out 2>&1
export DEBIAN_FRONTEND=noninteractive
show() { systemctl show -P "$1" provd.service; }
until_true()
{
	for ((i = 0; i < 400; i++)); do
		eval "$1" && return 0
		sleep 0.05
	done
	return 1
}
schema_of() { od -An -v -tu1 -j63 -N1 "$1" | tr -d ' '; }
runs() { provctl --json run list | sed -n "s/.*\"$1\": \"\(.*\)\".*/\1/p"; }
apt-get -q update -o Dir::Etc::sourcelist=/changed.list -o Dir::Etc::sourceparts=- > /changed.log 2>&1 && echo changed=taken
apt-get -q update && apt-get -q install -y --no-install-recommends provd provd-sim provd-plant && echo installed=yes
until_true '[ "$(show ActiveState)" = active ]'
echo "active=$(show ActiveState) $(systemctl is-enabled provd.service provd.socket | tr '\n' ' ')"
echo "off=$(systemctl is-enabled provd-keyd.socket provd-backup.timer | tr '\n' ' ')$(systemctl is-active provd-keyd.socket)"
echo "http=$(curl -s -m 10 -o /dev/null -w '%{http_code}' http://127.0.0.1:8620/api/v1/stations)"
export PROVD_TOKEN=$(cat /var/lib/provd/admin-token)
echo "stations=$(provctl --json station list | grep -c '"id"')"
echo "owner=$(stat -c '%U %a' /var/lib/provd) $(stat -c '%U' /etc/provd/provd.yaml)"
echo "conffiles=$(dpkg-query -W -f '${Conffiles}\n' provd | grep -c /etc/provd/)"
echo "files=$(ls /usr/lib/udev/rules.d/60-provd.rules /usr/lib/sysusers.d/provd.conf /usr/libexec/provd-keyd \
	/usr/share/bash-completion/completions/provctl /usr/share/man/man8/provd.8.gz /usr/share/man/man1/provctl.1.gz 2> /dev/null | wc -l)"
echo "keyd=$(id -un provd-keyd)"
provctl support --out /support.tar.gz
echo "plant=$(provd-plant --help | grep -c '^usage: provd-plant')"
# Shut in as it is, it gets as far as its database, which is not here.
systemctl start --no-block provd-plant.service
until_true 'journalctl -u provd-plant.service | grep -q "it is waited for"' && echo "plantwaits=$(systemctl is-enabled provd-plant.service) $(id -un provd-plant)"
systemctl stop provd-plant.service
echo "sim=$(provsim devices | grep -c .) $(test -x /usr/bin/provsim-cloud && echo cloud)"

# A run is open while the next version comes.
sed -i 's/^stations: .*/stations:\n  - {id: A1, ports: {console: {tcp: "127.0.0.1:1"}}}/' /etc/provd/provd.yaml
systemctl reload provd
provctl recipe put /sleepy.yaml
PROVD_TOKEN=$(provctl token create admin second) provctl recipe approve sleepy@1
provctl job submit sleepy --quantity 2
until_true 'provctl station start A1'
until_true '[ "$(provctl station list | grep -c running)" = 1 ]'
pid=$(show MainPID)
systemctl enable --now provd-keyd.socket && systemctl start provd-keyd.service
keyd=$(systemctl show -P MainPID provd-keyd.service)
socket=$(systemctl show -P ActiveEnterTimestampMonotonic provd.socket)
# Its step comes to its end once provd was asked to stop.
{ until [ "$(show ActiveState)" = deactivating ]; do sleep 0.05; done; touch /stopping; } &
apt-get -q install -y /9.0/*.deb && echo "upgraded=$(dpkg-query -W -f '${Version}' provd)"
until_true '[ "$(show ActiveState)" = active ]'
[ "$(show MainPID)" != "$pid" ] && echo newpid=yes
[ "$(systemctl show -P ActiveEnterTimestampMonotonic provd.socket)" = "$socket" ] && echo socket=kept
until_true '[ "$(systemctl is-active provd-keyd.service)" = active ]'
[ "$(systemctl show -P MainPID provd-keyd.service)" != "$keyd" ] && echo "newkeyd=$(systemctl is-enabled provd-keyd.socket)"
echo "drained=$(runs state) $(runs outcome)"
run=$(runs id | head -n 1)
curl -s -m 10 -H "Authorization: Bearer $PROVD_TOKEN" "http://127.0.0.1:8620/api/v1/runs/$run/steps" |
	sed 's/{"/\n&/g' | sed -n 's/.*"id":"\([a-z]*\)".*"outcome":"\([a-z]*\)".*/step=\1 \2/p'
until_true 'provctl station start A1'
until_true '[ "$(runs outcome | grep -c passed)" = 1 ]'
echo "resumed=$(runs outcome | grep -c passed)"
grep -q 127.0.0.1:1 /etc/provd/provd.yaml && echo conffile=kept

# Older versions: one that can read the records, and one that cannot.
dpkg -i /repo/pool/main/p/provd/provd_*.deb /repo/pool/main/p/provd/provctl_*.deb && echo "back=$(dpkg-query -W -f '${Version}' provd)"
until_true '[ "$(show ActiveState)" = active ]'
dpkg -i /9.0/*.deb > /dev/null
until_true '[ "$(show ActiveState)" = active ]'
mkdir /newer
{ head -c 62 /dev/zero | tr '\0' x; printf '\003\350'; head -c 36 /dev/zero; } > /newer/provd.db
# 60..63 are one number, the highest byte first.
printf '\000\000\003\350' | dd of=/newer/provd.db bs=1 seek=60 conv=notrunc status=none
sed -i '1i state_dir: /newer' /etc/provd/provd.yaml
pid=$(show MainPID)
dpkg -i /repo/pool/main/p/provd/provd_*.deb > /refused.log 2>&1 || echo refused=yes
grep '^provd: /newer' /refused.log
[ "$(show MainPID)" = "$pid" ] && echo "stayed=$(show ActiveState) $(dpkg-query -W -f '${Version} ${db:Status-Status}' provd)"
sed -i 1d /etc/provd/provd.yaml

apt-get -q remove -y provd > /dev/null
echo "stopped=$(systemctl is-active provd-keyd.service provd-keyd.socket provd.socket | sort -u | tr '\n' ' ')"
echo "removed=$(systemctl is-active provd.service) $(test -s /var/lib/provd/provd.db && echo records) $(test -e /etc/provd/provd.yaml && echo configuration)"
# Records of the schema before, as an older version left them.
mkdir /kept && mv /var/lib/provd/* /kept/
install -o provd -g provd -m 600 /before.db /var/lib/provd/provd.db
apt-get -q install -y /9.0/*.deb > /dev/null
until_true '[ "$(show ActiveState)" = active ]'
echo "migrated=$(schema_of /before.db) $(schema_of /var/lib/provd/provd.db) $(show ActiveState)"
apt-get -q purge -y provd > /dev/null
echo "purged=$(test -s /var/lib/provd/provd.db && echo records) $(test -e /etc/provd/provd.yaml || echo no configuration)"
apt-get -q install -y /9.0/*.deb > /dev/null
echo "again=$(dpkg-query -W -f '${db:Status-Status}' provd)"
echo 'provd provd/purge-records boolean true' | debconf-set-selections
apt-get -q purge -y provd > /dev/null
echo "yes=$(test -e /var/lib/provd || echo no records) $(test -d /var/backups/provd && echo backups)"
echo end
systemctl poweroff --no-block
SCRIPT
chmod +x "$tree/rig"
cat > "$tree/etc/systemd/system/rig.service" << 'UNIT'
[Unit]
After=basic.target dbus.service
[Service]
Type=oneshot
ExecStart=/rig
UNIT
mkdir -p "$tree/etc/systemd/system/multi-user.target.wants"
ln -s ../rig.service "$tree/etc/systemd/system/multi-user.target.wants/rig.service"

SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 timeout -k 5 150 systemd-nspawn --quiet --boot --register=no --keep-unit \
	--private-network --system-call-filter='bpf landlock_create_ruleset landlock_add_rule landlock_restrict_self' \
	--console=read-only -D "$tree" > "$work/console.log" 2>&1
out=$tree/rig.out
[ -f "$out" ] || rig_skip "the container does not boot: $(grep -v '^$' "$work/console.log" | tail -n 1)"
cp "$out" "$work/rig.out"

is() { grep -qxF "$1" "$out" || { cat "$out"; return 1; }; }
if [ -e "$repo/provd-archive-keyring.gpg" ]; then
	expect 'apt takes no list that was changed after it was signed' refuse grep -q '^changed=taken' "$out"
fi
expect 'apt installs from the repository' is installed=yes
expect 'provd runs after the install, and is enabled' is 'active=active enabled enabled '
expect 'backups and the service of keys wait for a decision' is 'off=disabled disabled inactive'
expect 'it answers' is http=401
expect 'without a configuration there is no station' is stations=0
expect 'the records are its own, the configuration is root'\''s' is 'owner=provd 700 root'
expect 'the configuration is conffiles' grep -q '^conffiles=[1-9]' "$out"
expect 'users, udev rules, completion and manuals are there' is files=6
expect 'the keys have a user of their own' is keyd=provd-keyd
support() { tar -xzOf "$tree/support.tar.gz" --wildcards "*/$1"; }
journal_has() { support journal.txt | grep -q "$1"; }
expect 'what is collected for a vendor has the journal' journal_has 'provd .* serves '
expect 'and what systemd says of the units' eval "support units.txt | grep -q 'Active: active'"
expect 'the program of a plant starts' is plant=1
expect 'its service is off, and works as its own user where it is started' is 'plantwaits=disabled provd-plant'
expect 'provsim and its cloud are there' grep -q '^sim=[1-9][0-9]* cloud$' "$out"
expect 'the upgrade is through' is upgraded=9.0
expect 'as a new process' is newpid=yes
expect 'at the same socket, in which requests wait meanwhile' is socket=kept
expect 'the service of keys, which the site has switched on, too' is newkeyd=enabled
expect 'the step that was under way came to its end' is 'step=long passed'
expect 'the one after it did not begin' refuse grep -q '^step=after passed' "$out"
expect 'the run ended on record' is 'drained=finished aborted'
expect 'the line goes on with its order' is resumed=1
expect 'the configuration of the site stays' is conffile=kept
expect 'an older version that can read the records goes on' is "back=$version"
expect 'one that cannot is refused' is refused=yes
expect 'with a sentence' grep -qF "/newer/provd.db has schema 1000 of a newer provd, and the version to be installed knows up to $schema:" "$out"
expect 'and the line was not touched' is 'stayed=active 9.0 installed'
expect 'remove stops what is switched on' is 'stopped=inactive '
expect 'remove keeps records and configuration' is 'removed=inactive records configuration'
expect 'records of the schema before are migrated' is "migrated=$((schema - 1)) $schema active"
expect 'a purge that asks nobody keeps the records' is 'purged=records no configuration'
expect 'install after a purge' is again=installed
expect 'a purge that was answered with yes removes them, and no backup' is 'yes=no records backups'
expect 'to the end' is end
rm -rf "$tree"
rig_end
