'use strict';
// An emulator whose tokens end when they say so, what it logs of connections, and its clock.

const crypto = require('node:crypto');
const path = require('node:path');
const { execFile } = require('node:child_process');
const { promisify } = require('node:util');
const { env, same } = require('./check');
const { eventually } = require('./hub');
const { Process } = require('../contract/lib/process');

/** The names of events that tell the life of a session. */
const SESSION = ['deviceConnected', 'tokenExpired', 'deviceDisconnected'];

class Emulator extends Process {
  constructor() {
    super('emulator', 5671);
  }

  /** Starts it; tokens have no time beyond their expiry. */
  start(more = []) {
    const parameters = [...env('EMULATOR_ARGUMENTS').split('\n'), '--sas-grace-connect', '0', '--sas-grace-live', '0', ...more];
    return super.start(parameters, { DRAWSPAN_LOG: 'info,drawspan_emulator::events=debug', DRAWSPAN_LOG_FORMAT: 'json' });
  }

  /** The life of a device's sessions: the events' names, with the code where there is one. */
  sessions(device) {
    const events = this.text().split('\n').filter((line) => line.includes('drawspan_emulator::events') && line.endsWith('}'));
    return events
      .map((line) => JSON.parse(line).fields)
      .filter((fields) => fields.device === device && SESSION.includes(fields.event))
      .map(({ event, message }) => [event, ...(message.match(/code=\d+/) ?? [])].join(' '));
  }

  /** Waits until a device's sessions have come to this, and no further. */
  async lived(device, expected) {
    await eventually(() => this.sessions(device).length >= expected.length, `the events of ${device}`, 20);
    same(this.sessions(device), expected, `events of ${device}`);
  }

  /** `drawspan emulator ctl WORDS` */
  async ctl(...words) {
    const parameters = ['emulator', 'ctl', '--state', path.join(env('FOLDER'), 'state'), ...words];
    const { stdout } = await promisify(execFile)(env('DRAWSPAN'), parameters);
    return stdout.trim();
  }
}

/** A device's token for so many seconds, which no SDK renews. */
function token(device, seconds) {
  const resource = encodeURIComponent(`${env('HUB')}/devices/${device.deviceId}`);
  const expiry = Math.floor(Date.now() / 1000) + seconds;
  const key = Buffer.from(device.authentication.symmetricKey.primaryKey, 'base64');
  const signature = crypto.createHmac('sha256', key).update(`${resource}\n${expiry}`).digest('base64');
  return `SharedAccessSignature sr=${resource}&sig=${encodeURIComponent(signature)}&se=${expiry}`;
}

module.exports = { Emulator, token };
