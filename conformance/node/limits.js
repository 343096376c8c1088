'use strict';
// What the unmodified SDKs make of a hub's rates and its daily quota, over every transport: what waits is taken later, what is refused has a class, which is
// what users write code for. The control API of the emulator sets the limits; they are the hub's, so the transports are tried one after the other.

const https = require('node:https');
const iothub = require('azure-iothub');
const { Client, Message } = require('azure-iot-device');
const { NoRetry } = require('azure-iot-common');
const { run, env, same, holds, refused } = require('./lib/check');
const { capability } = require('./lib/capability');
const hub = require('./lib/hub');
const { TRANSPORTS } = require('./lib/transport');

/**
 * What the SDK calls each refusal. Over MQTT a hub can only close the connection; when it closes one that is not accepted yet, the SDK takes its device for
 * one that may not connect, which it does not try again.
 */
const AMQP = {
  'telemetry above the rate': 'ThrottlingError',
  'telemetry beyond the quota': 'IotHubQuotaExceededError',
  'a twin above the rate': 'Error',
  'a twin beyond the quota': 'Error',
  'a connection above the rate': 'ServiceUnavailableError',
};
const MQTT = {
  'telemetry above the rate': 'NotConnectedError',
  'telemetry beyond the quota': 'NotConnectedError',
  'a twin above the rate': 'Error',
  'a twin beyond the quota': 'Error',
  'a connection above the rate': 'UnauthorizedError',
};
const HTTP = { 'telemetry above the rate': 'Error', 'telemetry beyond the quota': 'IotHubQuotaExceededError' };
const EXPECTED = { amqp: AMQP, ws: AMQP, mqtt: MQTT, 'mqtt-ws': MQTT, http: HTTP };

/** Asks the control API. */
function control(method, words) {
  return new Promise((resolve, reject) => {
    const request = https.request({ host: env('HUB'), method, path: '/emulator/limits', headers: { 'content-type': 'application/json' } }, (answer) => {
      let text = '';
      answer.on('data', (part) => { text += part; });
      answer.on('end', () => (answer.statusCode === 200 ? resolve(JSON.parse(text)) : reject(new Error(`${answer.statusCode}: ${text}`))));
    });
    request.on('error', reject);
    request.end(words && JSON.stringify({ words }));
  });
}

/** Nothing is limited but this. Beginning with off, so that no earlier operation counts. */
async function limits(...words) {
  await control('PUT', ['off']);
  await control('PUT', ['off', ...words]);
}

/** One operation of the class passes, and the next is refused. */
const once = (name) => [`${name}=1/min`, `burst.${name}=0`, `queue.${name}=0`];

async function open(device, transport) {
  const client = Client.fromConnectionString(hub.connectionString(device), TRANSPORTS[transport]);
  client.setRetryPolicy(new NoRetry());
  client.on('error', (error) => console.log(`  client error: ${error.name}`));
  await client.open();
  return client;
}

const hello = () => new Message('hello');

/** Has the second of two equal operations refused, and reports the class. */
async function second(what, transport, device, words, operation) {
  await limits();
  const client = await open(device, transport);
  try {
    // The links are there then, which are none of the matter.
    await operation(client);
    await limits(...words);
    await operation(client);
    const error = await refused(operation(client), `${what} over ${transport}`);
    check(what, transport, error);
  } finally {
    await limits();
    await client.close().catch(() => {});
  }
}

function check(what, transport, error) {
  same(error.constructor.name, EXPECTED[transport][what], `class of ${what} over ${transport}`);
  capability(transport, what, error.constructor.name);
}

/** Messages above the rate wait, and are all taken. */
async function delayed(transport, device) {
  await limits();
  const client = await open(device, transport);
  await client.sendEvent(hello());
  await limits('d2c=4/s', 'burst.d2c=0');
  const sent = Promise.all([1, 2, 3, 4].map(() => client.sendEvent(hello())));
  await hub.eventually(async () => (await control('GET')).hubs[0].classes[0].waiting > 0, `messages wait over ${transport}`);
  same((await sent).map((it) => it.constructor.name), Array(4).fill('MessageEnqueued'), `delayed messages over ${transport}`);
  await limits();
  await client.close();
}

async function connections(transport, device) {
  const what = 'a connection above the rate';
  await limits(...once('connects'));
  const first = await open(device, transport);
  // Over AMQP a device is there once it has a link.
  await first.sendEvent(hello());
  await first.close();
  const attempt = async () => {
    const client = await open(device, transport);
    try {
      return await client.sendEvent(hello());
    } finally {
      await client.close().catch(() => {});
    }
  };
  check(what, transport, await refused(attempt(), `${what} over ${transport}`));
  if (transport.startsWith('mqtt')) {
    await control('PUT', ['connack=3']);
    const error = await refused(attempt(), `${what} over ${transport}, CONNACK 3`);
    same(error.constructor.name, 'ServiceUnavailableError', 'class of CONNACK 3');
    await control('PUT', ['connack=close']);
  }
  await limits();
}

/** What services hear, of the rate and of the quota. Over HTTPS each 403 is one class to the SDK. */
async function service(device) {
  const registry = iothub.Registry.fromConnectionString(env('HUB_CONNECTION_STRING'));
  const client = iothub.Client.fromConnectionString(env('HUB_CONNECTION_STRING'));
  // Else it calls a method again until it may.
  client.setRetryPolicy(new NoRetry());
  await client.open();
  // The device has no connection, which counts all the same.
  const notThere = (error) => {
    if (error.message !== 'Not found') throw error;
  };
  const call = () => client.invokeDeviceMethod(device.deviceId, { methodName: 'x', responseTimeoutInSeconds: 5 });
  const operations = [
    ['registry', () => registry.get(device.deviceId), null],
    ['twin-reads', () => registry.getTwin(device.deviceId), 'TooManyDevicesError'],
    ['queries', () => registry.createQuery('SELECT * FROM devices').nextAsTwin(), 'TooManyDevicesError'],
    ['methods', () => call().catch(notThere), 'TooManyDevicesError'],
    ['c2d-sends', () => client.send(device.deviceId, hello()), 'IotHubQuotaExceededError'],
  ];
  for (const [name, operation, beyondQuota] of operations) {
    await limits();
    await operation();
    await limits(...once(name));
    await operation();
    const error = await refused(operation(), `${name} above the rate`);
    same(error.constructor.name, 'ThrottlingError', `class of ${name} above the rate`);
    if (beyondQuota === null) continue;
    await limits('quota=0');
    const beyond = await refused(operation(), `${name} beyond the quota`);
    same(beyond.constructor.name, beyondQuota, `class of ${name} beyond the quota`);
  }
  await limits();
  await client.close();
}

run(async () => {
  const names = Object.keys(TRANSPORTS);
  const devices = await hub.createDevices(names.map((name) => `limited-${name}`));
  for (const name of names) {
    const device = devices.get(`limited-${name}`);
    await delayed(name, device);
    const send = (client) => client.sendEvent(hello());
    await second('telemetry above the rate', name, device, once('d2c'), send);
    await second('telemetry beyond the quota', name, device, ['quota=1'], send);
    if (name === 'http') continue;
    await second('a twin above the rate', name, device, once('twin-reads'), (client) => client.getTwin());
    await second('a twin beyond the quota', name, device, ['quota=1'], (client) => client.getTwin());
    await connections(name, device);
  }
  await service(devices.get('limited-amqp'));
  same((await control('GET')).hubs[0].limits, 'off', 'limits in the end');
  holds(true, 'nothing is limited any more');
}, 120);
