#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# esptool-js 0.7.0 (npm), writeFlash with calculateMD5Hash where the stub is not running (secure boot and chips without one): the ROM
# answers SPI_FLASH_MD5 with 32 letters (esptool, "Serial Protocol": "32 hex-coded ASCII (ROM loader)"), and flashMd5sum() makes two
# hexadecimal digits of each letter. So a flash that holds the file is "MD5 of file does not match data in flash!".
# Expected: fulfilled. Control: the 16 raw bytes of the stub, taken as such, are fulfilled.
# The chip is a transport that acknowledges all and answers the digest of what was sent, in the form of either.
set -u
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 77
npm install --no-audit --no-fund --ignore-scripts esptool-js@0.7.0 > npm 2>&1 || { cat npm; exit 77; }
cat > md5.mjs << 'JS'
import { createHash } from 'node:crypto';
import { ESPLoader } from 'esptool-js';
let good = true;
const data = new Uint8Array(64).fill(0x55);
const digest = createHash('md5').update(data).digest();
for (const [name, stub, answer, wanted] of [
	['ROM', false, Buffer.from(digest.toString('hex')), 'rejected'],
	['stub', true, digest, 'fulfilled'],
]) {
	let last = 0, outcome = 'fulfilled';
	const transport = {
		getInfo: () => '', trace() {}, flushInput() {},
		async write(p) { last = p[1]; },
		async read() {
			const body = last === 0x13 ? [...answer, 0, 0, 0, 0] : [0, 0, 0, 0];
			return new Uint8Array([1, last, body.length, 0, 0, 0, 0, 0, ...body]);
		},
	};
	const terminal = { clean() {}, write() {}, writeLine() {} };
	const loader = new ESPLoader({ transport, baudrate: 115200, terminal });
	loader.chip = { CHIP_NAME: 'ESP32-C3', BOOTLOADER_FLASH_OFFSET: 0, getEraseSize: (offset, size) => size };
	loader.IS_STUB = stub;
	try {
		await loader.writeFlash({ fileArray: [{ data, address: 0x10000 }], flashSize: 'keep', flashMode: 'keep', flashFreq: 'keep',
			eraseAll: false, compress: false, calculateMD5Hash: (image) => createHash('md5').update(image).digest('hex') });
	} catch (e) {
		outcome = 'rejected';
		console.log(`  ${e.message}`);
	}
	console.log(`${name}: ${outcome}`);
	good &&= outcome === wanted;
}
process.exit(good ? 0 : 1);
JS
echo 'esptool-js 0.7.0; expected: fulfilled for both; seen:'
timeout 60 node md5.mjs && echo 'as recorded: a right flash is rejected without the stub' || { echo 'CHANGED: not what was recorded'; exit 1; }
