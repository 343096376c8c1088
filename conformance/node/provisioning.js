'use strict';
// The unmodified provisioning SDK over HTTPS, or over the transport that the script is started with (`amqp`, `ws`, `mqtt`, `mqtt-ws`): a device that nobody has seen registers, connects with what it was told, and sends.
// It finds the same hub again, and nobody registers with another key than the device's own.

const crypto = require('node:crypto');
const https = require('node:https');
const { Client, Message } = require('azure-iot-device');
const iothub = require('azure-iothub');
const { ProvisioningDeviceClient } = require('azure-iot-provisioning-device');
const { Amqp, AmqpWs } = require('azure-iot-provisioning-device-amqp');
const { Http } = require('azure-iot-provisioning-device-http');
const { Mqtt, MqttWs } = require('azure-iot-provisioning-device-mqtt');
const { SymmetricKeySecurityClient } = require('azure-iot-security-symmetric-key');
// Each of these packages brings its own azure-iot-common, so that errors are told by their names.
const { run, env, same, refused } = require('./lib/check');
const { capability } = require('./lib/capability');
const { Transport, overMqtt } = require('./lib/transport');

const TRANSPORTS = { amqp: Amqp, ws: AmqpWs, mqtt: Mqtt, 'mqtt-ws': MqttWs };

// Devices connect over AMQP unless the script is started with something else, but register over HTTPS.
const Registering = TRANSPORTS[process.argv[2]] ?? Http;
const column = process.argv[2] ?? 'http';

/** A device's key: derived from its group's. */
function derived(groupKey, id) {
  return crypto.createHmac('sha256', Buffer.from(groupKey, 'base64')).update(id).digest('base64');
}

function register(id, key, { payload, scope = env('ID_SCOPE') } = {}) {
  const security = new SymmetricKeySecurityClient(id, key);
  const client = ProvisioningDeviceClient.create(env('DPS'), scope, new Registering(), security);
  if (payload !== undefined) client.setProvisioningPayload(payload);
  return client.register();
}

/** What the emulator tells about itself at a path. */
function told(path) {
  return new Promise((resolve, reject) => {
    const request = https.get({ host: env('DPS'), path }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => resolve(JSON.parse(Buffer.concat(chunks).toString('utf8'))));
    });
    request.on('error', reject);
  });
}

async function send(result, key) {
  const text = `HostName=${result.assignedHub};DeviceId=${result.deviceId};SharedAccessKey=${key}`;
  const client = Client.fromConnectionString(text, Transport);
  await client.open();
  const sent = await client.sendEvent(new Message('{"registered":true}'));
  same(sent.constructor.name, 'MessageEnqueued', `sent by ${result.deviceId}`);
  await client.close();
}

run(async () => {
  const registry = iothub.Registry.fromConnectionString(env('HUB_CONNECTION_STRING'));
  for (const [id, groupKey] of [['Meter-1', env('GROUP_KEY')], ['meter:2', env('GROUP_SECONDARY_KEY')]]) {
    const unknown = await refused(registry.get(id), `before ${id} registered`);
    same(unknown.name, 'DeviceNotFoundError', `${id} is new`);
    const key = derived(groupKey, id);
    const payload = { modelId: 'dtmi:com:example:Meter;1' };
    const first = await register(id, key, { payload });
    same([first.assignedHub, first.deviceId, first.registrationId], [env('HUB'), id, id], 'assigned');
    same([first.status, first.substatus], ['assigned', 'initialAssignment'], 'status');
    await send(first, key);
    const { responseBody: device } = await registry.get(id);
    const { primaryKey, secondaryKey } = device.authentication.symmetricKey;
    same(primaryKey, derived(env('GROUP_KEY'), id), "the hub has the group's derived primary key");
    same(secondaryKey, derived(env('GROUP_SECONDARY_KEY'), id), 'and the derived secondary key');
    same((await told(`/emulator/registrations/${id}`)).payload, payload, 'kept payload');
    const { responseBody: twin } = await registry.getTwin(id);
    same(twin.modelId, payload.modelId, "the twin's model");

    const again = await register(id, key);
    same([again.assignedHub, again.deviceId], [first.assignedHub, first.deviceId], 'assigned again');
    same((await registry.get(id)).responseBody.generationId, device.generationId, 'the device is the same: generation');
    await send(again, key);
  }

  capability(column, 'registration by a group key');

  const single = await register('single', env('INDIVIDUAL_KEY'));
  same([single.assignedHub, single.deviceId, single.registrationId], [env('HUB'), 'single-device', 'single'], 'assigned by its own enrollment');
  const { responseBody: own } = await registry.get('single-device');
  same(own.authentication.symmetricKey.primaryKey, env('INDIVIDUAL_KEY'), "the hub has the enrollment's key");
  await send(single, env('INDIVIDUAL_KEY'));
  await refused(register('single', derived(env('GROUP_KEY'), 'single')), "a group's key for a device of its own enrollment");
  capability(column, 'registration by an individual key');

  const right = derived(env('GROUP_KEY'), 'meter-3');
  const attempts = [
    ['the key of another device', derived(env('GROUP_KEY'), 'meter-4')],
    ["the group's own key", env('GROUP_KEY')],
    ['a key of nobody', Buffer.from('a key that nobody has, 32 bytes').toString('base64')],
  ];
  for (const [what, key] of attempts) {
    const error = await refused(register('meter-3', key), what);
    // Over MQTT the service has no more than a return code to say why. Over AMQP it refuses by SASL, of which this SDK drops the
    // error, so that its next step finds no connection.
    if (overMqtt) same(error.message, 'Connection refused: Not authorized', 'by its text');
    else same(error.name, Registering === Http ? 'UnauthorizedError' : 'NotConnectedError', 'by name');
    if (what === 'the key of another device') capability(column, 'a registration with a wrong key', error.name);
  }
  const scope = await refused(register('meter-3', right, { scope: '0neNOTTHERE' }), 'an id scope that there is not');
  capability(column, 'a registration at an unknown id scope', scope.name);
  if (Registering === Amqp || Registering === AmqpWs) {
    // A request that is refused is a delivery that is rejected, with the service's JSON.
    const error = await refused(register('meter-3', right, { payload: 'x'.repeat(200_000) }), 'a payload that is too large');
    same(error.condition, 'amqp:link:message-size-exceeded', 'by its condition');
    same(JSON.parse(error.description).errorCode, 413001, 'by its code');
  }
  await refused(registry.get('meter-3'), 'nothing came of it');
  // Over MQTT and AMQP those are refused before they can ask.
  const registrations = Registering === Http ? 10 : 5;
  same((await told('/emulator/observations')).dps, { registrations, polls: 5, lookups: 0 }, 'the service was asked');
});
