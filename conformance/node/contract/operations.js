'use strict';
// Telemetry, twin, registration, resync and status: what callers are answered, and what the hub has then.

const { createHmac } = require('node:crypto');
const { Client } = require('azure-iot-device');
const { Amqp } = require('azure-iot-device-amqp');
const { same, holds, env } = require('../lib/check');
const { own } = require('./lib/cloud');
const { Bridge } = require('./lib/bridge');
const { eventually } = require('./lib/wait');

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

module.exports = (add) => {
  add('O1', 'a message is 200 without a body, whichever members it has', async (t) => {
    const id = t.id('telemetry');
    const whole = { data: { n: 1 }, properties: { a: 'b' }, componentName: 'part' };
    for (const creationTimeUtc of [undefined, '2026-03-01T12:34:56.789Z', '2026-03-01T12:34:56+02:00', '2026-03-01T12:34:56', '2026-03-01T12:34:56.1234567']) {
      const answer = await t.bridge.device(id, 'POST', '/messages/events', { ...whole, creationTimeUtc });
      same([answer.status, answer.text], [200, ''], `created at ${creationTimeUtc}`);
    }
    const nulls = await t.bridge.device(id, 'POST', '/messages/events', { data: {}, properties: null, componentName: null, creationTimeUtc: null });
    same([nulls.status, nulls.text], [200, ''], 'what is null is not there');
  });

  add('O2 O3 A8', 'twin and reported properties', async (t) => {
    const id = t.id('twin');
    const patched = await t.bridge.device(id, 'PATCH', '/twin/properties/reported', { patch: { a: 1, b: { c: 'ü' }, gone: 1 } });
    same([patched.status, patched.text], [204, ''], 'PATCH');
    same((await t.bridge.device(id, 'PATCH', '/twin/properties/reported', { patch: { gone: null } })).status, 204, 'PATCH that removes');
    const version = await t.cloud.desire(id, { interval: 5, deep: { er: [1, 'x'] } });
    const seen = (await t.cloud.twin(id)).properties;
    same(own(seen.reported), { a: 1, b: { c: 'ü' } }, 'reported, as the hub has it');
    const read = await t.bridge.device(id, 'GET', '/twin');
    same([read.status, read.type, Object.keys(read.json), Object.keys(read.json.twin)], [200, 'application/json', ['twin'], ['properties']], 'GET');
    const { desired, reported } = read.json.twin.properties;
    same(own(desired), { interval: 5, deep: { er: [1, 'x'] } }, 'desired');
    same(own(reported), { a: 1, b: { c: 'ü' } }, 'reported');
    same([desired.$version, reported.$version], [version, seen.reported.$version], 'versions');
  });

  add('O16 O17 O18 C5', 'status, registration and resync', async (t) => {
    const id = t.id('registers');
    same((await t.bridge.device(id, 'GET', '/connectionStatus')).status, 404, 'status of a device that never tried to connect');
    same((await t.bridge.device(id, 'POST', '/registration', { modelId: 'dtmi:com:example:Thing;1' })).status, 200, 'registration');
    same((await t.cloud.twin(id)).status, 'enabled', 'and the hub has it');
    same((await t.bridge.device(id, 'GET', '/diagnostics')).json.hub, env('HUB'), 'its hub is remembered');
    same((await t.bridge.device(id, 'POST', '/messages/events', { data: {} })).status, 200, 'a message');
    same((await t.bridge.device(id, 'GET', '/connectionStatus')).json, { status: 'Connected', reason: 'Connection_Ok' }, 'status');
    const resync = await t.bridge.device(id, 'POST', '/resync');
    same([resync.status, resync.text], [202, ''], 'resync');
    same((await t.bridge.device(t.id('bare'), 'POST', '/registration')).status, 200, 'registration without a body');
  });

  add('O17 C4', 'a device never seen, by many requests at the same time', async (t) => {
    const id = t.id('at-once');
    const requests = Array.from({ length: 6 }, () => [['POST', '/registration', {}, 200], ['POST', '/messages/events', { data: {} }, 200], ['PATCH', '/twin/properties/reported', { patch: { a: 1 } }, 204]]).flat();
    const answers = await Promise.all(requests.map(([method, route, body]) => t.bridge.device(id, method, route, body)));
    same(answers.map((answer, n) => (answer.status === requests[n][3] ? 'ok' : answer.text)), requests.map(() => 'ok'), 'answers');
  });

  add('T3 T2', 'registered by the key derived from the group: the device SDK connects with the same', async (t) => {
    const id = t.id('derived');
    same((await t.bridge.device(id, 'POST', '/registration', {})).status, 200, 'registration');
    const key = createHmac('sha256', Buffer.from(env('GROUP_KEY'), 'base64')).update(id).digest('base64');
    const client = Client.fromConnectionString(`HostName=${env('HUB')};DeviceId=${id};SharedAccessKey=${key}`, Amqp);
    await client.open();
    await client.close();
    same((await t.cloud.twin(id)).deviceId, id, 'the registration id is the device id');
  });

  add('T4', 'registration with a wrong group key fails, and says so', async (t) => {
    const bridge = await t.own('wrong-group', { profile: Bridge.byGroup(Buffer.from('another key of another group, 32').toString('base64')) });
    const id = t.id('not-assigned');
    const answer = await bridge.device(id, 'POST', '/registration', {});
    same([answer.status, answer.type], [502, 'application/problem+json'], 'registration');
    holds(String(answer.json.code).startsWith('401'), `code ${answer.json.code}`);
  });

  add('C1 C4', 'a message connects its device for 9 to 11 minutes', async (t) => {
    const id = t.id('temporary');
    const startMs = Date.now();
    same((await t.bridge.device(id, 'POST', '/messages/events', { data: {} })).status, 200, 'the message waited for the connection');
    const seen = (await t.bridge.device(id, 'GET', '/diagnostics')).json;
    same([seen.state, seen.permanent], ['connected', false], 'state, and whether it stays');
    holds(TIME.test(seen.wantedUntil), `wanted until ${seen.wantedUntil}`);
    const until = Date.parse(seen.wantedUntil);
    holds(until >= startMs + 539_000 && until <= Date.now() + 661_000, `${Math.round((until - startMs) / 1000)} s from now`);
  });

  add('C4 D9', 'what the hub refuses is 502 with its code; a device gone from the hub comes back', async (t) => {
    const id = t.id('disabled');
    same((await t.bridge.device(id, 'POST', '/messages/events', { data: {} })).status, 200, 'a message');
    await t.cloud.allow(id, false);
    const refused = await eventually(async () => {
      const answer = await t.bridge.device(id, 'POST', '/messages/events', { data: {} });
      return answer.status !== 200 && answer;
    }, 'the hub refuses the device');
    same([refused.status, refused.type], [502, 'application/problem+json'], 'a message of a disabled device');
    same((await t.bridge.device(id, 'GET', '/connectionStatus')).json.status, 'Disconnected', 'its status');
    await t.cloud.allow(id, true);
    same((await t.bridge.device(id, 'POST', '/resync')).status, 202, 'resync');
    await t.bridge.connection(id, 'Connected');
  });
};
