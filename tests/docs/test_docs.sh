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
man_page() {
	[ -z "$(man --warnings -E UTF-8 -l -Tutf8 -Z "$1" 2>&1 > /dev/null)" ]
}
check "docs/actions.md is made from the action table" current
check "the example of docs/recipes.md passes the check" example
for r in "$top"/recipes/*.yaml; do check "$(basename "$r") passes the check" "$provctl" recipe check "$r"; done
check "every link leads somewhere" links
if command -v man > /dev/null; then
	for m in "$top"/docs/man/*; do check "$(basename "$m") is clean" man_page "$m"; done
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
