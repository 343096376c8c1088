'use strict';
// Desired properties: the event, and what was missed while the device was away.

const { same, holds } = require('../lib/check');
const { own, PAYLOAD_SECRET } = require('./lib/cloud');
const { Wire } = require('./lib/wire');

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;
const MEMBERS = ['desiredProperties', 'deviceId', 'deviceReceivedAt', 'eventType'];
const LOCAL = ['--allow-callbacks', '127.0.0.0/8'];

/** Of all events. The first after a connection may be the full state, if it came while the bridge looked for what it had missed. */
const versions = (hook) => hook.events.map((event) => event.desiredProperties.$version);

async function wired(t, name) {
  const wire = await new Wire().listen();
  const bridge = await t.own(name, { flags: [...wire.flags, ...LOCAL] });
  const [id, hook] = [t.id(name), t.hook(name)];
  await bridge.running(id, { DesiredProperties: hook });
  const version = await t.cloud.desire(id, { first: 1 });
  await hook.find((event) => event.desiredProperties.$version === version, 'the first change');
  return { wire, bridge, id, hook };
}

module.exports = (add) => {
  add('E1', 'the event, exactly', async (t) => {
    const [id, hook] = [t.id('exact'), t.hook('exact')];
    await t.bridge.running(id, { DesiredProperties: hook });
    const startMs = Date.now();
    const version = await t.cloud.desire(id, { interval: 30, nested: { text: 'é', secret: PAYLOAD_SECRET }, list: [1] });
    const [{ event, method, headers }] = await hook.have(1);
    same([method, headers['content-type'].split(';')[0]], ['POST', 'application/json'], 'the request');
    same(Object.keys(event).sort(), MEMBERS, 'members');
    same([event.eventType, event.deviceId], ['DesiredPropertyUpdate', id], 'what it is');
    same(own(event.desiredProperties), { interval: 30, nested: { text: 'é', secret: PAYLOAD_SECRET }, list: [1] }, 'desiredProperties');
    same(event.desiredProperties.$version, version, '$version');
    holds(TIME.test(event.deviceReceivedAt), `deviceReceivedAt ${event.deviceReceivedAt}`);
    const received = Date.parse(event.deviceReceivedAt);
    holds(received >= startMs - 1000 && received <= Date.now() + 1000, 'received now');
    const next = await t.cloud.desire(id, { interval: null });
    const [, { event: second }] = await hook.have(2);
    same(second.desiredProperties, { interval: null, $version: next }, 'the change alone, a removal as null');
  });

  add('E1', 'changes come in their order', async (t) => {
    const [id, hook] = [t.id('order'), t.hook('order', (attempt) => ({ delayMs: attempt.number % 3 ? 0 : 40 }))];
    await t.bridge.running(id, { DesiredProperties: hook });
    const versions = [];
    for (let n = 0; n < 10; n += 1) versions.push(await t.cloud.desire(id, { n }));
    await hook.find((event) => event.desiredProperties.$version === versions.at(-1), 'the last change');
    same(hook.events.map((event) => event.desiredProperties.$version), versions, 'versions');
    same(hook.mostOpen, 1, 'most at a time');
  });

  add('D8', 'what was missed while the wire was cut comes as the full state, once', async (t) => {
    const { wire, bridge, id, hook } = await wired(t, 'gap');
    wire.cut();
    await bridge.connection(id, 'Disconnected_Retrying');
    await t.cloud.desire(id, { missed: { a: 1 } });
    const version = await t.cloud.desire(id, { first: null, missed: { b: 2 } });
    wire.mend();
    const { event } = await hook.find((event) => event.fullState === true, 'the full state', 60);
    same(Object.keys(event).sort(), [...MEMBERS, 'fullState'].sort(), 'members');
    same([own(event.desiredProperties), event.desiredProperties.$version], [{ missed: { a: 1, b: 2 } }, version], 'desiredProperties');
    const last = await t.cloud.desire(id, { after: true });
    await hook.find((event) => event.desiredProperties.$version === last, 'the next change');
    same(versions(hook), [version - 2, version, last], 'all events');
    same(hook.events.map((event) => event.fullState === true), [false, true, false], 'which were the full state');
  }, { long: 20 });

  add('D8', 'a cut wire without a change brings nothing', async (t) => {
    const { wire, bridge, id, hook } = await wired(t, 'no-gap');
    wire.cut();
    await bridge.connection(id, 'Disconnected_Retrying');
    wire.mend();
    await bridge.connection(id, 'Connected', 60);
    await bridge.is(id, 'DesiredProperties', 'Running');
    const last = await t.cloud.desire(id, { after: true });
    await hook.find((event) => event.desiredProperties.$version === last, 'the next change');
    same(versions(hook), [last - 1, last], 'all events');
  }, { long: 20 });

  add('D8 C7', 'what was missed while the bridge was away comes as the full state', async (t) => {
    const { bridge, id, hook } = await wired(t, 'restart');
    await bridge.end('SIGTERM');
    const version = await t.cloud.desire(id, { missed: true });
    await bridge.start();
    const { event } = await hook.find((event) => event.fullState === true, 'the full state', 60);
    same([own(event.desiredProperties), event.desiredProperties.$version], [{ first: 1, missed: true }, version], 'desiredProperties');
    await bridge.restart('SIGTERM');
    await bridge.is(id, 'DesiredProperties', 'Running');
    const last = await t.cloud.desire(id, { after: true });
    await hook.find((event) => event.desiredProperties.$version === last, 'the next change');
    same(versions(hook), [version - 1, version, last], 'nothing was missed by the second restart');
  }, { long: 20 });
};
