'use strict';
// The device SDK of early 2018 (1.3.2), unmodified: callbacks, amqp10 instead of rhea, an MQTT.js of the time. All its transports run at the same
// time, each with a device of its own; today's service SDK is the other side.

const path = require('node:path');
const iothub = require('azure-iothub');
const { Message: ServiceMessage } = require('azure-iot-device');
const { run, env, same, refused } = require('./lib/check');
const { line } = require('./lib/capability');
const hub = require('./lib/hub');

/** A package of the old generation, with the dependencies that it was made for. */
const old = (name) => require(path.join(env('OLD_CLIENTS'), name));
const { Client, Message } = old('azure-iot-device');
const { NoRetry, SharedAccessSignature } = old('azure-iot-common');
const TRANSPORTS = {
  amqp: old('azure-iot-device-amqp').Amqp,
  'amqp-ws': old('azure-iot-device-amqp').AmqpWs,
  mqtt: old('azure-iot-device-mqtt').Mqtt,
  'mqtt-ws': old('azure-iot-device-mqtt').MqttWs,
  http: old('azure-iot-device-http').Http,
};

const called = (start) => new Promise((resolve, reject) => {
  start((error, result) => (error ? reject(error) : resolve(result)));
});

function expired({ deviceId, authentication }) {
  const key = authentication.symmetricKey.primaryKey;
  return SharedAccessSignature.create(`${env('HUB')}/devices/${deviceId}`, undefined, key, Math.floor(Date.now() / 1000) - 3600).toString();
}

class Device {
  constructor(transport, record, key = record.authentication.symmetricKey.primaryKey, token = undefined) {
    this.column = `node-1.3-${transport}`;
    this.transport = transport;
    this.record = record;
    const text = `HostName=${env('HUB')};DeviceId=${record.deviceId};SharedAccessKey=${key}`;
    const Transport = TRANSPORTS[transport];
    this.client = token ? Client.fromSharedAccessSignature(token, Transport) : Client.fromConnectionString(text, Transport);
    this.client.setRetryPolicy(new NoRetry());
  }

  shows(what, error) {
    console.log(line(this.column, what, error));
  }

  call(method, ...values) {
    return called((done) => this.client[method](...values, done));
  }

  async refuses(what, attempt, name) {
    const error = await refused((async () => attempt())(), `${what} over ${this.column}`);
    same(error.constructor.name, name, `class of ${what} over ${this.column}`);
    this.shows(what, error.constructor.name);
  }
}

async function refusals(transport, record, disabled) {
  // Over MQTT this generation takes every refused CONNECT for a connection that did not come about.
  const unauthorized = transport.startsWith('mqtt') ? 'NotConnectedError' : 'UnauthorizedError';
  const attempt = async (device, message = 'x') => {
    device.client.on('error', () => {});
    await device.call('open');
    try {
      return await device.call('sendEvent', new Message(message));
    } finally {
      await device.call('close').catch(() => {});
    }
  };
  const key = record.authentication.symmetricKey.primaryKey;
  const wrong = new Device(transport, record, Buffer.from('not the key of this device at all').toString('base64'));
  await wrong.refuses('a wrong key', () => attempt(wrong), unauthorized);
  const unknown = new Device(transport, { deviceId: 'nobody-here' }, key);
  await unknown.refuses('an unknown device', () => attempt(unknown), unauthorized);
  const off = new Device(transport, disabled);
  await off.refuses('a disabled device', () => attempt(off), unauthorized);
  const late = new Device(transport, record, undefined, expired(record));
  await late.refuses('an expired token', () => attempt(late), unauthorized);
  const large = new Device(transport, record);
  const body = Buffer.alloc(256 * 1024 + 1);
  if (!transport.startsWith('mqtt')) {
    await large.refuses('a message over 256 KB', () => attempt(large, body), 'MessageTooLargeError');
    return;
  }
  // The hub ends the connection. This generation forgets the callback of a message that it lost so.
  const gone = new Promise((resolve) => large.client.once('disconnect', resolve));
  await large.call('open');
  large.client.sendEvent(new Message(body), () => {});
  await gone;
  large.shows('a message over 256 KB', 'disconnect event');
}

/** Returns what the reader of telemetry must find. */
async function sends(device) {
  const message = new Message('{"größe":1}');
  Object.assign(message, { messageId: 'm-1', correlationId: 'c-1' });
  message.properties.add('level', 'very high');
  same((await device.call('sendEvent', message)).constructor.name, 'MessageEnqueued', `sent over ${device.column}`);
  const ids = { messageId: 'm-1', correlationId: 'c-1' };
  const first = hub.entry(device.record, '{"größe":1}', { ...ids, properties: { level: 'very high' } });
  const batch = () => device.call('sendEventBatch', [new Message('a'), new Message('b')]);
  if (device.transport !== 'http') {
    await device.refuses('a batch of telemetry', batch, 'NotImplementedError');
    return [first];
  }
  await batch();
  return [first, hub.entry(device.record, 'a'), hub.entry(device.record, 'b')];
}

async function receives(device, service) {
  const overMqtt = device.transport.startsWith('mqtt');
  if (device.transport === 'http') await device.call('setOptions', { http: { receivePolicy: { interval: 1 } } });
  const arrived = [];
  device.client.on('message', (message) => arrived.push(message));
  const next = async () => {
    const message = await hub.eventually(() => arrived.shift(), 'a message', 20);
    same(message.getData().toString('utf8'), 'to you', 'body');
    return message;
  };
  const send = () => service.send(device.record.deviceId, new ServiceMessage('to you'));
  for (const [what, method] of [['a message is rejected', 'reject'], ['a message is abandoned', 'abandon'], ['a message is completed', 'complete']]) {
    if (overMqtt && method !== 'complete') {
      await device.refuses(what, () => device.call(method, new Message('x')), 'NotImplementedError');
      continue;
    }
    await send();
    await device.call(method, await next());
    if (method === 'abandon') await device.call('complete', await next());
    device.shows(what);
  }
  device.shows('messages to the device');
}

async function answers(device, service) {
  const { deviceId } = device.record;
  if (device.transport === 'http') {
    const attempt = () => device.client.onDeviceMethod('echo', () => {});
    return device.refuses('methods', attempt, 'NotImplementedError');
  }
  device.client.onDeviceMethod('echo', (request, response) => response.send(207, { got: request.payload }, () => {}));
  const answer = await hub.eventually(async () => {
    const call = { methodName: 'echo', payload: { n: 1 }, responseTimeoutInSeconds: 30 };
    return service.invokeDeviceMethod(deviceId, call).then(({ result }) => result, () => null);
  }, `${deviceId} takes calls`);
  same(answer, { status: 207, payload: { got: { n: 1 } } }, 'answer');
  return device.shows('methods');
}

async function twins(device, registry) {
  if (device.transport === 'http') {
    return device.refuses('twin', () => device.call('getTwin'), 'NotImplementedError');
  }
  const { deviceId } = device.record;
  const twin = await device.call('getTwin');
  same([twin.properties.desired.$version, twin.properties.reported.$version], [1, 1], 'versions');
  device.shows('twin');
  await called((done) => twin.properties.reported.update({ a: { b: 1 } }, done));
  const { responseBody: seen } = await registry.getTwin(deviceId);
  same([seen.properties.reported.a, seen.properties.reported.$version], [{ b: 1 }, 2], 'reported, as the service sees it');
  device.shows('reported properties');
  const dot = () => called((done) => twin.properties.reported.update({ 'a.b': 1 }, done));
  await device.refuses('a twin property with a dot in its name', dot, 'ArgumentError');
  const news = [];
  twin.on('properties.desired', (patch) => news.push(JSON.parse(JSON.stringify(patch))));
  await registry.updateTwin(deviceId, { properties: { desired: { interval: 5 } } }, '*');
  await hub.eventually(() => news.some((patch) => patch.interval === 5), 'news');
  same(news.at(-1), { interval: 5, $version: 2 }, 'news');
  return device.shows('desired properties');
}

run(async () => {
  const startMs = Date.now();
  const names = Object.keys(TRANSPORTS);
  const registry = iothub.Registry.fromConnectionString(env('HUB_CONNECTION_STRING'));
  const service = iothub.Client.fromConnectionString(env('HUB_CONNECTION_STRING'));
  await service.open();
  const records = await hub.createDevices(names.flatMap((name) => [`old-${name}`, `off-${name}`]));
  const entries = await Promise.all(names.map(async (name) => {
    const off = records.get(`off-${name}`);
    await registry.update({ ...off, status: 'disabled' });
    await refusals(name, records.get(`old-${name}`), off);
    const device = new Device(name, records.get(`old-${name}`));
    await device.call('open');
    const sent = await sends(device);
    await receives(device, service);
    await answers(device, service);
    await twins(device, registry);
    await device.call('close');
    return sent;
  }));
  await service.close();
  const read = [...names.map((name) => line(`node-1.3-${name}`, 'telemetry')), line('node-1.3-http', 'a batch of telemetry')];
  hub.writeLedger(startMs, entries.flat(), read);
}, 60);
