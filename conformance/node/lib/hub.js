'use strict';
// Devices through the official service SDK, message bodies, and the ledger of what was accepted.

const fs = require('node:fs');
const path = require('node:path');
const iothub = require('azure-iothub');
const { Client } = require('azure-iot-device');
const { env, same, holds } = require('./check');
const { Transport } = require('./transport');

/** A data file of this folder's sibling `data`. */
function data(name) {
  return JSON.parse(fs.readFileSync(path.join(__dirname, '..', '..', 'data', name), 'utf8'));
}

/** Creates the devices with generated keys; id -> registry record. */
async function createDevices(ids) {
  const registry = iothub.Registry.fromConnectionString(env('HUB_CONNECTION_STRING'));
  const devices = new Map();
  for (const deviceId of ids) {
    const { responseBody: device } = await registry.create({ deviceId });
    same(device.deviceId, deviceId, 'created device');
    holds(Buffer.from(device.authentication.symmetricKey.primaryKey, 'base64').length >= 16, 'the hub generated a key');
    holds(typeof device.generationId === 'string' && device.generationId !== '', `generation ${device.generationId}`);
    devices.set(deviceId, device);
  }
  return devices;
}

/** A device's connection string, as the portal shows it. */
function connectionString(device) {
  return `HostName=${env('HUB')};DeviceId=${device.deviceId};SharedAccessKey=${device.authentication.symmetricKey.primaryKey}`;
}

/** A device's client, open. */
async function open(device, options) {
  const client = Client.fromConnectionString(connectionString(device), Transport);
  if (options) await client.setOptions(options);
  await client.open();
  return client;
}

/** Looks again and again until `look` finds something; gives up after a while. */
async function eventually(look, what, seconds = 10) {
  for (let i = 0; i < seconds * 50; i += 1) {
    const found = await look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`${what}: it did not come`);
}

/** The body of a message of a data file. */
function body(message) {
  if (message.bodyHex !== undefined) return Buffer.from(message.bodyHex, 'hex');
  if (message.bodyBytes !== undefined) return Buffer.from(Array.from({ length: message.bodyBytes }, (_, i) => (i * 31) % 251));
  return Buffer.from(message.body, 'utf8');
}

/**
 * What the readers must find: each accepted message, in the order of acceptance, and the time span in which that happened.
 * `authScope` is the scope that the hub notes as authentication method. `capabilities` are the lines of capability.js that hold once
 * all this was read.
 */
function writeLedger(startMs, entries, capabilities = []) {
  const ledger = { startMs, endMs: Date.now(), entries, capabilities };
  fs.writeFileSync(env('LEDGER'), JSON.stringify(ledger, null, 1));
  console.log(`  ledger: ${entries.length} messages`);
}

/** What the readers must find of a message of that device's record, with what is not as usual. */
function entry(record, body, more = {}) {
  return {
    device: record.deviceId,
    generationId: record.generationId,
    authScope: 'device',
    bodyBase64: Buffer.from(body).toString('base64'),
    messageId: null,
    correlationId: null,
    contentType: null,
    contentEncoding: null,
    component: null,
    properties: {},
    ...more,
  };
}

module.exports = { data, createDevices, connectionString, open, eventually, body, entry, writeLedger };
