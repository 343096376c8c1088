'use strict';
// Faults that the device SDK's own end-to-end suite asks for by properties of a message: the connection is cut, or messages are refused for a
// while. The unmodified SDK connects again by itself, over each transport; what happened is seen through the emulator's control API.

const https = require('node:https');
const iothub = require('azure-iothub');
const { Client, Message } = require('azure-iot-device');
const { NoRetry, errors } = require('azure-iot-common');
const { run, env, same, holds, refused } = require('./lib/check');
const hub = require('./lib/hub');
const { TRANSPORTS } = require('./lib/transport');

const AMQP = ['KillTcp', 'KillAmqpConnection', 'KillAmqpSession', 'KillAmqpD2CLink', 'KillAmqpC2DLink', 'ShutDownAmqp'];
const MQTT = ['KillTcp', 'ShutDownMqtt'];
const CUTS = { amqp: AMQP, ws: ['KillTcp', 'KillAmqpConnection'], mqtt: MQTT, 'mqtt-ws': MQTT };
const REFUSALS = { InvokeThrottling: errors.ThrottlingError, InvokeMaxMessageQuota: errors.IotHubQuotaExceededError, InvokeAuthError: errors.UnauthorizedError };

/** What the control API answers. On this machine it needs no token. */
function control(method, path) {
  return new Promise((resolve, reject) => {
    const request = https.request({ host: env('HUB'), path, method }, (answer) => {
      const parts = [];
      answer.on('data', (part) => parts.push(part));
      answer.on('end', () => {
        const text = Buffer.concat(parts).toString('utf8');
        if (answer.statusCode === 200) resolve(JSON.parse(text));
        else reject(new Error(`${method} ${path}: ${answer.statusCode} ${text}`));
      });
    });
    request.on('error', reject);
    request.end();
  });
}

/** A message that asks for a fault, as the SDK's suite writes it. */
function fault(operation, delay, duration) {
  const message = new Message('');
  message.properties.add('AzIoTHub_FaultOperationType', operation);
  message.properties.add('AzIoTHub_FaultOperationCloseReason', ' on request ');
  message.properties.add('AzIoTHub_FaultOperationDelayInSecs', delay);
  message.properties.add('AzIoTHub_FaultOperationDurationInSecs', duration);
  return message;
}

/** The numbers of a device's connections, and of its links and subscriptions. */
async function seen(device) {
  const { connections } = await control('GET', `/emulator/connections?device=${device}`);
  const { links } = await control('GET', `/emulator/links?device=${device}`);
  return { numbers: connections.map((it) => it.connection), links: links.map((it) => it.link) };
}

async function comesBack(service, transport, device) {
  const id = device.deviceId;
  const client = Client.fromConnectionString(hub.connectionString(device), TRANSPORTS[transport]);
  await client.open();
  const arrived = [];
  client.on('message', (message) => {
    arrived.push(message.getData().toString('utf8'));
    client.complete(message, () => {});
  });
  const works = async (what) => {
    await service.send(id, new Message(what));
    await hub.eventually(() => arrived.includes(what), `${what} to ${id}`, 30);
    same((await client.sendEvent(new Message(what))).constructor.name, 'MessageEnqueued', `${what} of ${id}`);
  };
  await works('before');
  for (const operation of CUTS[transport]) {
    const ended = async () => (await control('GET', '/emulator/counters')).counters;
    const before = await seen(id);
    holds(before.numbers.length === 1, `${id} has the connection ${before.numbers}`);
    const counted = await ended();
    same((await client.sendEvent(fault(operation, 0.2, 1))).constructor.name, 'MessageEnqueued', `${id} asks for ${operation}`);
    if (operation.startsWith('KillAmqp') && operation !== 'KillAmqpConnection') {
      // The SDK decides whether it connects again for that; what ended is seen, and that everything works again.
      await hub.eventually(async () => (await seen(id)).links.join() !== before.links.join(), `the end of links of ${id}`, 10);
    } else {
      const other = async () => {
        const { numbers } = await seen(id);
        return numbers.length === 1 && numbers[0] !== before.numbers[0];
      };
      await hub.eventually(other, `another connection of ${id} after ${operation}`, 30);
      holds((await ended()).deviceDisconnected > (counted.deviceDisconnected ?? 0), `${operation} ended the connection of ${id}`);
    }
    await works(`after ${operation}`);
  }
  await client.close();
}

async function isRefused(device) {
  const client = Client.fromConnectionString(hub.connectionString(device), TRANSPORTS.amqp);
  client.setRetryPolicy(new NoRetry());
  await client.open();
  for (const [operation, expected] of Object.entries(REFUSALS)) {
    await client.sendEvent(fault(operation, 0, 600));
    await hub.eventually(async () => (await control('GET', '/emulator/faults')).faults.length === 1, `${operation} begins`);
    const error = await refused(client.sendEvent(new Message('x')), `a message during ${operation}`);
    same(error.constructor.name, expected.name, `class of ${operation}`);
    same((await control('DELETE', '/emulator/faults')).faults.length, 1, 'faults that were lifted');
    same((await client.sendEvent(new Message('x'))).constructor.name, 'MessageEnqueued', `a message after ${operation}`);
  }
  await client.close();
}

run(async () => {
  const service = iothub.Client.fromConnectionString(env('HUB_CONNECTION_STRING'));
  await service.open();
  const names = Object.keys(CUTS);
  const devices = await hub.createDevices([...names.map((name) => `cut-${name}`), 'refused']);
  await Promise.all(names.map((name) => comesBack(service, name, devices.get(`cut-${name}`))));
  await isRefused(devices.get('refused'));
}, 180);
