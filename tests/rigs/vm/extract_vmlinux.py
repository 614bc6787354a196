#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
#
# extract_vmlinux.py BZIMAGE VMLINUX: takes the ELF kernel out of a bzImage, so that QEMU boots it by
# PVH without decompressing it each time. The setup header is described in Linux,
# Documentation/arch/x86/boot.rst: setup_sects at 0x1f1, payload_offset at 0x248, payload_length at 0x24c.
import lzma
import sys
import zlib


def payload_of(image):
    setup = (image[0x1f1] or 4) + 1
    start = setup * 512 + int.from_bytes(image[0x248:0x24c], 'little')
    return image[start:start + int.from_bytes(image[0x24c:0x250], 'little')]


def unpack(payload):
    if payload.startswith(b'\xfd7zXZ\0'):
        return lzma.LZMADecompressor().decompress(payload)
    if payload.startswith(b'\x1f\x8b'):
        return zlib.decompressobj(31).decompress(payload)
    sys.exit(f'a kernel packed in a way that is not known: {payload[:4].hex()}')


def main():
    with open(sys.argv[1], 'rb') as f:
        kernel = unpack(payload_of(f.read()))
    if not kernel.startswith(b'\x7fELF'):
        sys.exit('no ELF kernel in that image')
    with open(sys.argv[2], 'wb') as f:
        f.write(kernel)


if __name__ == '__main__':
    main()
