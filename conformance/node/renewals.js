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
  let renewals = 0;
  // The SDK says nothing of it; this only listens.
  client._transport._authenticationProvider.on('newTokenAvailable', () => (renewals += 1));
  await client.open();
  const arrived = [];
  client.on('message', (message) => arrived.push(message));
  client.onDeviceMethod('echo', (request, response) => response.send(200, request.payload, () => {}));
  const works = async (what) => {
    // It waits for a connection that is just being renewed, so that nothing that follows is on its way to the old one.
    same((await client.sendEvent(new Message(what))).constructor.name, 'MessageEnqueued', `sent over ${transport}`);
    await service.send(device.deviceId, new Message(what));
    const message = await hub.eventually(() => arrived.shift(), `${what} over ${transport}`);
    same(message.getData().toString('utf8'), what, `message over ${transport}`);
    await client.complete(message);
    const call = { methodName: 'echo', payload: what, responseTimeoutInSeconds: 30 };
    // It takes calls once it has subscribed, of which it says nothing.
    const answer = await hub.eventually(() => service.invokeDeviceMethod(device.deviceId, call).then(({ result }) => result, () => null), 'an answer');
    same(answer, { status: 200, payload: what }, `answer over ${transport}`);
  };
  await works('before');
  await client.setOptions({ tokenRenewal: { tokenValidTimeInSeconds: 60, tokenRenewalMarginInSeconds: 58 } });
  await hub.eventually(() => renewals >= RENEWALS, `${RENEWALS} renewals over ${transport}`, 20);
  // One more, and then none for a while.
  await client.setOptions({ tokenRenewal: { tokenValidTimeInSeconds: 3600, tokenRenewalMarginInSeconds: 900 } });
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
