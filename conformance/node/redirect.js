'use strict';
// Samples that start from a hub connection string ask the hub where its Event Hubs-compatible endpoint is:
// a receiver on messages/events/$management, answered by a detach with amqp:link:redirect.

const crypto = require('node:crypto');
const rhea = require('rhea');
const { run, env, same, holds } = require('./lib/check');

/** A token signed with the decoded key, as every IoT Hub client does. */
function token(resource, policy, key) {
  const expiry = Math.floor(Date.now() / 1000) + 300;
  const sr = encodeURIComponent(resource);
  const sig = crypto.createHmac('sha256', Buffer.from(key, 'base64')).update(`${sr}\n${expiry}`).digest('base64');
  return `SharedAccessSignature sr=${sr}&sig=${encodeURIComponent(sig)}&se=${expiry}&skn=${policy}`;
}

/** The error with which the hub closes a receiver on `address`. */
function receiverError(address, password) {
  const host = env('HUB');
  const parts = Object.fromEntries(env('HUB_CONNECTION_STRING').split(';').map((part) => [part.slice(0, part.indexOf('=')), part.slice(part.indexOf('=') + 1)]));
  const container = rhea.create_container();
  return new Promise((resolve, reject) => {
    const connection = container.connect({
      transport: 'tls',
      host,
      hostname: host,
      servername: host,
      port: 5671,
      username: `${parts.SharedAccessKeyName}@sas.root.${host.split('.')[0]}`,
      password: password(parts),
      reconnect: false,
      container_id: 'conformance',
    });
    let opened = false;
    container.on('connection_open', () => {
      opened = true;
      connection.open_receiver(address);
    });
    container.on('receiver_error', (context) => resolve(context.receiver.error));
    container.on('message', () => reject(new Error('a message instead of a redirect')));
    container.on('connection_error', (context) => resolve(context.error ?? context.connection.error));
    container.on('disconnected', (context) => (opened ? reject : resolve)(context.error ?? new Error('disconnected')));
    container.on('rejected', () => reject(new Error('rejected')));
    container.on('error', (error) => resolve(error));
  });
}

run(async () => {
  const host = env('HUB');
  const good = (parts) => token(`${host}/messages/events`, parts.SharedAccessKeyName, parts.SharedAccessKey);
  for (const address of ['messages/events/$management', `amqps://${host}/messages/events/$management`]) {
    const error = await receiverError(address, good);
    same(error.condition, 'amqp:link:redirect', `${address}: condition`);
    const info = error.info;
    same(typeof info.hostname, 'string', `hostname ${info.hostname}: type`);
    same(info['network-host'], info.hostname, 'network-host');
    same(info.port, 5671, 'port');
    // The JavaScript sample takes the entity from the address and insists on the port in it.
    const match = /^amqps:\/\/([^/:]+):5671\/([^/]+)\/\$management$/.exec(info.address);
    holds(match !== null, `address ${info.address}`);
    same(match[1], info.hostname, 'host of the address');
    same(match[2], env('EVENT_HUB_NAME'), 'entity of the address');
  }
  const wrong = (parts) => token(`${host}/messages/events`, parts.SharedAccessKeyName, Buffer.from('wrong').toString('base64'));
  const error = await receiverError('messages/events/$management', wrong);
  holds(error !== undefined && error.condition !== 'amqp:link:redirect', `a wrong key gets no redirect: ${error.condition ?? error.message}`);
});
