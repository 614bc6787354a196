#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# scripts/check-layers passes on this tree, and says no, at the right line, to each kind of breach.
set -u
source "$(dirname "$0")/rig.sh"
rig_begin checks
tree=$work/tree

# breach NAME FILE LINE TEXT: a tree with that one line wrong is refused, there.
breach()
{
	local name=$1 file=$2 text=$3 out

	rm -rf "$tree"
	mkdir -p "$tree/$(dirname "$file")"
	printf '#include <stdint.h>\n%s\n' "$text" > "$tree/$file"
	out=$("$root/scripts/check-layers" --no-git --root "$tree")
	expect "$name" test $? = 1
	expect "$name: names file and line" grep -q "^$file:2: " <<< "$out"
}

expect 'the tree keeps its layers' "$root/scripts/check-layers"
breach 'base looks up' base/x.c '#include "transports/links/link.h"'
breach 'the recipe language sees the database' daemon/recipe/x.c '#include "db/db.h"'
breach 'the simulator shares a protocol' sim/x.c '#include "transports/protocols/console.h"'
breach 'the database looks into the line' db/x.c '#include "daemon/line/orders.h"'
breach 'the line reaches back into the API' daemon/line/x.c '#include "api/api.h"'
breach 'provctl reaches into the fleet' cli/x.c '#include "daemon/line/fleet.h"'
breach 'a second door to sqlite' daemon/line/x.c '#include <sqlite3.h>'
breach 'a table that knows the engine' db/x.c '#include <sqlite3.h>'
breach 'a second door to libmicrohttpd' api/routes_x.c '#include <microhttpd.h>'
breach 'a second door to libudev' daemon/x.c '#include <libudev.h>'
breach 'a protocol family includes another' transports/protocols/adb/x.c '#include "transports/protocols/dfu/dfu.h"'
breach 'an action uses the protocol of another family' daemon/actions/adb/x.c '#include "transports/protocols/fastboot/fastboot.h"'
breach 'an action includes one of another family' daemon/actions/dfu/x.c '#include "daemon/actions/stm32/stm32.h"'
breach 'a virtual device includes another' sim/adb/x.c '#include "sim/dfu/dfu_memory.h"'
breach 'a new family includes another' transports/protocols/new/x.c '#include "transports/protocols/dfu/dfu.h"'
breach 'a new action includes another family' daemon/actions/new/x.c '#include "daemon/actions/dfu/dfu.h"'
breach 'a link knows a protocol' transports/links/x.c '#include "transports/protocols/console.h"'
breach 'an image knows a link' transports/images/x.c '#include "transports/links/link.h"'
breach 'what protocols share knows one of them' transports/protocols/x.c '#include "transports/protocols/adb/adb_conn.h"'
breach 'an include that is not from the root' daemon/line/x.c '#include "config.h"'
breach 'a library that knows where it is installed' db/x.c '#include "provd_config.h"'

rm -rf "$tree"
mkdir -p "$tree/cli" "$tree/stray"
printf '#include "daemon/line/config.h"\n#include "base/err.h"\n' > "$tree/cli/x.c"
expect 'provctl may read the configuration' "$root/scripts/check-layers" --no-git --root "$tree"
echo > "$tree/stray/x.c"
expect 'a folder that is no room is refused' refuse "$root/scripts/check-layers" --no-git --root "$tree"

# file NAME INCLUDE...: a file of the tree with those lines.
file()
{
	local name=$1

	shift
	mkdir -p "$tree/$(dirname "$name")"
	printf '#include "%s"\n' "$@" > "$tree/$name"
}
rm -rf "$tree"
file db/a.h db/b.h
file db/b.c db/b.h db/c.h
file db/b.h base/err.h
file db/c.h db/a.h
expect 'three files in a circle are refused' refuse "$root/scripts/check-layers" --no-git --root "$tree"
out=$("$root/scripts/check-layers" --no-git --root "$tree")
expect 'each link of the circle is named' test "$(grep -c 'a circle of db/a, db/b, db/c' <<< "$out")" = 3
rm -rf "$tree"
file daemon/line/a_impl.h daemon/line/a.h
file daemon/line/a.h base/err.h
file daemon/line/a.c daemon/line/a.h daemon/line/a_impl.h
file daemon/line/b.c daemon/line/b.h daemon/line/a_impl.h
file daemon/line/a_impl.h daemon/line/b.h daemon/line/a.h
expect 'the files of one object may' "$root/scripts/check-layers" --no-git --root "$tree"

# A parameter of a statement that is of no type that a database has does not compile.
bound() { # VALUE
	printf '#include "db/bind.h"\nint f(const struct bind *);\nint g(int64_t n, const char *s, void *p, struct bind *b)\n{\n\treturn f(BINDS(n, s, %s));\n}\n' "$1" |
		gcc -std=gnu11 -Werror -fsyntax-only -I"$root" -x c -
}
expect 'a text is bound' bound s
expect 'a pointer to something is not' refuse bound p
expect 'nor is a structure by its address' refuse bound b

# A repository with one file of each vice.
rm -rf "$tree"
mkdir -p "$tree"
cp "$root/.clang-format" "$tree"
git -C "$tree" init -q
printf 'int  x ;\n' > "$tree/a.c"
printf '/* SPDX-License-Identifier: Apache-2.0 */\n/* %s: mend */\n' 'TO''DO' > "$tree/b.c"
printf '/* SPDX-License-Identifier: Apache-2.0 */\n/* see %s */\n' '/ho''me/me/notes' > "$tree/c.c"
printf '/* SPDX-License-Identifier: Apache-2.0 */\n#include "base/thread.h"\nstatic int f_locked(void)\n{\n\treturn 0;\n}\n' > "$tree/d.c"
printf '/* SPDX-License-Identifier: Apache-2.0 */\n#include "base/thread.h"\nint f_locked(void) REQUIRES(m)\n{\n\treturn 0;\n}\n' > "$tree/e.c"
printf '/* SPDX-License-Identifier: Apache-2.0 */\nint f(struct err *e)\n{\n\treturn err_set(e, 1,\n\t\t"a "\n\t\t"b");\n}\n' > "$tree/g.c"
cp "$tree/e.c" "$tree/h.c.orig"
git -C "$tree" add -A
out=$("$root/scripts/check-style" --root "$tree")
expect 'a bad style is refused' test $? = 1
expect 'layout' grep -q '^a.c:1:.*clang-format' <<< "$out"
expect 'licence' grep -q '^a.c:1: no SPDX' <<< "$out"
expect 'note to oneself' grep -q '^b.c:2: ' <<< "$out"
expect 'a lock that is not named' grep -q '^d.c:3: .*REQUIRES' <<< "$out"
expect 'a lock that is named' refuse grep -q '^e.c' <<< "$out"
expect 'a broken message' grep -q '^g.c:6: ' <<< "$out"
expect 'a leftover' grep -q '^h.c.orig:1: left over' <<< "$out"
expect 'machine path' grep -q '^c.c:2: ' <<< "$out"
rig_end
