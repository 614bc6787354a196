# SPDX-License-Identifier: Apache-2.0
"""Files of FPGA configurations, by their specifications and not by provd: Xilinx .bit (UG470), Lattice .bit (FPGA-TN-02039), SVF
(revision E), JEDEC (JESD3-C), and Intel HEX as it is named .mcs. Small: few frames, so that a chain of a test takes them in
a moment; real ones come out of openFPGALoader's package."""
import glob
import gzip
import os
import random
import struct

XC7A35T = 0x0362d093
XC7S50 = 0x0362f093
LFE5U_25 = 0x41111043
LFE5U_45 = 0x41112043
LCMXO2_1200 = 0x012ba043
FRAME_BYTES = {LFE5U_25: 74, LFE5U_45: 106}
SYNC = b'\xaa\x99\x55\x66'


def _crc7(crc, register, data):
    value = register << 32 | data
    for _ in range(37):
        crc = crc >> 1 ^ (0x82f63b78 if (crc ^ value) & 1 else 0)
        value >>= 1
    return crc


def xc7_raw(idcode=XC7A35T, words=2000, seed=1):
    """The packets, as a .bin file has them."""
    out = [0xffffffff] * 8 + [0x000000bb, 0x11220044] + [0xffffffff] * 2 + [struct.unpack('>I', SYNC)[0], 0x20000000]
    crc = 0

    def write(register, *values):
        nonlocal crc
        if len(values) == 1:
            out.append(0x30000001 | register << 13)
        else:
            out.extend([0x30000000 | register << 13, 0x50000000 | len(values)])
        for v in values:
            out.append(v)
            if register == 0:
                crc = 0
            else:
                crc = _crc7(crc, register, v)
        if register == 4 and values == (7,):
            crc = 0
    rng = random.Random(seed)
    write(4, 7)                 # RCRC
    write(12, idcode)
    write(4, 1)                 # WCFG
    write(1, 0)                 # FAR
    frames = [rng.getrandbits(32) & 0x7fffffff for _ in range(words)]
    write(2, *frames)
    write(0, crc)
    write(4, 3)                 # LFRM
    write(4, 5)                 # START
    write(0, crc)
    write(4, 13)                # DESYNC
    out += [0x20000000] * 16
    return struct.pack('>%dI' % len(out), *out), struct.pack('>%dI' % words, *frames)


def xilinx_bit(idcode=XC7A35T, part='7a35tcpg236', raw=None, **kw):
    """(the file, the frames)"""
    data, frames = xc7_raw(idcode, **kw) if raw is None else (raw, b'')

    def text(key, value):
        value = value.encode() + b'\0'
        return key + struct.pack('>H', len(value)) + value
    return (bytes.fromhex('00090ff00ff00ff00ff0000001') + text(b'a', 'top;UserID=0XFFFFFFFF;Version=2023.1') + text(b'b', part) +
            text(b'c', '2026/11/30') + text(b'd', '12:34:56') + b'e' + struct.pack('>I', len(data)) + data), frames


def _crc16(data, crc=0):
    for byte in data:
        for i in range(7, -1, -1):
            top = crc >> 15
            crc = (crc << 1 | byte >> i & 1) & 0xffff
            if top:
                crc ^= 0x8005
    return crc


def lattice_bit(idcode=LFE5U_25, part='LFE5U-25F-6CABGA381', frames=40, seed=2, header=True):
    """(the file, its frames)"""
    rng = random.Random(seed)
    out = bytearray()
    if header:
        out += b'\xff\x00' + b'\0'.join(('Part: ' + part, 'Date: Mon Nov 30 12:34:56 2026', 'Rows: 1')[i].encode()
                                        for i in range(3)) + b'\0\xff'
    out += b'\xff\xff\xbd\xb3' + b'\xff' * 4 + b'\x3b\0\0\0' + b'\xe2\0\0\0' + struct.pack('>I', idcode)
    out += b'\x22\0\0\0\x40\0\0\0' + b'\x46\0\0\0' + b'\x82\x91' + struct.pack('>H', frames)
    since = bytes(out[out.rindex(b'\x3b\0\0\0\xe2') + 4:])
    body = bytearray()
    for _ in range(frames):
        frame = rng.randbytes(FRAME_BYTES[idcode])
        body += frame
        out += frame + struct.pack('>H', _crc16(since + frame + b'\0\0')) + b'\xff'
        since = b''
    user = b'\xc2\x80\0\0' + bytes(4)
    out += user + struct.pack('>H', _crc16(user + b'\0\0')) + b'\x5e\0\0\0' + b'\xff' * 4
    return bytes(out), bytes(body)


def _reversed_hex(data):
    """Bits of SVF are a number: the first bit that goes out is the lowest one."""
    value = 0
    for i, byte in enumerate(data):
        value |= int('{:08b}'.format(byte)[::-1], 2) << 8 * i
    return '%0*X' % (len(data) * 2, value)


def svf(idcode=LFE5U_25, bit=None, status=0x100, check=True, **kw):
    """What ecppack --svf writes, in its steps; `status` is what the last comparison wants under the mask 0x2100."""
    data = lattice_bit(idcode, **kw)[0] if bit is None else bit
    lines = ['! made by a test', 'HDR 0;', 'HIR 0;', 'TDR 0;', 'TIR 0;', 'ENDDR DRPAUSE;', 'ENDIR IRPAUSE;', 'STATE IDLE;']
    if check:
        lines += ['SIR 8 TDI (E0);', 'SDR 32 TDI (00000000) TDO (%08X)\n\tMASK (FFFFFFFF);' % idcode]
    lines += ['SIR 8 TDI (1C);', 'SDR 510 TDI (%s);' % ('3' + 'F' * 127), 'SIR 8 TDI (C6);', 'SDR 8 TDI (00);',
              'RUNTEST IDLE 2 TCK 1.00E-03 SEC;', 'SIR 8 TDI (0E);', 'SDR 8 TDI (01);', 'RUNTEST IDLE 2 TCK 1.00E-03 SEC;',
              'SIR 8 TDI (46);', 'SIR 8 TDI (7A);', 'RUNTEST IDLE 2 TCK 1.00E-03 SEC;',
              'SDR %d TDI (%s);' % (len(data) * 8, _reversed_hex(data)), 'SIR 8 TDI (FF);', 'RUNTEST IDLE 100 TCK 1.00E-03 SEC;',
              'SIR 8 TDI (26);', 'RUNTEST IDLE 2 TCK 1.00E-03 SEC;', 'SIR 8 TDI (3C);',
              'SDR 32 TDI (00000000) TDO (%08X) MASK (00002100);' % status, 'SIR 8 TDI (FF);', '']
    return '\n'.join(lines)


def jed(rows=20, device='LCMXO2-1200HC-4TQFP100', seed=3, fuses=None):
    """As Diamond writes it, (the file, its rows)."""
    rng = random.Random(seed)
    data = [rng.randbytes(16) for _ in range(rows)]
    bits = [''.join('{:08b}'.format(b)[::-1] for b in row) for row in data]
    text = ''.join(bits)
    total = 0
    for i in range(0, len(text), 8):
        total += int(text[i:i + 8][::-1], 2)
    body = ('\x02*\nNOTE Diamond (64-bit) 3.12 JEDEC Compatible Fuse File.*\nNOTE DEVICE NAME:\t%s*\nNOTE DATE CREATED: Mon Nov 30 12:34:56 2026*\n'
            'QP100*\nQF%d*\nG0*\nF0*\nL000000\n%s\n*\nC%04X*\n'
            'NOTE FEATURE_ROW*\nE%s\n%s*\nUH00000000*\n\x03' % (device, fuses or len(text), '\n'.join(bits), total & 0xffff, '0' * 64,
                                                      '0' * 16))
    return body + '%04X\n' % (sum(body.encode()) & 0xffff), b''.join(data)


def mcs(data, base=0):
    def record(address, kind, body):
        raw = bytes([len(body), address >> 8 & 255, address & 255, kind]) + body
        return ':' + (raw + bytes([-sum(raw) & 255])).hex().upper()
    lines = []
    for i in range(0, len(data), 16):
        if i == 0 or (base + i) % 65536 == 0:
            lines.append(record(0, 4, (base + i >> 16).to_bytes(2, 'big')))
        lines.append(record(base + i & 0xffff, 0, data[i:i + 16]))
    return '\n'.join(lines + [record(0, 1, b'')]) + '\n'


def real(pattern):
    """A bitstream of a vendor's tool out of openFPGALoader's package; None where it is not installed."""
    for path in sorted(glob.glob(os.path.join('/usr/share/openFPGALoader', pattern))):
        with gzip.open(path) as f:
            return f.read()
    return None
