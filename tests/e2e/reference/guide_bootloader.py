#!/usr/bin/python3
# SPDX-License-Identifier: CC-BY-SA-4.0
"""The SerialBootloader class of the device provisioning and flashing guide, kept as a reference.

This class is the guide's, under the guide's licence (CC-BY-SA), and is not part of the product: it
is the oracle that the simulator and the product's own driver are held against. Two places are
repaired because the guide's code cannot run there:

  1. `readline(timeout=30)` is not a pyserial signature: the port's timeout is 30 s for that line.
  2. the read-back of the whole image had one second: it gets the time that the bytes take.

Everything else (one second for an ACK, substring tests, one read for the whole image) is as it
was. main() around it, the transcript and the exit status are ours.

    guide_bootloader.py PORT FIRMWARE [--baud N] [--transcript FILE]

Exit status 0: verified and started.
"""
import argparse
import struct
import sys
import time

import serial


class SerialBootloader:
    def __init__(self, port, baudrate=115200):
        self.ser = serial.Serial(port, baudrate, timeout=1)
        time.sleep(0.5)

    def enter_bootloader(self):
        """Enter bootloader mode"""
        self.ser.write(b'BOOT\r\n')
        response = self.ser.readline()
        return b'READY' in response

    def erase_flash(self):
        """Erase application flash"""
        self.ser.write(b'ERASE\r\n')
        self.ser.timeout = 30
        response = self.ser.readline()
        self.ser.timeout = 1
        return b'OK' in response

    def flash_firmware(self, firmware_path, address=0x08010000):
        """Flash firmware in chunks"""
        with open(firmware_path, 'rb') as f:
            firmware = f.read()

        chunk_size = 256
        total_chunks = (len(firmware) + chunk_size - 1) // chunk_size

        for i in range(total_chunks):
            chunk = firmware[i * chunk_size:(i + 1) * chunk_size]
            chunk_address = address + i * chunk_size

            # Send write command
            cmd = struct.pack('<BIH', 0x01, chunk_address, len(chunk))
            self.ser.write(cmd + chunk)

            # Wait for acknowledgment
            ack = self.ser.read(1)
            if ack != b'\x06':
                raise Exception(f'Flash failed at chunk {i}')

            # Progress
            percent = (i + 1) / total_chunks * 100
            print(f'\rFlashing: {percent:.1f}%', end='')

        print('\nFlashing complete')

    def verify_firmware(self, firmware_path, address=0x08010000):
        """Verify flashed firmware"""
        with open(firmware_path, 'rb') as f:
            firmware = f.read()

        # Send read command
        cmd = struct.pack('<BII', 0x02, address, len(firmware))
        self.ser.write(cmd)

        # Read back
        self.ser.timeout = 1 + 2 * len(firmware) * 10 / self.ser.baudrate
        readback = self.ser.read(len(firmware))
        self.ser.timeout = 1

        return firmware == readback

    def boot_application(self):
        """Jump to application"""
        self.ser.write(b'BOOT_APP\r\n')
        response = self.ser.readline()
        return b'BOOTING' in response


class Transcript:
    """A serial port whose traffic is written down: one line of hex a call, '>' to the board."""

    def __init__(self, port, out):
        object.__setattr__(self, '_port', port)
        object.__setattr__(self, '_out', out)

    def __getattr__(self, name):
        return getattr(self._port, name)

    def __setattr__(self, name, value):
        setattr(self._port, name, value)

    def _note(self, direction, data):
        self._out.write(f'{direction} {data.hex()}\n')
        return data

    def write(self, data):
        self._note('>', data)
        return self._port.write(data)

    def read(self, size=1):
        return self._note('<', self._port.read(size))

    def readline(self):
        return self._note('<', self._port.readline())


def main():
    ap = argparse.ArgumentParser(description='Flash FIRMWARE with the guide\'s own class')
    ap.add_argument('port')
    ap.add_argument('firmware')
    ap.add_argument('--baud', type=int, default=115200)
    ap.add_argument('--transcript', type=argparse.FileType('w'))
    args = ap.parse_args()

    bl = SerialBootloader(args.port, args.baud)
    if args.transcript:
        bl.ser = Transcript(bl.ser, args.transcript)
    if not bl.enter_bootloader():
        sys.exit('no READY')
    print('Entered bootloader')
    bl.erase_flash()
    bl.flash_firmware(args.firmware)
    if not bl.verify_firmware(args.firmware):
        sys.exit('Verification failed!')
    print('Verification successful')
    if not bl.boot_application():
        sys.exit('no BOOTING')


if __name__ == '__main__':
    main()
