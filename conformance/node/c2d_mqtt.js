'use strict';
// Messages to devices by the unmodified SDKs over MQTT: azure-iothub sends and takes feedback, azure-iot-device receives. A message is completed
// by its acknowledgement; what cannot be said over MQTT (abandon, reject) is in c2d.js.

const iothub = require('azure-iothub');
const { Client, Message } = require('azure-iot-device');
const { NoRetry } = require('azure-iot-common');
const { run, env, same, holds, refused } = require('./lib/check');
const { capability } = require('./lib/capability');
const hub = require('./lib/hub');
const { Transport, name: transport } = require('./lib/transport');

/** A device that takes messages one after the other. */
async function open(record) {
  const client = Client.fromConnectionString(hub.connectionString(record), Transport);
  client.setRetryPolicy(new NoRetry());
  await client.open();
  const arrived = [];
  const waiting = [];
  client.on('message', (message) => {
    const next = waiting.shift();
    if (next) next(message);
    else arrived.push(message);
  });
  const next = () => (arrived.length ? Promise.resolve(arrived.shift()) : new Promise((resolve) => waiting.push(resolve)));
  return { client, next };
}

function message(id, more = {}) {
  const out = new Message(`body of ${id}`);
  Object.assign(out, { messageId: id, ack: 'full' }, more);
  return out;
}

run(async () => {
  const records = await hub.createDevices(['c2d-1', 'c2d-2']);
  const registry = iothub.Registry.fromConnectionString(env('HUB_CONNECTION_STRING'));
  const service = iothub.Client.fromConnectionString(env('HUB_CONNECTION_STRING'));
  await service.open();
  const feedback = new Map();
  const receiver = (await service.getFeedbackReceiver()).result;
  receiver.on('message', async (batch) => {
    for (const record of JSON.parse(batch.getData().toString('utf8'))) feedback.set(record.originalMessageId, record.statusCode);
    await receiver.complete(batch);
  });

  // While the device is away.
  const expiry = Date.now() + 600_000;
  const sent = message('3f2504e0-4f89-41d3-9a0c-0305e82c3301', { correlationId: 'c 1', contentType: 'application/json', expiryTimeUtc: expiry });
  sent.data = Buffer.from(JSON.stringify({ größe: '✓' }));
  sent.properties.add('with space & ümlaut', 'a=b;c d');
  await service.send('c2d-1', sent);
  const device = await open(records.get('c2d-1'));
  const received = await device.next();
  same(Buffer.from(received.getData()).toString('utf8'), '{"größe":"✓"}', 'body');
  same([received.messageId, received.correlationId], [sent.messageId, 'c 1'], 'ids, one of them sent as a uuid');
  same(received.to, '/devices/c2d-1/messages/deviceBound', 'to');
  same(new Date(received.expiryTimeUtc).getTime(), expiry, 'expiry');
  const properties = received.properties.propertyList.map(({ key, value }) => [key, value]).sort();
  // Over MQTT the SDK takes `iothub-ack` for a property of the sender's, and drops the content type.
  same(properties, [['iothub-ack', 'full'], ['with space & ümlaut', 'a=b;c d']], 'properties');
  // MQTT cannot say these; the SDK says so by itself.
  for (const [what, settle] of [['a message is rejected', 'reject'], ['a message is abandoned', 'abandon']]) {
    const error = await refused((async () => device.client[settle](received))(), what);
    same(error.constructor.name, 'NotImplementedError', 'its class');
    capability(transport, what, error.constructor.name);
  }
  await device.client.complete(received);

  const ids = Array.from({ length: 60 }, (_, at) => `in-order-${at}`);
  for (const id of ids) await service.send('c2d-1', message(id, { ack: 'none' }));
  for (const id of ids) same((await device.next()).messageId, id, 'next in order');

  await service.send('c2d-2', message('too late', { expiryTimeUtc: Date.now() + 300 }));
  await hub.eventually(() => feedback.has('too late'), 'feedback on a message that expired', 60);
  await hub.eventually(() => feedback.has(sent.messageId), 'feedback on the first message', 60);
  same(feedback.get('too late'), 'Expired', 'feedback on one that nobody took');
  same(feedback.get(sent.messageId), 'Success', 'feedback on one that was acknowledged');
  const left = async () => (await registry.get('c2d-1')).responseBody.cloudToDeviceMessageCount === 0;
  holds(await hub.eventually(left, 'the queue is empty'), 'nothing is left for the device');
  for (const name of ['messages to the device', 'a message is completed']) capability(transport, name);
  await device.client.close();
  await service.close();
}, 90);
