// SPDX-License-Identifier: Apache-2.0
// node esptool.mjs MODULES HOST:PORT VERB [JSON]: Espressif's esptool-js 0.7 over TCP, without a stub: the serial port that it
// wants is a socket here. Prints what came of it as JSON. MODULES is where tests/e2e/browser/install.mjs put it.
//
//   info                       the chip, its revision, address and flash
//   flash {images, compress}   images: {offset: file}; then the MD5 of each, as the ROM says it
//   md5 {at, bytes}

import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [modules, where, verb, text] = process.argv.slice(2);
const { ESPLoader, Transport } = await import(
  pathToFileURL(path.join(modules, 'node_modules/esptool-js/lib/index.js')).href
);

class SocketPort {
  constructor(address) {
    [this.host, this.port] = address.split(':');
  }
  getInfo() {
    return {};
  }
  async open() {
    const socket = net.connect(Number(this.port), this.host);
    this.socket = socket;
    socket.setNoDelay(true);
    await new Promise((done, failed) => {
      socket.once('connect', done);
      socket.once('error', failed);
    });
    this.readable = new ReadableStream({
      start(c) {
        socket.on('data', (d) => c.enqueue(new Uint8Array(d)));
        socket.on('error', () => socket.destroy());
      },
    });
    this.writable = new WritableStream({
      write: (bytes) => new Promise((done) => socket.write(bytes, done)),
    });
  }
  async setSignals() {}
  async setBaudRate() {}
  async close() {
    this.socket.destroy();
  }
}

const terminal = { clean() {}, write() {}, writeLine() {} };
const loader = new ESPLoader({ transport: new Transport(new SocketPort(where)), baudrate: 115200, terminal });
const want = text ? JSON.parse(text) : {};

async function connect() {
  loader.runStub = async () => loader.chip;
  await loader.main('no_reset');
  loader.FLASH_WRITE_SIZE = 0x400; // of the ROM: it leaves the stub's
  await loader.flashSpiAttach(0);
}

// What the ROM says is the digest in letters already; flashMd5sum() makes hexadecimal digits of these letters.
async function md5(at, bytes) {
  return Buffer.from(await loader.flashMd5sum(at, bytes), 'hex').toString();
}

const verbs = {
  async info() {
    return {
      chip: loader.chip.CHIP_NAME,
      description: await loader.chip.getChipDescription(loader),
      mac: await loader.chip.readMac(loader),
      flash_id: (await loader.readFlashId()).toString(16),
    };
  },
  async flash() {
    const fileArray = Object.entries(want.images).map(([at, file]) => ({
      address: Number(at),
      data: new Uint8Array(fs.readFileSync(file)),
    }));
    await loader.writeFlash({
      fileArray,
      flashSize: 'keep',
      flashMode: 'keep',
      flashFreq: 'keep',
      eraseAll: false,
      compress: want.compress,
    });
    const sums = {};
    for (const f of fileArray) sums[f.address] = await md5(f.address, (f.data.length + 3) & ~3);
    return sums;
  },
  async md5() {
    return { md5: await md5(want.at, want.bytes) };
  },
};

try {
  await connect();
  console.log(JSON.stringify(await verbs[verb]()));
  process.exit(0);
} catch (e) {
  console.log(JSON.stringify({ error: String(e.message ?? e) }));
  process.exit(1);
}
