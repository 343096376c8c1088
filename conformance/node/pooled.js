'use strict';
// Pooling as .NET's device SDK does it, by rhea: one connection without SASL, one session for CBS, and a session for each of 100 devices, in which
// every device's links have the same names. Messages to a device are settled in mode second: the device waits for the hub's own word.

const fs = require('node:fs');
const rhea = require('rhea');
const iothub = require('azure-iothub');
const { Client, Message } = require('azure-iot-device');
const { Amqp } = require('azure-iot-device-amqp');
const { SharedAccessSignature } = require('azure-iot-common');
const { run, env, same, holds } = require('./lib/check');
const { line } = require('./lib/capability');
const hub = require('./lib/hub');

const DEVICES = 100;
const COLUMN = 'rhea-pooled';
const MODEL = 'dtmi:com:example:Thermostat;1';
const API = { 'com.microsoft:api-version': '2020-09-30', 'com.microsoft:client-version': 'drawspan conformance' };

const shows = (name, error) => console.log(line(COLUMN, name, error));
/** The next of an emitter's events of this name, or an error of it. */
const next = (emitter, name) => new Promise((resolve) => emitter.once(name, resolve));
const path = (device) => `amqps://${env('HUB')}:5671/devices/${device.deviceId}`;
const inTurn = (device) => Number(device.deviceId.slice('pooled-'.length));

function connect() {
  const container = rhea.create_container();
  const connection = container.connect({
    transport: 'tls', host: env('HUB'), port: 5671, servername: env('HUB'), hostname: env('HUB'),
    ca: fs.readFileSync(env('CA')), idle_time_out: 120_000, max_frame_size: 65_536, channel_max: 8_191, reconnect: false,
  });
  return next(connection, 'connection_open').then(() => connection);
}

/** A session, begun, whose links may have the names of another session's. */
async function session(connection) {
  const begun = connection.create_session();
  begun.begin();
  await next(begun, 'session_open');
  return begun;
}

/** The links of CBS, and a function that puts tokens. */
async function cbs(connection) {
  const own = await session(connection);
  const replies = own.open_receiver({ name: 'duplex:1:receiver', source: '$cbs', target: 'reply-to-1', snd_settle_mode: 1, credit_window: 50 });
  const requests = own.open_sender({ name: 'duplex:1:sender', target: '$cbs', snd_settle_mode: 1 });
  const waiting = new Map();
  replies.on('message', ({ message }) => waiting.get(message.correlation_id)(message.application_properties['status-code']));
  await next(requests, 'sendable');
  let count = 0;
  return (device, key = device.authentication.symmetricKey.primaryKey, lifeS = 3600) => {
    const name = `${env('HUB')}/devices/${encodeURIComponent(device.deviceId)}`;
    const expiry = Math.floor(Date.now() / 1000) + lifeS;
    const token = SharedAccessSignature.create(encodeURIComponent(name), undefined, key, expiry).toString();
    const id = `token-${(count += 1)}`;
    const status = new Promise((resolve) => waiting.set(id, resolve));
    requests.send({
      message_id: id, to: '$cbs', reply_to: 'reply-to-1', body: token,
      application_properties: { operation: 'put-token', type: 'azure-devices.net:sastoken', name, expiration: new Date(expiry * 1000) },
    });
    return status;
  };
}

/** A device's session, and its links by the names that .NET gives to every device's. */
async function unit(connection, device) {
  const own = await session(connection);
  const properties = API;
  const telemetry = own.open_sender({
    name: 'TelemetrySenderLink', target: `${path(device)}/messages/events`, source: device.deviceId,
    properties: { ...properties, 'com.microsoft:model-id': MODEL },
  });
  const messages = own.open_receiver({
    name: 'TelemetryReceiverLink', source: `${path(device)}/messages/deviceBound`, target: device.deviceId, properties,
    rcv_settle_mode: 1, autoaccept: false, credit_window: 50,
  });
  await Promise.all([next(telemetry, 'sendable'), next(messages, 'receiver_open')]);
  const arrived = [];
  messages.on('message', (context) => arrived.push(context));
  return { device, own, telemetry, messages, arrived };
}

/** Sends, and waits for the hub's word. */
async function send({ device, telemetry }, body) {
  const accepted = next(telemetry, 'accepted');
  telemetry.send({ message_id: `m-${body}`, content_type: 'application/json', body: rhea.message.data_section(Buffer.from(body)), application_properties: { n: String(inTurn(device)) } });
  await accepted;
  return hub.entry(device, body, { model: MODEL, messageId: `m-${body}`, contentType: 'application/json', properties: { n: String(inTurn(device)) } });
}

/** One transfer of many messages, each of which becomes an event, and one that is too large, after which the link is as it was. */
async function batches({ device, telemetry }) {
  const one = (body) => rhea.message.encode({ application_properties: { of: 'batch' }, body: rhea.message.data_section(Buffer.from(body)) });
  const bodies = ['first', 'second', 'third'];
  const batch = rhea.message.encode({ body: rhea.message.data_sections(bodies.map(one)) });
  const accepted = next(telemetry, 'accepted');
  telemetry.send(batch, undefined, 0x80013700);
  await accepted;
  const rejected = next(telemetry, 'rejected');
  telemetry.send({ body: rhea.message.data_section(Buffer.alloc(256 * 1024 + 1)) });
  const { condition } = (await rejected).delivery.remote_state.error;
  same(condition, 'amqp:link:message-size-exceeded', 'why a message over 256 KB is rejected');
  shows('a message over 256 KB', condition);
  return bodies.map((body) => hub.entry(device, body, { model: MODEL, properties: { of: 'batch' } }));
}

/** Takes the device's next message, settles it, and waits until the hub has settled it too. */
async function take({ device, messages, arrived }, settle) {
  const { message, delivery } = await hub.eventually(() => arrived.shift(), 'a message');
  same(Buffer.from(message.body.content).toString('utf8'), `to ${device.deviceId}`, 'body');
  same([delivery.tag.length, delivery.remote_settled], [16, false], 'length of the delivery tag, and whether it was settled before');
  const settled = next(messages, 'settled');
  delivery.update(false, settle);
  await settled;
  holds(delivery.remote_settled, 'settled by the hub');
}

async function methodsAndTwin(service, registry, { device, own }) {
  const pair = async (kind, address) => {
    const properties = { ...API, 'com.microsoft:channel-correlation-id': `${kind}:${device.deviceId}` };
    const names = kind === 'twin' ? ['TwinSenderLink', 'TwinReceiverLink'] : ['MethodsSenderLink', 'MethodsReceiverLink'];
    const sender = own.open_sender({ name: names[0], target: `${path(device)}${address}`, snd_settle_mode: 1, properties });
    const receiver = own.open_receiver({ name: names[1], source: `${path(device)}${address}`, snd_settle_mode: 1, properties, credit_window: 50 });
    await Promise.all([next(sender, 'sendable'), next(receiver, 'receiver_open')]);
    return { sender, receiver };
  };
  const calls = await pair('methods', '/methods/deviceBound');
  calls.receiver.on('message', ({ message }) => {
    const { correlation_id: id, application_properties: properties, body } = message;
    holds(Buffer.isBuffer(id) && id.length === 16, 'the correlation id of a call is an AMQP uuid');
    same(properties, { 'IoThub-methodname': 'echo' }, 'properties of a call');
    calls.sender.send({
      correlation_id: rhea.types.wrap_uuid(id), application_properties: { 'IoThub-status': rhea.types.wrap_int(207) }, body: rhea.message.data_section(body.content),
    });
  });
  const answer = async () => (await service.invokeDeviceMethod(device.deviceId, { methodName: 'echo', payload: { n: 1 }, responseTimeoutInSeconds: 30 })).result;
  same(await answer(), { status: 207, payload: { n: 1 } }, 'answer of a method');
  shows('methods');
  const twin = await pair('twin', '/twin');
  const answers = new Map();
  const json = ({ body }) => JSON.parse(Buffer.from(body.content).toString('utf8'));
  // News are what answers nothing.
  twin.receiver.on('message', ({ message }) => answers.set(message.correlation_id ?? 'news', message));
  const ask = async (id, operation, resource, body) => {
    const annotations = { operation, ...(resource && { resource }) };
    twin.sender.send({ correlation_id: id, message_annotations: annotations, body: rhea.message.data_section(Buffer.from(body)) });
    return hub.eventually(() => answers.get(id), `the answer to ${operation}`);
  };
  // Three in a row, of which the client waits for the last one only.
  const subscribed = ask('put-1', 'PUT', '/notifications/twin/properties/desired', '');
  const read = await ask('get-1', 'GET', '', '');
  same(json(read), { desired: { $version: 1 }, reported: { $version: 1 } }, 'twin');
  same((await subscribed).message_annotations.status, 200, 'status of a subscription');
  shows('twin');
  const patched = await ask('patch-1', 'PATCH', '/properties/reported', '{"a":1}');
  same([Math.floor(patched.message_annotations.status / 100), patched.message_annotations.version], [2, 2], 'class of status and version of a report');
  shows('reported properties');
  const bad = await ask('patch-2', 'PATCH', '/properties/reported', '{"a.b":1}');
  same([bad.message_annotations.status, json(bad).errorCode], [400, 400004], 'status and code of a name with a dot');
  shows('a twin property with a dot in its name', 'status 400');
  await registry.updateTwin(device.deviceId, { properties: { desired: { interval: 5 } } }, '*');
  same(json(await hub.eventually(() => answers.get('news'), 'news')), { interval: 5, $version: 2 }, 'news');
  shows('desired properties');
}

run(async () => {
  const startMs = Date.now();
  const registry = iothub.Registry.fromConnectionString(env('HUB_CONNECTION_STRING'));
  const ids = Array.from({ length: DEVICES }, (_, n) => ({ deviceId: `pooled-${n}` }));
  same((await registry.addDevices(ids)).responseBody.isSuccessful, true, `${DEVICES} devices`);
  const devices = await Promise.all(ids.map(async ({ deviceId }) => (await registry.get(deviceId)).responseBody));
  const service = iothub.Client.fromConnectionString(env('HUB_CONNECTION_STRING'));
  await service.open();

  const connection = await connect();
  const put = await cbs(connection);
  same(new Set(await Promise.all(devices.map((device) => put(device)))), new Set([200]), 'status of all tokens');
  const wrong = await put(devices[0], Buffer.from('not the key of this device at all').toString('base64'));
  same([wrong, await put({ ...devices[0], deviceId: 'nobody-here' })], [401, 404], 'status of a token of a wrong key, and of one of an unknown device');
  // rhea has no classes of errors; what counts is the status that CBS gives.
  shows('a wrong key', 'status-code 401');
  shows('an unknown device', 'status-code 404');
  shows('an expired token', `status-code ${await put(devices[0], undefined, -3600)}`);
  const [disabled] = devices.splice(-1);
  await registry.update({ ...disabled, status: 'disabled' });
  shows('a disabled device', `status-code ${await put(disabled)}`);
  const units = await Promise.all(devices.map((device) => unit(connection, device)));
  const entries = await Promise.all(units.map((one) => send(one, `{"device":${inTurn(one.device)}}`)));
  entries.push(...(await batches(units[5])));

  const outcomes = [rhea.message.accepted(), rhea.message.rejected(), rhea.message.released()];
  const taken = units.map(async (one) => {
    const outcome = inTurn(one.device) % outcomes.length;
    await take(one, outcomes[outcome].described());
    // What is given back comes again.
    if (outcome === 2) await take(one, outcomes[0].described());
  });
  await Promise.all(devices.map((device) => service.send(device.deviceId, new Message(`to ${device.deviceId}`))));
  await Promise.all(taken);
  for (const name of ['messages to the device', 'a message is completed', 'a message is rejected', 'a message is abandoned']) shows(name);
  const waiting = await Promise.all(ids.map(async ({ deviceId }) => (await registry.get(deviceId)).responseBody.cloudToDeviceMessageCount));
  same(new Set(waiting), new Set([0]), 'messages that are left at the hub');
  await methodsAndTwin(service, registry, units[7]);

  // Tokens are renewed where they are, and links do not notice.
  same(new Set(await Promise.all(units.map((one) => put(one.device)))), new Set([200]), 'status of renewed tokens');
  entries.push(...(await Promise.all(units.map((one) => send(one, `{"renewed":${inTurn(one.device)}}`)))));
  shows('a token is renewed');

  // One device that ends its session, one that is deleted, one that connects elsewhere, and all others go on.
  units[1].own.close();
  await next(units[1].own, 'session_close');
  const gone = Promise.all([next(units[2].telemetry, 'sender_error'), next(units[2].messages, 'receiver_error')]);
  await registry.delete('pooled-2');
  const [{ sender }, { receiver }] = await gone;
  same([sender.error.condition, receiver.error.condition], ['amqp:not-found', 'amqp:not-found'], "why a deleted device's links ended");
  // One that connects elsewhere, by the SDK.
  const stolen = Promise.all([next(units[3].telemetry, 'sender_error'), next(units[3].messages, 'receiver_error')]);
  const elsewhere = Client.fromConnectionString(hub.connectionString(units[3].device), Amqp);
  await elsewhere.open();
  await elsewhere.sendEvent(new Message('elsewhere'));
  entries.push(hub.entry(units[3].device, 'elsewhere'));
  const [{ sender: lost }] = await stolen;
  same(lost.error.condition, 'amqp:link:stolen', 'why the links ended of a device that connected elsewhere');
  shows('a second connection takes over');
  await elsewhere.close();
  const others = units.filter((one) => ![1, 2, 3].includes(inTurn(one.device)));
  entries.push(...(await Promise.all(others.map((one) => send(one, `{"still":${inTurn(one.device)}}`)))));
  holds(connection.is_open(), 'the connection is as it was');
  connection.close();
  await next(connection, 'connection_close');
  await service.close();
  hub.writeLedger(startMs, entries, ['telemetry', 'a batch of telemetry', 'a model id'].map((name) => line(COLUMN, name)));
}, 60);
