'use strict';
// The life of subscriptions: made, replaced, read, removed; and the connection that they keep.

const { same, holds } = require('../lib/check');
const { ROUTES } = require('./lib/bridge');
const { problem } = require('./requests');
const { eventually } = require('./lib/wait');
const { Wire } = require('./lib/wire');

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;
const DATA = ['DesiredProperties', 'Methods', 'C2DMessages'];

async function life(t, kind) {
  const id = t.id(`life-${kind}`);
  const [first, second] = [t.hook('first'), t.hook('second')];
  const route = ROUTES[kind];
  problem(await t.bridge.device(id, 'GET', route), 404, 'GET of none');
  const gone = await t.bridge.device(id, 'DELETE', route);
  same([gone.status, gone.text], [204, ''], 'DELETE of none');
  const startMs = Date.now();
  const made = await t.bridge.device(id, 'PUT', route, { callbackUrl: first.url });
  same([made.status, made.type], [200, 'application/json'], 'PUT');
  const members = ['deviceId', 'subscriptionType', 'callbackUrl', 'createdAt', ...(kind === 'ConnectionStatus' ? [] : ['status'])];
  same(Object.keys(made.json).sort(), members.sort(), 'members');
  same([made.json.deviceId, made.json.subscriptionType, made.json.callbackUrl], [id, kind, first.url], 'what was made');
  holds(TIME.test(made.json.createdAt), `createdAt ${made.json.createdAt}`);
  const created = Date.parse(made.json.createdAt);
  holds(created >= startMs - 1000 && created <= Date.now() + 1000, 'it is the time of the request');
  if (kind !== 'ConnectionStatus') {
    holds(['Starting', 'Running'].includes(made.json.status), `status ${made.json.status}`);
    await t.bridge.is(id, kind, 'Running');
  }
  const read = await t.bridge.device(id, 'GET', route);
  same([read.status, { ...read.json, status: 0 }], [200, { ...made.json, status: 0 }], 'GET is the same');

  const replaced = await eventually(async () => {
    const answer = (await t.bridge.device(id, 'PUT', route, { callbackUrl: second.url })).json;
    return answer.createdAt !== made.json.createdAt && answer;
  }, 'PUT replaces the time');
  same([replaced.callbackUrl, replaced.subscriptionType], [second.url, kind], 'PUT replaces the URL');
  holds(Date.parse(replaced.createdAt) >= created, `createdAt ${replaced.createdAt}`);
  same((await t.bridge.device(id, 'GET', route)).json.callbackUrl, second.url, 'and GET says so');
  for (const other of Object.keys(ROUTES).filter((other) => other !== kind)) same((await t.bridge.subscription(id, other)).status, 404, `no ${other} came with it`);
  same((await t.bridge.device(id, 'DELETE', route)).status, 204, 'DELETE');
  problem(await t.bridge.device(id, 'GET', route), 404, 'GET after it');
  same((await t.bridge.device(id, 'DELETE', route)).status, 204, 'DELETE again');
}

module.exports = (add) => {
  const rows = { DesiredProperties: 'O4 O5 O6', Methods: 'O7 O8 O9', C2DMessages: 'O10 O11 O12', ConnectionStatus: 'O13 O14 O15' };
  for (const [kind, row] of Object.entries(rows)) add(`${row} S1 S2 S3 S4 A8`, `the life of a subscription for ${kind}`, (t) => life(t, kind));

  add('S2', 'events go to the URL that is there now', async (t) => {
    const id = t.id('moves');
    const [first, second] = [t.hook('first'), t.hook('second')];
    await t.bridge.running(id, { C2DMessages: first });
    await t.cloud.send(id, { n: 1 });
    await first.have(1);
    await t.bridge.subscribe(id, 'C2DMessages', second.url);
    await t.bridge.is(id, 'C2DMessages', 'Running');
    await t.cloud.send(id, { n: 2 });
    await second.have(1);
    same([first.events.length, second.events[0].messageBody], [1, { n: 2 }], 'what each has');
  });

  add('S5 S6', 'Starting without a hub, Running when connected, Stopped when the hub refuses', async (t) => {
    const wire = await new Wire().listen();
    wire.cut();
    const bridge = await t.own('no-wire', { flags: [...wire.flags, '--allow-callbacks', '127.0.0.0/8'] });
    const id = t.id('states');
    same((await bridge.subscribe(id, 'Methods', t.hook('states').url)).status, 'Starting', 'status at first');
    await eventually(async () => (await bridge.device(id, 'GET', '/diagnostics')).json?.hub, 'DPS has assigned it');
    same((await bridge.subscription(id, 'Methods')).json.status, 'Starting', 'status while the hub cannot be reached');
    wire.mend();
    await bridge.is(id, 'Methods', 'Running');
    await t.cloud.allow(id, false);
    await bridge.is(id, 'Methods', 'Stopped');
    same((await bridge.device(id, 'GET', '/connectionStatus')).json.status, 'Disconnected', 'its connection then');
    await t.cloud.allow(id, true);
    same((await bridge.device(id, 'POST', '/resync')).status, 202, 'resync');
    await bridge.is(id, 'Methods', 'Running');
  });

  add('C2 C3', 'connected while a data subscription exists, and no longer', async (t) => {
    const id = t.id('permanent');
    const hooks = Object.fromEntries(DATA.map((kind) => [kind, t.hook(kind)]));
    await t.bridge.running(id, hooks);
    const before = (await t.bridge.device(id, 'GET', '/diagnostics')).json;
    same([before.state, before.permanent], ['connected', true], 'state, and whether it stays');
    for (const kind of DATA) {
      same((await t.bridge.device(id, 'GET', '/connectionStatus')).json, { status: 'Connected', reason: 'Connection_Ok' }, `status with ${kind}`);
      same((await t.bridge.device(id, 'DELETE', ROUTES[kind])).status, 204, `DELETE ${kind}`);
    }
    same(await t.bridge.connection(id, 'Disabled'), { status: 'Disabled', reason: 'Client_Close' }, 'status when the last is gone');
    await eventually(async () => (await t.cloud.twin(id)).connectionState === 'Disconnected', 'the hub says so too');
  });

  add('C3', 'a device in use stays connected when its last subscription goes', async (t) => {
    const id = t.id('in-use');
    await t.bridge.running(id, { Methods: t.hook('methods') });
    same((await t.bridge.device(id, 'POST', '/messages/events', { data: {} })).status, 200, 'a message');
    same((await t.bridge.device(id, 'DELETE', ROUTES.Methods)).status, 204, 'DELETE');
    await eventually(async () => (await t.bridge.device(id, 'GET', '/diagnostics')).json.permanent === false, 'it is not there for a subscription');
    same((await t.bridge.device(id, 'POST', '/messages/events', { data: {} })).status, 200, 'another message');
    const seen = (await t.bridge.device(id, 'GET', '/diagnostics')).json;
    same([seen.state, seen.status], ['connected', 'Connected'], 'it is connected');
  });

  add('C3', 'a subscription for connection status alone connects nothing', async (t) => {
    const id = t.id('status-only');
    const hook = t.hook('status');
    await t.bridge.subscribe(id, 'ConnectionStatus', hook.url);
    same((await t.bridge.device(id, 'GET', '/connectionStatus')).status, 404, 'it never tried to connect');
    same((await t.bridge.device(id, 'POST', '/messages/events', { data: {} })).status, 200, 'a message');
    await hook.have(1);
    same([hook.events[0].status, hook.events[0].reason], ['Connected', 'Connection_Ok'], 'the first event');
  });

  add('S7', 'adding or removing one drops no other', async (t) => {
    const id = t.id('steady');
    const [methods, c2d, desired, status] = ['methods', 'c2d', 'desired', 'status'].map((name) => t.hook(name));
    await t.bridge.subscribe(id, 'ConnectionStatus', status.url);
    await t.bridge.running(id, { Methods: methods });
    const before = (await t.bridge.device(id, 'GET', '/diagnostics')).json;
    for (let round = 1; round <= 3; round += 1) {
      await t.bridge.running(id, { C2DMessages: c2d, DesiredProperties: desired });
      await t.cloud.send(id, { round });
      await t.cloud.desire(id, { round });
      await c2d.have(round);
      await desired.have(round);
      for (const kind of ['C2DMessages', 'DesiredProperties']) {
        const calls = Promise.all([1, 2, 3].map((n) => t.cloud.invoke(id, 'steady', n)));
        same((await t.bridge.device(id, 'DELETE', ROUTES[kind])).status, 204, `DELETE ${kind}`);
        same((await calls).map((answer) => answer.status), [200, 200, 200], 'methods meanwhile');
      }
    }
    const after = (await t.bridge.device(id, 'GET', '/diagnostics')).json;
    same([after.since, after.connection, after.state], [before.since, before.connection, 'connected'], 'the connection is the same');
    same(status.events.map((event) => event.status), ['Connected'], 'all that was told of it');
  });

  add('S8', 'what is removed gets nothing more, and what waits stays at the hub', async (t) => {
    const id = t.id('removed');
    const [methods, c2d] = [t.hook('methods'), t.hook('c2d')];
    await t.bridge.running(id, { Methods: methods, C2DMessages: c2d });
    same((await t.bridge.device(id, 'DELETE', ROUTES.C2DMessages)).status, 204, 'DELETE');
    await t.cloud.send(id, { n: 1 });
    same((await t.cloud.invoke(id, 'later', 1)).status, 200, 'a method');
    same([c2d.seen.length, await t.cloud.waiting(id)], [0, 1], 'events, and messages that wait');
    await t.bridge.running(id, { C2DMessages: c2d });
    await c2d.have(1);
    same(c2d.events[0].messageBody, { n: 1 }, 'it comes when there is a subscription again');
  });
};
