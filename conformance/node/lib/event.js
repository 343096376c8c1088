'use strict';
// One event of @azure/event-hubs against one entry of the ledger.

const { same, holds } = require('./check');

const always = [
  'iothub-connection-auth-generation-id',
  'iothub-connection-auth-method',
  'iothub-connection-device-id',
  'iothub-enqueuedtime',
  'iothub-message-source',
  'x-opt-enqueued-time',
  'x-opt-offset',
  'x-opt-sequence-number',
];

/** AMQP uuids come as 16 bytes; their text is what the device wrote. */
function idText(id) {
  if (!Buffer.isBuffer(id) && !(id instanceof Uint8Array)) return id ?? null;
  const hex = Buffer.from(id).toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

function checkEvent(event, entry, ledger) {
  console.log(`  event ${event.sequenceNumber} of ${entry.device}:`);
  const raw = event.getRawAmqpMessage();
  const properties = raw.properties || {};
  holds(Buffer.from(event.body).equals(Buffer.from(entry.bodyBase64, 'base64')), `body of ${event.body.length} bytes is exact`);
  same(raw.bodyType, 'data', 'body type');
  same(idText(properties.messageId), entry.messageId, 'message id');
  same(idText(properties.correlationId), entry.correlationId, 'correlation id');
  same(properties.contentType ?? null, entry.contentType, 'content type');
  same(properties.contentEncoding ?? null, entry.contentEncoding, 'content encoding');
  checkProperties({ ...raw.applicationProperties }, entry);
  checkAnnotations({ ...raw.messageAnnotations }, entry, ledger);
}

function checkProperties(properties, entry) {
  if (entry.creationTime !== undefined) {
    // The bridge passes an instant on; its spelling may differ, not its value.
    const time = properties['iothub-creation-time-utc'];
    same(typeof time, 'string', `creation time ${time}: type`);
    holds(/Z$|\+00:00$/.test(time), 'creation time is in UTC');
    same(Date.parse(time), Date.parse(entry.creationTime), 'creation time');
    delete properties['iothub-creation-time-utc'];
  }
  same(properties, entry.properties, 'application properties');
}

function checkAnnotations(annotations, entry, ledger) {
  const stamps = { 'dt-dataschema': entry.model ?? null, 'dt-subject': entry.component, 'iothub-connection-module-id': entry.module ?? null };
  const expected = [...Object.keys(stamps).filter((name) => stamps[name] !== null), ...always].sort();
  const seen = Object.keys(annotations).filter((name) => name !== 'x-opt-partition-key');
  same(seen.sort(), expected, 'annotations');
  same(annotations['x-opt-partition-key'] ?? entry.device, entry.device, 'partition key, where there is one');
  for (const [name, value] of Object.entries(stamps)) same(annotations[name] ?? null, value, name);
  same(annotations['iothub-connection-device-id'], entry.device, 'iothub-connection-device-id');
  same(annotations['iothub-connection-auth-generation-id'], entry.generationId, 'iothub-connection-auth-generation-id');
  same(
    JSON.parse(annotations['iothub-connection-auth-method']),
    { scope: entry.authScope, type: 'sas', issuer: 'iothub', acceptingIpFilterRule: null },
    'iothub-connection-auth-method',
  );
  same(annotations['iothub-message-source'], 'Telemetry', 'iothub-message-source');
  for (const name of ['iothub-enqueuedtime', 'x-opt-enqueued-time']) {
    const time = new Date(annotations[name]).getTime();
    holds(time >= ledger.startMs - 1000 && time <= ledger.endMs + 1000, `${name} = ${new Date(time).toISOString()}, while the sender ran`);
  }
}

module.exports = { checkEvent };
