'use strict';
// Tokens that end, at the machine's speed and by a step of the emulator's clock: the unmodified device SDK that renews them stays, and one that
// cannot is cut, over each transport. The hub's log says 401003, then 404104, before the device connects again.

const { Client, Message } = require('azure-iot-device');
const { NoRetry } = require('azure-iot-common');
const { run, holds, same } = require('./lib/check');
const hub = require('./lib/hub');
const { TRANSPORTS } = require('./lib/transport');
const { Emulator, token } = require('./lib/lifetimes');

const LIFE_SECONDS = 6;
const CUT = ['tokenExpired code=401003', 'deviceDisconnected code=404104'];

const emulator = new Emulator();
const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** A client that is connected, of which the hub knows, and that does not try again by itself. */
async function connected(transport, client) {
  client.setRetryPolicy(new NoRetry());
  // What it cannot renew, and that it was cut, it says as an error or as a disconnect, by transport.
  client.on('error', () => {});
  await client.open();
  same((await client.sendEvent(new Message('here'))).constructor.name, 'MessageEnqueued', `sent over ${transport}`);
  return client;
}

/** Connects with a token that ends; `cut` makes it end, or waits. Then with another one. */
async function isCut(transport, device, seconds, cut) {
  const bySignature = () => Client.fromSharedAccessSignature(token(device, seconds), TRANSPORTS[transport]);
  const client = await connected(transport, bySignature());
  const began = Date.now();
  const { deviceId } = device;
  await cut();
  await emulator.lived(deviceId, ['deviceConnected', ...CUT]);
  const lived = (Date.now() - began) / 1000;
  const again = await connected(transport, bySignature());
  await emulator.lived(deviceId, ['deviceConnected', ...CUT, 'deviceConnected']);
  // Over AMQP the SDK takes most of a minute to close a client that was cut.
  client.close().catch(() => {});
  await again.close();
  return lived;
}

/** Connects with a key. After its token has ended, its next message connects it again. */
async function comesBack(transport, device, cut) {
  const client = await connected(transport, Client.fromConnectionString(hub.connectionString(device), TRANSPORTS[transport]));
  const { deviceId } = device;
  const isTold = new Promise((resolve) => ['disconnect', 'error'].forEach((name) => client.once(name, resolve)));
  await cut();
  await emulator.lived(deviceId, ['deviceConnected', ...CUT]);
  await isTold;
  same((await client.sendEvent(new Message('again'))).constructor.name, 'MessageEnqueued', `sent over ${transport} after the token ended`);
  await emulator.lived(deviceId, ['deviceConnected', ...CUT, 'deviceConnected']);
  await client.close();
}

/** Connects with a key, and renews a token of `life` seconds every three seconds, until `stays` is over. */
async function renews(transport, device, life, stays) {
  const client = Client.fromConnectionString(hub.connectionString(device), TRANSPORTS[transport]);
  await client.setOptions({ tokenRenewal: { tokenValidTimeInSeconds: life, tokenRenewalMarginInSeconds: life - 3 } });
  let renewals = 0;
  client._transport._authenticationProvider.on('newTokenAvailable', () => (renewals += 1));
  await connected(transport, client);
  const { deviceId } = device;
  await stays(() => renewals);
  same((await client.sendEvent(new Message('still here'))).constructor.name, 'MessageEnqueued', `sent over ${transport}`);
  const seen = emulator.sessions(deviceId);
  holds(!seen.some((event) => event.startsWith('tokenExpired')), `no token of ${deviceId} expired`);
  // Over MQTT it renews by another connection.
  if (!transport.startsWith('mqtt')) same(seen, ['deviceConnected'], `events of ${deviceId}`);
  await client.close();
}

/** Steps of the emulator's clock that wait until every transport is ready for them. */
class Steps {
  constructor(count, step) {
    Object.assign(this, { count, step, waiting: 0, next: null });
  }

  /** Waits for the others, then for the step. */
  take() {
    this.waiting += 1;
    this.next ??= hub
      .eventually(() => this.waiting === this.count, 'all are ready', 20)
      .then(() => emulator.ctl('clock', 'advance', this.step))
      .then(() => Object.assign(this, { waiting: 0, next: null }));
    return this.next;
  }
}

run(async () => {
  await emulator.start();
  const names = Object.keys(TRANSPORTS).filter((name) => name !== 'http');
  const ids = ['cut', 'renews', 'skips', 'returns', 'steps'].flatMap((what) => names.map((name) => `${what}-${name}`));
  const devices = await hub.createDevices(ids);
  const all = (what, then) => Promise.all(names.map((name) => then(name, devices.get(`${what}-${name}`))));

  // At the machine's speed: half as long again as a token lives.
  const [lives] = await Promise.all([
    all('cut', (name, device) => isCut(name, device, LIFE_SECONDS, () => pause(1))),
    all('renews', (name, device) => renews(name, device, 8, () => pause(12))),
  ]);
  names.forEach((name, index) => {
    const life = lives[index];
    holds(life > LIFE_SECONDS - 2.5 && life < LIFE_SECONDS + 2, `the token over ${name} ended after ${life} s`);
  });

  // An hour goes by at once.
  const before = Date.parse(await emulator.ctl('clock'));
  const hour = new Steps(2 * names.length, '61m');
  await Promise.all([
    all('skips', (name, device) => isCut(name, device, 3600, () => hour.take())),
    all('returns', (name, device) => comesBack(name, device, () => hour.take())),
  ]);
  const minutes = (Date.parse(await emulator.ctl('clock')) - before) / 60_000;
  holds(minutes > 61 && minutes < 62, `the emulator's clock went on by ${minutes} minutes`);

  // Two thirds of a token's life at once, three times, and a renewal before each.
  const steps = new Steps(names.length, '40s');
  const renewed = async (renewals) => {
    for (let i = 0; i < 3; i += 1) {
      const seen = renewals();
      await hub.eventually(() => renewals() > seen, 'a renewal', 20);
      await steps.take();
    }
  };
  await all('steps', (name, device) => renews(name, device, 60, renewed));
  same((await emulator.ctl('clock', 'reset')).slice(0, 13), new Date().toISOString().slice(0, 13), "the machine's hour");
  emulator.check();
  await emulator.end('SIGTERM');
}, 90);
