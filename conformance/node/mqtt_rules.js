'use strict';
// What an MQTT client that is no SDK of Azure's (MQTT.js) sees of a hub's rules: who may connect, which topics there are, sessions that go on,
// wills, retained messages, and connections of other protocols that take the device over.

const crypto = require('node:crypto');
const mqtt = require('mqtt');
const iothub = require('azure-iothub');
const { Client, Message } = require('azure-iot-device');
const { Amqp } = require('azure-iot-device-amqp');
const { run, env, same, holds, refused } = require('./lib/check');
const hub = require('./lib/hub');

/** A token of a device. */
function sas(host, record, { key = record.authentication.symmetricKey.primaryKey, lifeS = 3600, rest = '' } = {}) {
  const resource = encodeURIComponent(`${host}/devices/${record.deviceId}${rest}`);
  const expiry = Math.floor(Date.now() / 1000) + lifeS;
  const signature = crypto.createHmac('sha256', Buffer.from(key, 'base64')).update(`${resource}\n${expiry}`).digest('base64');
  return `SharedAccessSignature sr=${resource}&sig=${encodeURIComponent(signature)}&se=${expiry}`;
}

/** Connects. Rejects with the error of CONNACK. */
function connect(record, more = {}) {
  const host = env('HUB');
  const options = {
    host,
    port: 8883,
    protocol: 'mqtts',
    clientId: record.deviceId,
    username: `${host}/${record.deviceId}/?api-version=2021-04-12`,
    password: sas(host, record),
    clean: false,
    reconnectPeriod: 0,
    connectTimeout: 5_000,
    ...more,
  };
  return new Promise((resolve, reject) => {
    const client = mqtt.connect(options);
    client.once('connect', (connack) => resolve({ client, connack }));
    client.once('error', (error) => reject(error));
    client.once('close', () => reject(new Error('closed without CONNACK')));
  });
}

const closed = (client) => new Promise((resolve) => (client.connected ? client.once('close', () => resolve(true)) : resolve(true)));
const end = (client) => new Promise((resolve) => client.end(false, {}, resolve));
const subscribe = (client, filter, qos = 1) =>
  new Promise((resolve) => client.subscribe(filter, { qos }, (error, granted) => resolve(error ? error.message : granted.map((one) => one.qos))));
const publish = (client, topic, payload, options = { qos: 1 }) =>
  new Promise((resolve, reject) => client.publish(topic, payload, options, (error) => (error ? reject(error) : resolve(true))));
const next = (client) => new Promise((resolve) => client.once('message', (topic, payload) => resolve({ topic, payload: payload.toString('utf8') })));

async function whoMayConnect(device, other) {
  const host = env('HUB');
  const cases = [
    ['a wrong key', { password: sas(host, device, { key: Buffer.from('no key of anybody').toString('base64') }) }],
    ['an expired token', { password: sas(host, device, { lifeS: -3600 }) }],
    ["another device's token", { password: sas(host, other) }],
    ['no password', { password: undefined }],
    ['a client id of another device', { clientId: other.deviceId }],
    ['a user name without a device', { username: host }],
    ['another hub', { username: `nothub.localtest/${device.deviceId}/?api-version=1` }],
    ['a module', { clientId: `${device.deviceId}/m`, username: `${host}/${device.deviceId}/m/?api-version=1` }],
  ];
  for (const [what, options] of cases) {
    const error = await refused(connect(device, options), what);
    same(error.message, 'Connection refused: Not authorized', 'by CONNACK 5');
  }
  const fifth = await refused(connect(device, { protocolVersion: 5 }), 'MQTT 5');
  same([fifth.code, fifth.message], [0x84, 'Connection refused: Unsupported Protocol Version'], 'by its own CONNACK');
  for (const [what, options] of [
    ['a user name without api-version', { username: `${host}/${device.deviceId}` }],
    ['a token that goes on with api-version', { password: sas(host, device, { rest: '/api-version=2016-11-14' }) }],
    ['an api-version of tomorrow', { username: `${host}/${device.deviceId}/?api-version=2099-01-01&model-id=dtmi%3Aa%3Bb%3B1` }],
  ]) {
    const { client } = await connect(device, options);
    holds(client.connected, what);
    await end(client);
  }
}

async function sessions(device, service) {
  const filter = `devices/${device.deviceId}/messages/devicebound/#`;
  const first = await connect(device, { clean: true });
  same(first.connack.sessionPresent, false, 'a clean session is new');
  same(await subscribe(first.client, filter), [1], 'subscribed');
  await end(first.client);
  const second = await connect(device);
  same(second.connack.sessionPresent, false, 'nothing is left of a clean session');
  same(await subscribe(second.client, filter, 2), [1], 'QoS 2 is granted as 1');
  await end(second.client);
  await service.send(device.deviceId, new Message('while away'));
  const host = env('HUB');
  const third = mqtt.connect({
    host, port: 8883, protocol: 'mqtts', clientId: device.deviceId, username: `${host}/${device.deviceId}/?api-version=2021-04-12`,
    password: sas(host, device), clean: false, reconnectPeriod: 0,
  });
  const present = new Promise((resolve) => third.once('connect', (connack) => resolve(connack.sessionPresent)));
  const came = next(third);
  same(await present, true, 'a session goes on');
  same((await came).payload, 'while away', 'with its subscription, though it did not subscribe again');
  const plus = await subscribe(third, 'devices/+/messages/devicebound/#');
  same(plus, [1], 'a plus stands for the device');
  await new Promise((resolve) => third.unsubscribe([filter, 'devices/+/messages/devicebound/#'], resolve));
  await end(third);
  const fourth = await connect(device);
  same(fourth.connack.sessionPresent, true, 'a session without subscriptions is one too');
  await end(fourth.client);
}

async function topics(device) {
  const { client } = await connect(device);
  for (const filter of ['#', 'devices/somebody/messages/devicebound/#', 'telemetry', `devices/${device.deviceId}/messages/events/#`]) {
    same(await subscribe(client, filter), [128], `${filter} is not to be had`);
  }
  await end(client);
  for (const [what, topic, options] of [
    ['a topic of its own', 'telemetry', { qos: 0 }],
    ["another device's topic", 'devices/somebody/messages/events/', { qos: 1 }],
    ['QoS 2', `devices/${device.deviceId}/messages/events/`, { qos: 2 }],
    ['properties that are not percent-encoded', `devices/${device.deviceId}/messages/events/a=%zz`, { qos: 1 }],
    ['a message over 256 KB', `devices/${device.deviceId}/messages/events/`, { qos: 1 }],
  ]) {
    const { client: one } = await connect(device);
    const gone = closed(one);
    const payload = what.startsWith('a message') ? Buffer.alloc(256 * 1024 + 1) : 'x';
    one.publish(topic, payload, options);
    holds(await gone, `${what} ends the connection`);
    one.end(true);
  }
}

async function twins(device) {
  const { client } = await connect(device, { clean: true });
  same(await subscribe(client, '$iothub/twin/res/#', 0), [0], 'answers');
  let answer = next(client);
  await publish(client, '$iothub/twin/GET/?$rid=a-1', '', { qos: 0 });
  const twin = await answer;
  same(twin.topic, '$iothub/twin/res/200/?$rid=a-1', 'the topic of a twin');
  same(Object.keys(JSON.parse(twin.payload)), ['desired', 'reported'], 'without a wrapper');
  const report = async (query, body) => {
    answer = next(client);
    await publish(client, `$iothub/twin/PATCH/properties/reported/${query}`, body, { qos: 0 });
    return answer;
  };
  const version = JSON.parse(twin.payload).reported.$version;
  const done = await report('?$rid=2', '{"a":1}');
  same([done.topic, done.payload], [`$iothub/twin/res/204/?$rid=2&$version=${version + 1}`, ''], 'reported');
  same((await report(`?$rid=3&$version=${version}`, '{"a":2}')).topic, '$iothub/twin/res/412/?$rid=3', 'a stale version');
  same((await report(`?$rid=4&$version=${version + 1}`, '{"a":2}')).topic, `$iothub/twin/res/204/?$rid=4&$version=${version + 2}`, 'the right version');
  const bad = await report('?$rid=5', 'no JSON');
  same(bad.topic, '$iothub/twin/res/400/?$rid=5', 'a body that is no JSON');
  holds(typeof JSON.parse(bad.payload).errorCode === 'number', 'says its code');
  await end(client);
}

/** One connection for each device, whatever it speaks. */
async function takenOver(device) {
  const { client } = await connect(device);
  let gone = closed(client);
  const { client: second } = await connect(device);
  holds(await gone, 'a second connection over MQTT ends the first one');
  gone = closed(second);
  const amqp = Client.fromConnectionString(hub.connectionString(device), Amqp);
  await amqp.open();
  await amqp.sendEvent(new Message('over AMQP'));
  holds(await gone, 'a link over AMQP ends it');
  await amqp.close();
}

async function wills(device) {
  const topic = `devices/${device.deviceId}/messages/events/kind=last`;
  const will = { topic, payload: 'gone', qos: 1, retain: true };
  const { client } = await connect(device, { will });
  await publish(client, `devices/${device.deviceId}/messages/events/%24.mid=m1&%24.ct=application%2Fjson`, '{}', { qos: 1, retain: true });
  // Not a goodbye: the socket is destroyed.
  client.stream.destroy();
  await closed(client);
  const polite = await connect(device, { will: { topic, payload: 'never', qos: 1, retain: false } });
  await end(polite.client);
}

run(async () => {
  const records = await hub.createDevices(['mqtt-1', 'mqtt-2', 'mqtt-will']);
  const service = iothub.Client.fromConnectionString(env('HUB_CONNECTION_STRING'));
  await service.open();
  const startMs = Date.now();
  const device = records.get('mqtt-1');
  await whoMayConnect(device, records.get('mqtt-2'));
  await sessions(device, service);
  await topics(device);
  await twins(device);
  await takenOver(device);
  await wills(records.get('mqtt-will'));
  await service.close();
  // What the readers of events must find.
  const entry = (id, body, more) => hub.entry(records.get(id), body, more);
  hub.writeLedger(startMs, [
    entry('mqtt-1', 'over AMQP'),
    entry('mqtt-will', '{}', { messageId: 'm1', contentType: 'application/json', properties: { 'mqtt-retain': 'true' } }),
    entry('mqtt-will', 'gone', { properties: { kind: 'last', 'mqtt-retain': 'true', 'iothub-MessageType': 'Will' } }),
  ]);
}, 60);
