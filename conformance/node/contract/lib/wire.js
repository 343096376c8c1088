'use strict';
// The wire between one bridge and the hub, which can be cut while everybody else's stays.

const net = require('node:net');
const { env } = require('../../lib/check');

class Wire {
  constructor() {
    this.sockets = new Set();
    this.isCut = false;
    this.server = net.createServer((near) => this.#join(near));
  }

  async listen() {
    await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    /** What makes a bridge use it. */
    this.flags = ['--connect', `${env('HUB')}=127.0.0.1:${this.server.address().port}`];
    return this;
  }

  /** Breaks all connections and lets none through. */
  cut() {
    this.isCut = true;
    for (const socket of this.sockets) socket.destroy();
  }

  mend() {
    this.isCut = false;
  }

  #join(near) {
    if (this.isCut) {
      near.destroy();
      return;
    }
    const far = net.connect(5671, '127.0.0.1');
    for (const [from, to] of [[near, far], [far, near]]) {
      this.sockets.add(from);
      from.on('error', () => {});
      from.on('close', () => {
        this.sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  }
}

module.exports = { Wire };
