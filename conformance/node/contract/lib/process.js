'use strict';
// The emulator and bridges as processes of this script: started, killed and started again. None outlives it.

const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { spawn } = require('node:child_process');
const { env, holds } = require('../../lib/check');
const { eventually } = require('./wait');

/** How long a process may take until it is there. */
const READY_SECONDS = 30;

class Process {
  constructor(name, port) {
    this.name = name;
    this.port = port;
    this.log = path.join(env('FOLDER'), `${name}.log`);
    this.child = null;
  }

  /** Starts it; on return it accepts connections. */
  async start(parameters, variables = {}) {
    const log = fs.openSync(this.log, 'a');
    fs.writeSync(log, `${parameters.map((text) => `'${text}'`).join(' ')}\n`);
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', env('DRAWSPAN'), ...parameters], {
      stdio: ['ignore', log, log],
      env: { ...process.env, ...variables },
    });
    fs.closeSync(log);
    this.child = child;
    this.ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
    child.once('exit', (code, signal) => {
      if (this.child === child) console.error(`${this.name} ended unasked: ${code ?? signal}; its log: ${this.log}`);
    });
    await eventually(() => child.exitCode !== null || accepts(this.port), `${this.name} is there`, READY_SECONDS);
    holds(child.exitCode === null, `${this.name} runs`);
  }

  /** Ends it with a signal and waits for that. */
  async end(signal = 'SIGKILL') {
    const { child } = this;
    if (child === null) return null;
    this.child = null;
    child.kill(signal);
    return this.ended;
  }

  /** It must not have ended by itself, and no task of it may have panicked. */
  check() {
    holds(this.child === null || this.child.exitCode === null, `${this.name} is well`);
    holds(!this.text().includes('panicked at'), `${this.name} never panicked`);
  }

  text() {
    return fs.existsSync(this.log) ? fs.readFileSync(this.log, 'utf8') : '';
  }
}

function accepts(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

/** The hub and DPS, with the state that an earlier one left. */
class Emulator extends Process {
  constructor() {
    super('emulator', 5671);
  }

  start() {
    return super.start(env('EMULATOR_ARGUMENTS').split('\n'));
  }
}

module.exports = { Process, Emulator };
