'use strict';
// Connection status: every change, in order, in the words of the contract.

const fs = require('node:fs');
const path = require('node:path');
const { same, holds, env } = require('../lib/check');
const { ROUTES } = require('./lib/bridge');
const { Wire } = require('./lib/wire');

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;
const LOCAL = ['--allow-callbacks', '127.0.0.0/8'];

const words = (hook) => hook.events.map(({ status, reason }) => `${status}/${reason}`);

module.exports = (add) => {
  add('E4 O16', 'connected and closed: the events, exactly', async (t) => {
    const [id, hook] = [t.id('exact'), t.hook('exact')];
    await t.bridge.subscribe(id, 'ConnectionStatus', hook.url);
    await t.bridge.running(id, { Methods: t.hook('methods') });
    await hook.have(1);
    same((await t.bridge.device(id, 'DELETE', ROUTES.Methods)).status, 204, 'the last data subscription goes');
    await hook.have(2);
    same(words(hook), ['Connected/Connection_Ok', 'Disabled/Client_Close'], 'events');
    for (const { event, method, headers } of hook.seen) {
      same([method, headers['content-type'].split(';')[0]], ['POST', 'application/json'], 'the request');
      same(Object.keys(event).sort(), ['deviceId', 'deviceReceivedAt', 'eventType', 'reason', 'status'], 'members');
      same([event.eventType, event.deviceId], ['ConnectionStatusChange', id], 'what it is');
      holds(TIME.test(event.deviceReceivedAt), `deviceReceivedAt ${event.deviceReceivedAt}`);
    }
    await t.bridge.running(id, { Methods: t.hook('again') });
    await hook.have(3);
    same(words(hook)[2], 'Connected/Connection_Ok', 'and connected again');
  });

  add('E4', 'a wire that is cut and mended, three times: nothing left out, nothing out of order', async (t) => {
    const wire = await new Wire().listen();
    const bridge = await t.own('status-wire', { flags: [...wire.flags, ...LOCAL] });
    const [id, hook] = [t.id('wire'), t.hook('wire', (attempt) => ({ delayMs: attempt.number % 2 ? 300 : 0 }))];
    await bridge.subscribe(id, 'ConnectionStatus', hook.url);
    await bridge.running(id, { C2DMessages: t.hook('c2d') });
    const expected = ['Connected/Connection_Ok'];
    for (let round = 0; round < 3; round += 1) {
      wire.cut();
      same(await bridge.connection(id, 'Disconnected_Retrying'), { status: 'Disconnected_Retrying', reason: 'Communication_Error' }, 'status');
      wire.mend();
      await bridge.connection(id, 'Connected', 60);
      expected.push('Disconnected_Retrying/Communication_Error', 'Connected/Connection_Ok');
      await hook.have(expected.length);
      same(words(hook), expected, 'events');
    }
    same(hook.mostOpen, 1, 'most at a time');
  }, { long: 20 });

  add('E4', 'disabled at the hub, and enabled again', async (t) => {
    const [id, hook] = [t.id('disabled'), t.hook('disabled')];
    await t.bridge.subscribe(id, 'ConnectionStatus', hook.url);
    await t.bridge.running(id, { Methods: t.hook('methods') });
    await t.cloud.allow(id, false);
    await hook.find((event) => event.status === 'Disconnected', 'Disconnected');
    same(words(hook).at(-1), 'Disconnected/Device_Disabled', 'the last event');
    same((await t.bridge.device(id, 'GET', '/connectionStatus')).json, { status: 'Disconnected', reason: 'Device_Disabled' }, 'GET says so too');
    await t.cloud.allow(id, true);
    same((await t.bridge.device(id, 'POST', '/resync')).status, 202, 'resync');
    await t.bridge.connection(id, 'Connected');
    await hook.find((event, attempt) => attempt.number > 1 && event.status === 'Connected', 'Connected');
  });

  add('E4', 'a key that the hub refuses', async (t) => {
    const id = t.id('bad-key');
    await t.cloud.registry.create({ deviceId: id });
    const file = path.join(env('FOLDER'), `${id}.txt`);
    fs.writeFileSync(file, `HostName=${env('HUB')};DeviceId=${id};SharedAccessKey=${Buffer.from('a key that is not the device one').toString('base64')}\n`);
    const bridge = await t.own('bad-key', { profile: ['--devices-file', file], flags: LOCAL });
    const hook = t.hook('bad-key');
    await bridge.subscribe(id, 'ConnectionStatus', hook.url);
    await bridge.subscribe(id, 'Methods', t.hook('methods').url);
    same(await bridge.connection(id, 'Disconnected'), { status: 'Disconnected', reason: 'Bad_Credential' }, 'status');
    await hook.find((event) => event.status === 'Disconnected', 'Disconnected');
    same(words(hook).at(-1), 'Disconnected/Bad_Credential', 'the last event');
    await bridge.is(id, 'Methods', 'Stopped');
  });

  add('E4', 'a receiver that is slow sees every change, or is told how many it does not', async (t) => {
    let free;
    const until = new Promise((resolve) => { free = resolve; });
    const [id, hook] = [t.id('slow'), t.hook('slow', { until })];
    await t.bridge.subscribe(id, 'ConnectionStatus', hook.url);
    const rounds = 40;
    for (let round = 0; round < rounds; round += 1) {
      await t.bridge.subscribe(id, 'Methods', t.hook(`methods-${round}`).url);
      await t.bridge.connection(id, 'Connected');
      same((await t.bridge.device(id, 'DELETE', ROUTES.Methods)).status, 204, 'DELETE');
      await t.bridge.connection(id, 'Disabled');
    }
    free();
    // Attempts at one event count once.
    const once = () => [...new Map(hook.seen.map(({ headers, event }) => [headers['webhook-id'], event])).values()];
    const told = () => once().reduce((sum, event) => sum + 1 + (event.skipped ?? 0), 0);
    await hook.find(() => told() >= 2 * rounds, 'all changes, told or counted', 60);
    same(told(), 2 * rounds, 'changes that were told or counted');
    same(words(hook).at(-1), 'Disabled/Client_Close', 'the last event');
    const events = once();
    same(events.filter((event, n) => n > 0 && !event.skipped && event.status === events[n - 1].status), [], 'events that repeat the one before');
  }, { long: 30 });
};
