'use strict';
// Messages to devices by the unmodified SDKs: azure-iothub sends and takes feedback, azure-iot-device receives and settles.

const iothub = require('azure-iothub');
const { Client, Message } = require('azure-iot-device');
const { NoRetry } = require('azure-iot-common');
// azure-iothub has error classes of its own.
const errors = require('azure-iothub/dist/common-core/errors');
const { run, env, same, holds, refused } = require('./lib/check');
const { capability } = require('./lib/capability');
const hub = require('./lib/hub');
const { Transport, name: transport } = require('./lib/transport');

/** A device that takes messages one after the other. */
class Device {
  constructor(client) {
    this.client = client;
    this.arrived = [];
    this.waiting = [];
    client.on('error', (error) => console.error('  device error:', error.message));
    client.on('message', (message) => {
      const next = this.waiting.shift();
      if (next) next(message);
      else this.arrived.push(message);
    });
  }

  static async open(record) {
    const client = Client.fromConnectionString(hub.connectionString(record), Transport);
    client.setRetryPolicy(new NoRetry());
    await client.open();
    return new Device(client);
  }

  next() {
    const message = this.arrived.shift();
    return message ? Promise.resolve(message) : new Promise((resolve) => this.waiting.push(resolve));
  }
}

/** Everything that senders are told, by message id. */
class Feedback {
  constructor(receiver) {
    this.records = new Map();
    this.waiting = [];
    receiver.on('error', (error) => console.error('  feedback error:', error.message));
    receiver.on('message', async (message) => {
      same(message.contentType, 'application/vnd.microsoft.iothub.feedback.json', 'content type of feedback');
      for (const record of JSON.parse(message.getData().toString('utf8'))) {
        holds(!this.records.has(record.originalMessageId), `feedback on ${record.originalMessageId}: ${record.statusCode}, for the first time`);
        this.records.set(record.originalMessageId, record);
      }
      await receiver.complete(message);
      this.waiting.splice(0).forEach((look) => look());
    });
  }

  /** The records of all these ids, once there are that many. */
  async all(count) {
    while (this.records.size < count) await new Promise((resolve) => this.waiting.push(resolve));
    return this.records;
  }
}

function message(id, ack, more = {}) {
  const out = new Message(`body of ${id}`);
  Object.assign(out, { messageId: id, ack }, more);
  return out;
}

function text(received) {
  return Buffer.from(received.getData()).toString('utf8');
}

function count(received) {
  return received.transportObj.message_annotations['iothub-deliverycount'];
}

async function everything(service, records, startMs) {
  // A number: the SDK cannot send a Date.
  const expiry = Date.now() + 600_000;
  const sent = message('3f2504e0-4f89-41d3-9a0c-0305e82c3301', 'full', {
    correlationId: '00000000-0000-4000-8000-000000000001',
    contentType: 'application/json',
    contentEncoding: 'utf-8',
    expiryTimeUtc: expiry,
  });
  sent.data = Buffer.from(JSON.stringify({ größe: '✓' }));
  sent.properties.add('plain', 'value');
  sent.properties.add('with space & ümlaut', 'a=b;c d');
  await service.send('c2d-1', sent);
  const device = await Device.open(records.get('c2d-1'));
  const received = await device.next();
  same(text(received), '{"größe":"✓"}', 'body');
  same(received.messageId, sent.messageId, 'message id, sent as a uuid');
  same(received.correlationId, sent.correlationId, 'correlation id, sent as a uuid');
  same(received.contentType, 'application/json', 'content type');
  same(received.contentEncoding, 'utf-8', 'content encoding');
  same(received.to, '/devices/c2d-1/messages/deviceBound', 'to');
  same(received.ack, 'full', 'ack');
  same(new Date(received.expiryTimeUtc).getTime(), expiry, 'expiry');
  const properties = received.properties.propertyList.map(({ key, value }) => [key, value]);
  same(properties.sort(), [['plain', 'value'], ['with space & ümlaut', 'a=b;c d']], 'properties');
  const annotations = received.transportObj.message_annotations;
  const names = ['iothub-deliverycount', 'iothub-enqueuedtime', 'x-opt-lock-token', 'x-opt-sequence-number'];
  same(Object.keys(annotations).sort(), names, 'annotations');
  same(annotations['iothub-deliverycount'], 0, 'delivery count');
  same(annotations['x-opt-sequence-number'], 1, 'sequence number');
  const time = new Date(annotations['iothub-enqueuedtime']).getTime();
  holds(time >= startMs - 1000 && time <= Date.now() + 1000, `enqueued at ${new Date(time).toISOString()}`);
  await device.client.complete(received);
  return device;
}

async function outcomes(service, device) {
  await service.send('c2d-1', message('abandoned', 'positive'));
  const first = await device.next();
  same([text(first), count(first)], ['body of abandoned', 0], 'first delivery');
  await device.client.abandon(first);
  const again = await device.next();
  same([text(again), again.messageId, count(again)], ['body of abandoned', 'abandoned', 1], 'second delivery');
  await device.client.complete(again);

  await service.send('c2d-1', message('rejected', 'negative'));
  await device.client.reject(await device.next());

  const ids = ['none-1', 'none-2', 'none-3', 'none-4'];
  for (const id of ids) await service.send('c2d-1', message(id, 'none'));
  for (const id of ids) {
    const received = await device.next();
    same(received.messageId, id, 'next in order');
    await device.client.complete(received);
  }

  await service.send('c2d-1', message('positive-rejected', 'positive'));
  await device.client.reject(await device.next());
  await service.send('c2d-1', message('negative-completed', 'negative'));
  await device.client.complete(await device.next());

  await service.send('c2d-1', message('hopeless', 'full'));
  for (let times = 0; times < 10; times += 1) {
    const received = await device.next();
    same([received.messageId, count(received)], ['hopeless', times], 'given back');
    await device.client.abandon(received);
  }
}

async function expiry(service, records, feedback) {
  await service.send('c2d-2', message('too late', 'full', { expiryTimeUtc: Date.now() + 500 }));
  await service.send('c2d-2', message('in time', 'none'));
  while (!feedback.records.has('too late')) await feedback.all(feedback.records.size + 1);
  const device = await Device.open(records.get('c2d-2'));
  const received = await device.next();
  same(received.messageId, 'in time', 'what has not expired');
  await device.client.complete(received);
  return device;
}

async function refusals(service, registry) {
  const unknown = await refused(service.send('c2d-nobody', message('x', 'none')), 'to an unknown device');
  holds(unknown instanceof errors.DeviceNotFoundError, 'it is a DeviceNotFoundError');
  const large = message('large', 'none');
  large.data = Buffer.alloc(64 * 1024 + 1);
  const tooLarge = await refused(service.send('c2d-1', large), 'over 64 KB');
  holds(tooLarge instanceof errors.MessageTooLargeError, 'it is a MessageTooLargeError');
  const wrong = await refused(service.send('c2d-1', message('x', 'sometimes')), 'ack that there is not');
  holds(wrong instanceof errors.ArgumentError, 'it is an ArgumentError');
  for (let number = 1; number <= 50; number += 1) await service.send('c2d-full', message(`full-${number}`, 'none'));
  const full = await refused(service.send('c2d-full', message('full-51', 'none')), 'the 51st message');
  holds(full instanceof errors.DeviceMaximumQueueDepthExceededError, 'it is a DeviceMaximumQueueDepthExceededError');
  same((await registry.get('c2d-full')).responseBody.cloudToDeviceMessageCount, 50, 'messages that wait, as the registry says');
}

run(async () => {
  const startMs = Date.now();
  const records = await hub.createDevices(['c2d-1', 'c2d-2', 'c2d-full']);
  const registry = iothub.Registry.fromConnectionString(env('HUB_CONNECTION_STRING'));
  const service = iothub.Client.fromConnectionString(env('HUB_CONNECTION_STRING'));
  service.setRetryPolicy(new NoRetry());
  await service.open();
  const feedback = new Feedback((await service.getFeedbackReceiver()).result);

  const device = await everything(service, records, startMs);
  await outcomes(service, device);
  await refusals(service, registry);
  const second = await expiry(service, records, feedback);

  const expected = {
    '3f2504e0-4f89-41d3-9a0c-0305e82c3301': ['c2d-1', 'Success'],
    abandoned: ['c2d-1', 'Success'],
    hopeless: ['c2d-1', 'DeliveryCountExceeded'],
    rejected: ['c2d-1', 'Rejected'],
    'too late': ['c2d-2', 'Expired'],
  };
  // The last one that asks: whatever was told wrongly before comes with it or earlier.
  await service.send('c2d-2', message('last', 'full'));
  await second.client.complete(await second.next());
  while (!feedback.records.has('last')) await feedback.all(feedback.records.size + 1);
  expected.last = ['c2d-2', 'Success'];
  const told = {};
  for (const [id, record] of feedback.records) {
    told[id] = [record.deviceId, record.statusCode];
    same(record.deviceGenerationId, records.get(record.deviceId).generationId, `generation of the device of ${id}`);
    const time = Date.parse(record.enqueuedTimeUtc);
    holds(time >= startMs - 1000 && time <= Date.now() + 1000, `${id} ended at ${record.enqueuedTimeUtc}`);
  }
  same(Object.entries(told).sort(), Object.entries(expected).sort(), 'all feedback');
  for (const [id, waiting] of [['c2d-1', 0], ['c2d-2', 0], ['c2d-full', 50]]) {
    same((await registry.get(id)).responseBody.cloudToDeviceMessageCount, waiting, `what is left for ${id}`);
  }
  for (const name of ['messages to the device', 'a message is completed', 'a message is abandoned', 'a message is rejected']) capability(transport, name);
  await device.client.close();
  await second.client.close();
  await service.close();
}, 120);
