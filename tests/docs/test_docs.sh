#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What the pages say is true: the reference is made from the table, the examples pass the check, the links lead somewhere,
# the man pages are clean. test_docs.sh PROVCTL SOURCE
provctl=$1 top=$2 failed=0 passed=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
check() {
	local name=$1
	shift
	if "$@" > "$tmp/out" 2>&1; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAIL $name"
		head -20 "$tmp/out"
	fi
}
current() {
	"$provctl" actions --markdown | diff - "$top/docs/actions.md"
}
example() {
	sed -n '/^```yaml$/,/^```$/p' "$top/docs/recipes.md" | sed '/^```/d' > "$tmp/example.yaml"
	"$provctl" recipe check "$tmp/example.yaml"
}
links() {
	local f link
	for f in "$top"/docs/*.md "$top"/docs/decisions/*.md "$top"/*.md; do
		grep -oE '\]\([^)#]+\)' "$f" | tr -d '()' | cut -c2- | while read -r link; do
			[ -e "$(dirname "$f")/$link" ] || { echo "$f: $link leads nowhere"; exit 1; }
		done || return 1
	done
}
# Each type of the source is in the page and is heard by the dashboard; the page has no other.
events() {
	/usr/bin/python3 - "$top" <<- 'EOF'
		import glob, re, sys
		top = sys.argv[1]
		source, kind = set(), re.compile(r'"([a-z]+(?:-[a-z]+)+)"')
		for f in glob.glob(top + "/db/*.c") + glob.glob(top + "/daemon/line/*.c") + glob.glob(top + "/api/*.c"):
		    for call in re.findall(r"\b(?:db_event|run_event|event|tell)\(([^;]*?);", open(f).read(), re.S):
		        source.update(kind.findall(call))
		page = set(re.findall(r"^\| ([a-z]+(?:-[a-z]+)+) \|", open(top + "/docs/events.md").read(), re.M))
		heard = set(re.findall(r"'([a-z]+(?:-[a-z]+)+)'", open(top + "/web/src/lib/hub.js").read().split("];")[0]))
		wrong = ["not in docs/events.md: " + t for t in source - page]
		wrong += ["of no source: " + t for t in page - source]
		wrong += ["not heard by web/src/lib/hub.js: " + t for t in source - heard]
		print("\n".join(sorted(wrong)))
		sys.exit(bool(wrong) or len(source) < 40)
	EOF
}
man_page() {
	[ -z "$(man --warnings -E UTF-8 -l -Tutf8 -Z "$1" 2>&1 > /dev/null)" ]
}
check "docs/actions.md is made from the action table" current
check "the example of docs/recipes.md passes the check" example
for r in "$top"/recipes/*.yaml; do check "$(basename "$r") passes the check" "$provctl" recipe check "$r"; done
check "docs/events.md has the events of the source, and the dashboard hears them" events
check "every link leads somewhere" links
if command -v man > /dev/null; then
	for m in "$top"/docs/man/*; do check "$(basename "$m") is clean" man_page "$m"; done
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
