'use strict';
// How the unmodified device SDK names each refusal, over every transport that it has: the class of the error is part of what users write code for; and what
// a device hears that another connection takes. All transports are tried at the same time, each with devices of its own.

const iothub = require('azure-iothub');
const { Client, Message } = require('azure-iot-device');
const { NoRetry, SharedAccessSignature } = require('azure-iot-common');
const { run, env, same, refused } = require('./lib/check');
const { capability } = require('./lib/capability');
const hub = require('./lib/hub');
const { TRANSPORTS } = require('./lib/transport');

/** What the SDK calls each of them, over every transport: of an unknown device it hears only that its token is refused. */
const EXPECTED = {
  'a wrong key': 'UnauthorizedError',
  'an unknown device': 'UnauthorizedError',
  'a disabled device': 'UnauthorizedError',
  'an expired token': 'UnauthorizedError',
  'a message over 256 KB': 'MessageTooLargeError',
};

/** What a transport of this SDK does not have: the SDK says so by itself, and nothing reaches the hub. */
const NOT_IMPLEMENTED = {
  amqp: ['a batch of telemetry'],
  ws: ['a batch of telemetry'],
  mqtt: ['a batch of telemetry'],
  'mqtt-ws': ['a batch of telemetry'],
  http: ['twin', 'methods'],
};

function connectionString(deviceId, key) {
  return `HostName=${env('HUB')};DeviceId=${deviceId};SharedAccessKey=${key}`;
}

/** Opens and sends by a client that never tries again. */
async function attempt(client, message = new Message('hello')) {
  client.setRetryPolicy(new NoRetry());
  client.on('error', (error) => console.log(`  client error: ${error.name}`));
  try {
    await client.open();
    return await client.sendEvent(message);
  } finally {
    await client.close().catch(() => {});
  }
}

async function refusals(transport, [right, disabled]) {
  const Transport = TRANSPORTS[transport];
  const key = (device) => device.authentication.symmetricKey.primaryKey;
  const byKey = (id, key) => Client.fromConnectionString(connectionString(id, key), Transport);
  const resource = `${env('HUB')}/devices/${right.deviceId}`;
  const expired = SharedAccessSignature.create(resource, undefined, key(right), Math.floor(Date.now() / 1000) - 3600).toString();
  const attempts = {
    'a wrong key': () => attempt(byKey(right.deviceId, Buffer.from('not the key of this device at all').toString('base64'))),
    'an unknown device': () => attempt(byKey('nobody-here', key(right))),
    'a disabled device': () => attempt(byKey(disabled.deviceId, key(disabled))),
    'an expired token': () => attempt(Client.fromSharedAccessSignature(expired, Transport)),
    'a message over 256 KB': () => attempt(byKey(right.deviceId, key(right)), new Message(Buffer.alloc(256 * 1024 + 1))),
  };
  for (const [what, make] of Object.entries(attempts)) {
    const error = await refused(make(), `${what} over ${transport}`);
    same(error.constructor.name, EXPECTED[what], `class of ${what} over ${transport}`);
    capability(transport, what, error.constructor.name);
  }
  // None of this keeps the device out.
  same((await attempt(byKey(right.deviceId, key(right)))).constructor.name, 'MessageEnqueued', `the right key over ${transport}`);
}

/** Two connections of one device: the first hears that it has gone, the second sends. */
async function takenOver(service, transport, device) {
  const what = 'a second connection takes over';
  const open = async () => {
    const client = Client.fromConnectionString(hub.connectionString(device), TRANSPORTS[transport]);
    client.setRetryPolicy(new NoRetry());
    client.on('error', () => {});
    await client.open();
    // Over AMQP a device is there once it has a link.
    await client.sendEvent(new Message('here'));
    return client;
  };
  const first = await open();
  const gone = new Promise((resolve) => first.once('disconnect', resolve));
  // The link for messages is there once one has come; the SDK hears at once when it is lost.
  const came = new Promise((resolve) => first.on('message', resolve));
  await service.send(device.deviceId, new Message('to the first'));
  await first.complete(await came);
  const second = await open();
  await gone;
  same((await second.sendEvent(new Message('still here'))).constructor.name, 'MessageEnqueued', `${what} over ${transport}`);
  capability(transport, what);
  await second.close();
}

async function notImplemented(transport, device) {
  const client = Client.fromConnectionString(hub.connectionString(device), TRANSPORTS[transport]);
  client.setRetryPolicy(new NoRetry());
  const attempts = {
    'a batch of telemetry': () => client.sendEventBatch([new Message('a'), new Message('b')]),
    twin: () => client.getTwin(),
    methods: () => new Promise((resolve, reject) => {
      client.on('error', reject);
      client.onDeviceMethod('x', () => resolve('called'));
    }),
  };
  await client.open();
  for (const what of NOT_IMPLEMENTED[transport]) {
    const error = await refused((async () => attempts[what]())(), `${what} over ${transport}`);
    same(error.constructor.name, 'NotImplementedError', `class of ${what} over ${transport}`);
    capability(transport, what, error.constructor.name);
  }
  await client.close();
}

run(async () => {
  const registry = iothub.Registry.fromConnectionString(env('HUB_CONNECTION_STRING'));
  const names = Object.keys(TRANSPORTS);
  const devices = await hub.createDevices(names.flatMap((name) => [`right-${name}`, `disabled-${name}`]));
  for (const name of names) {
    const device = devices.get(`disabled-${name}`);
    await registry.update({ ...device, status: 'disabled' });
  }
  const service = iothub.Client.fromConnectionString(env('HUB_CONNECTION_STRING'));
  await service.open();
  await Promise.all(names.map(async (name) => {
    await refusals(name, [devices.get(`right-${name}`), devices.get(`disabled-${name}`)]);
    await notImplemented(name, devices.get(`right-${name}`));
    if (name !== 'http') await takenOver(service, name, devices.get(`right-${name}`));
  }));
});
