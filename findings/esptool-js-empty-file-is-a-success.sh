#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# esptool-js 0.7.0 (npm), writeFlash with a file of no bytes (a download or a build that failed): it is skipped, the promise is
# fulfilled, and the chip was not spoken to. All that is said is "Leaving...", as after a good write; the warning goes to the debug
# log alone, which is off by default (flashSize 'keep': with a size the chip's parameters are read before).
# Expected: rejected. Controls: with one byte the chip is spoken to; what is no Uint8Array is rejected at once.
# The chip is a transport that counts what is asked of it, and fails.
set -u
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 77
npm install --no-audit --no-fund --ignore-scripts esptool-js@0.7.0 > npm 2>&1 || { cat npm; exit 77; }
cat > empty.mjs << 'JS'
import { ESPLoader } from 'esptool-js';
let good = true;
for (const [name, data, wanted, asked] of [
	['no bytes', new Uint8Array(0), 'fulfilled', false],
	['one byte', new Uint8Array([0xe9]), 'rejected', true],
	['no array', '', 'rejected', false],
]) {
	let calls = 0, said = '', outcome;
	let made = false;
	const transport = new Proxy({}, { get: () => () => { if (made) { calls++; throw new Error('no chip'); } } });
	const terminal = { clean() {}, write(s) { said += s; }, writeLine(s) { said += s; } };
	const loader = new ESPLoader({ transport, baudrate: 115200, terminal });
	loader.chip = { CHIP_NAME: 'ESP32', BOOTLOADER_FLASH_OFFSET: 0x1000 }; // as main() leaves it
	said = '';
	made = true;
	try {
		await loader.writeFlash({ fileArray: [{ data, address: 0x10000 }], flashSize: 'keep', flashMode: 'keep', flashFreq: 'keep',
			eraseAll: false, compress: true });
		outcome = 'fulfilled';
	} catch (e) {
		outcome = 'rejected';
		said = e.message;
	}
	console.log(`${name}: ${outcome}, the chip was asked ${calls} times, said: "${said}"`);
	good &&= outcome === wanted && calls > 0 === asked && (wanted === 'rejected' || said === 'Leaving...');
}
process.exit(good ? 0 : 1);
JS
echo 'esptool-js 0.7.0; expected: rejected for no bytes; seen:'
timeout 60 node empty.mjs && echo 'as recorded: nothing written, fulfilled' || { echo 'CHANGED: not what was recorded'; exit 1; }
