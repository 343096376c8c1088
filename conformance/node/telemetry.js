'use strict';
// The unmodified device SDK over AMQP, in a WebSocket if started with `ws`: telemetry with all kinds of properties, one large message, one that the hub must refuse.

const { Client, Message } = require('azure-iot-device');
const { errors } = require('azure-iot-common');
const { run, same, holds, refused } = require('./lib/check');
const hub = require('./lib/hub');
const { COLUMNS, line } = require('./lib/capability');
const { Transport, name: transport } = require('./lib/transport');

/** The SDK's message; it puts the property `dt-subject` on the wire as the annotation of that name. */
function sdkMessage(message) {
  const out = new Message(hub.body(message));
  for (const key of ['messageId', 'correlationId', 'contentType', 'contentEncoding']) {
    if (message[key] !== undefined) out[key] = message[key];
  }
  for (const [name, value] of Object.entries(message.properties || {})) out.properties.add(name, value);
  if (message.component !== undefined) out.properties.add('dt-subject', message.component);
  return out;
}

function entry(message, device) {
  return {
    device: message.device,
    generationId: device.generationId,
    authScope: 'device',
    bodyBase64: hub.body(message).toString('base64'),
    messageId: message.messageId ?? null,
    correlationId: message.correlationId ?? null,
    contentType: message.contentType ?? null,
    contentEncoding: message.contentEncoding ?? null,
    component: message.component ?? null,
    properties: message.properties || {},
  };
}

run(async () => {
  const { devices: ids, messages, tooLarge, afterRefusal } = hub.data('telemetry.json');
  const startMs = Date.now();
  const devices = await hub.createDevices(ids);
  const clients = new Map();
  for (const [id, device] of devices) {
    const client = Client.fromConnectionString(hub.connectionString(device), Transport);
    await client.open();
    clients.set(id, client);
  }
  const entries = [];
  const send = async (message) => {
    const result = await clients.get(message.device).sendEvent(sdkMessage(message));
    same(result.constructor.name, 'MessageEnqueued', `sent ${message.messageId ?? '(no id)'} of ${message.device}`);
    entries.push(entry(message, devices.get(message.device)));
  };
  for (const message of messages) await send(message);
  const error = await refused(clients.get(tooLarge.device).sendEvent(sdkMessage(tooLarge)), 'a message over 256 KB');
  holds(error instanceof errors.MessageTooLargeError, 'it is a MessageTooLargeError');
  await send(afterRefusal);
  for (const client of clients.values()) await client.close();
  hub.writeLedger(startMs, entries, [line(COLUMNS[transport], 'telemetry')]);
});
