'use strict';
// The unmodified device SDK over HTTPS: telemetry, single and in batches, and messages taken one by one.

const https = require('node:https');
const iothub = require('azure-iothub');
const { Client, Message } = require('azure-iot-device');
const { Http } = require('azure-iot-device-http');
const { NoRetry, SharedAccessSignature } = require('azure-iot-common');
const { run, env, same, holds, refused } = require('./lib/check');
const { COLUMNS, line, capability } = require('./lib/capability');
const hub = require('./lib/hub');

function open(record) {
  const client = Client.fromConnectionString(hub.connectionString(record), Http);
  client.setRetryPolicy(new NoRetry());
  return client.open().then(() => client);
}

/** A request by hand: status, headers and body. */
function request(record, method, path, { headers = {}, body = '' } = {}) {
  const resource = encodeURIComponent(`${env('HUB')}/devices/${record.deviceId}`);
  const key = record.authentication.symmetricKey.primaryKey;
  const token = SharedAccessSignature.create(resource, undefined, key, Math.floor(Date.now() / 1000) + 600).toString();
  return new Promise((resolve, reject) => {
    const sent = https.request({ host: env('HUB'), method, path, headers: { authorization: token, ...headers } }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks).toString('utf8') }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

/** The message that waits first. */
const take = (record, spelling = 'devicebound') => request(record, 'GET', `/devices/${record.deviceId}/messages/${spelling}`);

/** The SDK asks by itself, every half hour unless it is asked to do so more often. */
async function receivesByItself(client, service) {
  await client.setOptions({ http: { receivePolicy: { interval: 1, drain: false } } });
  const arrived = [];
  client.on('message', (message) => arrived.push(message));
  const next = () => hub.eventually(() => arrived.shift(), 'a message', 20);
  for (const [id, settle] of [['to complete', 'complete'], ['to give back', 'abandon'], ['to reject', 'reject']]) {
    const message = new Message(`body of ${id}`);
    Object.assign(message, { messageId: id, ack: 'full' });
    message.properties.add('Plain', 'value');
    await service.send('http-1', message);
    const received = await next();
    same([received.getData().toString('utf8'), received.messageId], [`body of ${id}`, id], 'a message that the SDK asked for');
    same((await client[settle](received)).constructor.name, { complete: 'MessageCompleted', abandon: 'MessageAbandoned', reject: 'MessageRejected' }[settle], 'settled');
    if (settle === 'abandon') await client.complete(await next());
  }
  for (const name of ['messages to the device', 'a message is completed', 'a message is abandoned', 'a message is rejected']) capability('http', name);
}

run(async () => {
  const startMs = Date.now();
  const records = await hub.createDevices(['http-1', 'http-2']);
  const device = records.get('http-1');
  const service = iothub.Client.fromConnectionString(env('HUB_CONNECTION_STRING'));
  await service.open();
  const client = await open(device);
  const entries = [];
  const entry = (body, more) => entries.push(hub.entry(device, body, more));

  const first = new Message('{"größe":1}');
  Object.assign(first, { messageId: 'm 1', correlationId: 'c-1', contentType: 'application/json', contentEncoding: 'utf-8' });
  first.properties.add('level', 'high');
  first.properties.add('dt-subject', 'thermostat1');
  await client.sendEvent(first);
  entry('{"größe":1}', { messageId: 'm 1', correlationId: 'c-1', contentType: 'application/json', contentEncoding: 'utf-8', component: 'thermostat1', properties: { level: 'high' } });
  const batch = ['a', 'b', 'c'].map((text) => new Message(text));
  batch[1].properties.add('n', '2');
  await client.sendEventBatch(batch);
  entry('a');
  entry('b', { properties: { n: '2' } });
  entry('c');
  const large = await refused(client.sendEvent(new Message(Buffer.alloc(256 * 1024 + 1))), 'a message over 256 KB');
  same(large.name, 'MessageTooLargeError', 'by name');
  const events = '/devices/http-1/messages/events';
  same((await request(device, 'POST', events, { body: 'x' })).status, 204, 'without an api-version');
  entry('x');
  const headers = { 'content-type': 'application/vnd.microsoft.iothub.json' };
  // The SDK gives ids to single messages only.
  const item = { body: 'plain text', base64Encoded: false, properties: { 'iothub-messageid': 'by hand', 'iothub-app-k': 'v' } };
  same((await request(device, 'POST', events, { headers, body: JSON.stringify([item]) })).status, 204, 'a batch by hand');
  entry('plain text', { messageId: 'by hand', properties: { k: 'v' } });
  const wrong = await request(device, 'POST', events, { headers, body: '[{"body":"no base64!"}]' });
  same([wrong.status, wrong.headers['iothub-errorcode']], [400, 'IotHubFormatError'], 'a batch that cannot be read');
  same((await request(records.get('http-2'), 'POST', events, { body: 'x' })).status, 401, "another device's token");

  const nothing = await take(device);
  same([nothing.status, nothing.body], [204, ''], 'nothing waits');
  for (const id of ['completed', 'given back', 'rejected']) {
    const message = new Message(`body of ${id}`);
    Object.assign(message, { messageId: id, correlationId: 'c' });
    message.properties.add('plain', 'value');
    await service.send('http-1', message);
  }
  const one = await take(device, 'deviceBound');
  same([one.status, one.body, one.headers['iothub-messageid'], one.headers['iothub-app-plain']], [200, 'body of completed', 'completed', 'value'], 'a message');
  holds(/^"[0-9a-f-]{36}"$/.test(one.headers.etag), `lock token ${one.headers.etag} in quotes`);
  same(one.headers['iothub-deliverycount'], '0', 'delivered for the first time');
  const bare = (message) => message.headers.etag.replaceAll('"', '');
  const bound = '/devices/http-1/messages/deviceBound';
  same((await request(device, 'DELETE', `${bound}/${bare(one)}?api-version=2020-09-30`)).status, 204, 'completed');
  const lost = await request(device, 'DELETE', `${bound}/${bare(one)}?api-version=2020-09-30`);
  same([lost.status, lost.headers['iothub-errorcode']], [412, 'DeviceMessageLockLost'], 'completed twice');
  const two = await take(device);
  same((await request(device, 'POST', `${bound}/${bare(two)}/abandon?api-version=2016-11-14`)).status, 204, 'given back');
  const again = await take(device);
  same([again.body, again.headers['iothub-deliverycount']], ['body of given back', '1'], 'and there again');
  same((await request(device, 'DELETE', `${bound}/${bare(again)}`)).status, 204, 'completed');
  const three = await take(device);
  same((await request(device, 'DELETE', `${bound}/${bare(three)}?api-version=2020-09-30&reject`)).status, 204, 'rejected');
  same((await take(device)).status, 204, 'nothing is left');
  await receivesByItself(client, service);
  await client.close();
  await service.close();
  hub.writeLedger(startMs, entries, ['telemetry', 'a batch of telemetry'].map((name) => line(COLUMNS.http, name)));
}, 60);
