'use strict';
// A device with a wrong key and a device that does not exist are refused with the error that the SDK has for it,
// and the right key still works afterwards.

const { Client, Message, NoRetry } = { ...require('azure-iot-device'), ...require('azure-iot-common') };
const { errors } = require('azure-iot-common');
const { run, env, same, holds, refused } = require('./lib/check');
const hub = require('./lib/hub');
const { Transport } = require('./lib/transport');

async function attempt(deviceId, key) {
  const client = Client.fromConnectionString(`HostName=${env('HUB')};DeviceId=${deviceId};SharedAccessKey=${key}`, Transport);
  client.setRetryPolicy(new NoRetry());
  try {
    await client.open();
    return await client.sendEvent(new Message('hello'));
  } finally {
    await client.close().catch(() => {});
  }
}

run(async () => {
  const devices = await hub.createDevices(['locked-1']);
  const right = devices.get('locked-1').authentication.symmetricKey.primaryKey;
  const wrong = Buffer.from('not the key of this device at all').toString('base64');
  const wrongKey = await refused(attempt('locked-1', wrong), 'wrong key');
  holds(wrongKey instanceof errors.UnauthorizedError, 'a wrong key is an UnauthorizedError');
  const unknown = await refused(attempt('nobody-here', right), 'unknown device');
  holds(
    unknown instanceof errors.UnauthorizedError || unknown instanceof errors.DeviceNotFoundError,
    'an unknown device is an UnauthorizedError or a DeviceNotFoundError',
  );
  same((await attempt('locked-1', right)).constructor.name, 'MessageEnqueued', 'right key');
});
