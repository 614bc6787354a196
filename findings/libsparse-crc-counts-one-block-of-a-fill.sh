#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# android-libsparse 29.0.6 (Debian 12), sparse_file_write(.., sparse, crc): "the crc of the expanded data will be calculated"
# (sparse.h). It is, for data alone. Of a FILL chunk only one block is counted, of skipped blocks nothing at all, so that a
# reader that checks the CRC32 chunk finds a good image damaged. libsparse does so itself, asked for it (sparse_file_import, crc).
# Expected: CRC-32 of the image as simg2img writes it. Control: data without fill or gap, and a fill of one block, are right.
set -u
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/deb/partial" && cd "$tmp" || exit 77
want=(android-libsparse=1:29.0.6-28 android-libsparse-dev=1:29.0.6-28)
if ! { (cd deb && apt-get download -qq "${want[@]}") && apt-get -qq -y --no-install-recommends --allow-downgrades \
	--download-only -o Debug::NoLocking=1 -o Dir::Cache::archives="$tmp/deb" install "${want[@]}"; } > apt 2>&1; then
	cat apt
	exit 77
fi
for d in deb/*.deb; do dpkg -x "$d" x; done
export PATH=$tmp/x/usr/bin:$tmp/x/usr/sbin:$PATH LD_LIBRARY_PATH=$tmp/x/usr/lib/x86_64-linux-gnu:$tmp/x/usr/lib
good=true
export LD_LIBRARY_PATH=$tmp/x/usr/lib/x86_64-linux-gnu/android:/usr/lib/x86_64-linux-gnu/android:$LD_LIBRARY_PATH
grep -q 'crc of the expanded data' x/usr/include/android/sparse/sparse.h || good=false
cat > crc.py << 'PY'
import ctypes, os, struct, sys, zlib
lib = ctypes.CDLL('libsparse.so.0')
for name in ('sparse_file_new', 'sparse_file_import'):
    getattr(lib, name).restype = ctypes.c_void_p
B, DATA, WORD, good = 4096, bytes(range(256)) * 16, 0x11223344, True
def seen(name, parts, right):
    # parts: D a block of data, F a block of the word (neighbours make one fill), - a block that is skipped
    global good
    s = ctypes.c_void_p(lib.sparse_file_new(B, ctypes.c_int64(B * len(parts))))
    at, image, counted = 0, b'', b''
    while at < len(parts):
        n = len(parts[at:]) - len(parts[at:].lstrip(parts[at]))
        if parts[at] == 'D':
            n = 1
            lib.sparse_file_add_data(s, DATA, B, at)
        elif parts[at] == 'F':
            lib.sparse_file_add_fill(s, ctypes.c_uint32(WORD), ctypes.c_uint64(n * B), at)
        one = {'D': DATA, 'F': struct.pack('<I', WORD) * (B // 4), '-': bytes(B)}[parts[at]]
        image, counted, at = image + one * n, counted + (b'' if parts[at] == '-' else one), at + n
    fd = os.open(name, os.O_CREAT | os.O_RDWR)
    assert lib.sparse_file_write(s, fd, False, True, True) == 0
    raw = open(name, 'rb').read()
    kind, _, blocks, size = struct.unpack('<HHII', raw[-16:-4])
    assert (kind, blocks, size) == (0xCAC4, 0, 16), 'no CRC32 chunk at the end'
    crc, want = struct.unpack('<I', raw[-4:])[0], zlib.crc32(image)
    os.lseek(fd, 0, os.SEEK_SET)
    itself = bool(lib.sparse_file_import(fd, False, True))
    print('%-10s CRC in file %08x, of the image %08x, of one block a chunk %08x; libsparse reads it: %s' %
          (parts, crc, want, zlib.crc32(counted), 'yes' if itself else 'no'))
    good &= (crc == want) == right and crc == zlib.crc32(counted) and itself == right
seen('data', 'DDD', True)
seen('fill1', 'DFD', True)
seen('fill3', 'DFFFD', False)
seen('gap', 'D--D', False)
sys.exit(0 if good else 1)
PY
echo 'android-libsparse 29.0.6; expected: the first two numbers of a line alike; seen:'
python3 crc.py 2> err || { good=false; cat err; }
grep -v '^$' err | head -3
$good && echo 'as recorded: a wrong CRC with a fill or a gap' || { echo 'CHANGED: not what was recorded'; exit 1; }
