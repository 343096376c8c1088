'use strict';
// Tokens that the unmodified device SDK renews every two seconds: over AMQP by another put-token on the connection that is there, over MQTT by another
// connection, on which the SDK does not subscribe again. Messages, methods and telemetry go on. All transports are tried at the same time.

const iothub = require('azure-iothub');
const { Client, Message } = require('azure-iot-device');
const { NoRetry } = require('azure-iot-common');
const { run, env, same } = require('./lib/check');
const { capability } = require('./lib/capability');
const hub = require('./lib/hub');
const { TRANSPORTS } = require('./lib/transport');

const RENEWALS = 3;

async function renews(service, transport, device) {
  const client = Client.fromConnectionString(hub.connectionString(device), TRANSPORTS[transport]);
  client.setRetryPolicy(new NoRetry());
  await client.setOptions({ tokenRenewal: { tokenValidTimeInSeconds: 60, tokenRenewalMarginInSeconds: 58 } });
  let renewals = 0;
  // The SDK says nothing of it; this only listens.
  client._transport._authenticationProvider.on('newTokenAvailable', () => (renewals += 1));
  await client.open();
  const arrived = [];
  client.on('message', (message) => arrived.push(message));
  client.onDeviceMethod('echo', (request, response) => response.send(200, request.payload, () => {}));
  const works = async (what) => {
    await service.send(device.deviceId, new Message(what));
    const message = await hub.eventually(() => arrived.shift(), `${what} over ${transport}`);
    same(message.getData().toString('utf8'), what, `message over ${transport}`);
    await client.complete(message);
    const call = { methodName: 'echo', payload: what, responseTimeoutInSeconds: 30 };
    // It takes calls once it has subscribed; later it must take them at once, but for the moment in which it connects again.
    const answer = await hub.eventually(() => service.invokeDeviceMethod(device.deviceId, call).then(({ result }) => result, () => null), 'an answer');
    same(answer, { status: 200, payload: what }, `answer over ${transport}`);
    same((await client.sendEvent(new Message(what))).constructor.name, 'MessageEnqueued', `sent over ${transport}`);
  };
  await works('before');
  await hub.eventually(() => renewals >= RENEWALS, `${RENEWALS} renewals over ${transport}`, 20);
  await works('after');
  capability(transport, 'a token is renewed');
  if (transport.startsWith('mqtt')) capability(transport, 'a session goes on');
  await client.close();
}

run(async () => {
  const service = iothub.Client.fromConnectionString(env('HUB_CONNECTION_STRING'));
  await service.open();
  const names = Object.keys(TRANSPORTS).filter((name) => name !== 'http');
  const devices = await hub.createDevices(names.map((name) => `renews-${name}`));
  await Promise.all(names.map((name) => renews(service, name, devices.get(`renews-${name}`))));
});
