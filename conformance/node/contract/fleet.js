'use strict';
// Subscriptions for many devices at a time, and the list of devices.

const { same, holds } = require('../lib/check');
const { eventually } = require('./lib/wait');
const { problem } = require('./requests');

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

async function known(t, names) {
  for (const name of names) same((await t.bridge.device(name, 'POST', '/registration', {})).status, 200, `registration of ${name}`);
}

module.exports = (add) => {
  add('B7', 'the life of a subscription for a prefix', async (t) => {
    const prefix = `${t.id('life')}-`;
    const route = `/subscriptions/Methods?prefix=${prefix}`;
    problem(await t.bridge.call('GET', route), 404, 'GET of none');
    const made = await t.bridge.call('PUT', route, { callbackUrl: t.hook('life').url });
    same(made.status, 200, 'PUT');
    same([made.json.prefix, made.json.subscriptionType, made.json.keepConnected], [prefix, 'Methods', false], 'what was made');
    holds(TIME.test(made.json.createdAt), `createdAt ${made.json.createdAt}`);
    same((await t.bridge.call('GET', `/Subscriptions/methods?prefix=${prefix}`)).json, made.json, 'GET');
    const listed = (await t.bridge.call('GET', '/subscriptions')).json;
    holds(JSON.stringify(listed).includes(prefix), 'it is in the list');
    problem(await t.bridge.call('PUT', '/subscriptions/Nothing', { callbackUrl: t.hook('life').url }), 404, 'a kind that there is not');
    problem(await t.bridge.call('PUT', route, {}), 400, 'without a URL');
    problem(await t.bridge.call('PUT', route, { callbackUrl: 'http://169.254.169.254/' }), 400, 'to a metadata service');
    problem(await t.bridge.call('PUT', route, { callbackUrl: t.hook('x').url }, { key: null }), 401, 'without a key');
    same((await t.bridge.call('DELETE', route)).status, 204, 'DELETE');
    same((await t.bridge.call('DELETE', route)).status, 204, 'DELETE again');
    problem(await t.bridge.call('GET', route), 404, 'GET after it');
  });

  add('B7', 'with keepConnected its devices are there for methods and messages; a device own subscription wins', async (t) => {
    const prefix = `${t.id('keeps')}-`;
    const [a, b] = [`${prefix}a`, `${prefix}b`];
    await known(t, [a, b]);
    const [fleet, own] = [t.hook('fleet', { body: { payload: 'fleet' } }), t.hook('own', { body: { payload: 'own' } })];
    same((await t.bridge.call('PUT', `/subscriptions/Methods?prefix=${prefix}`, { callbackUrl: fleet.url, keepConnected: true })).status, 200, 'PUT');
    await t.bridge.connection(a, 'Connected');
    await t.bridge.connection(b, 'Connected');
    await eventually(async () => (await t.cloud.invoke(a, 'ask', 1)).payload === 'fleet', 'a method of the first');
    await t.bridge.running(b, { Methods: own });
    same((await t.cloud.invoke(b, 'ask', 1)).payload, 'own', 'a method of the one with its own');
    same((await t.bridge.device(b, 'DELETE', '/methods/sub')).status, 204, 'its own goes');
    await eventually(async () => (await t.cloud.invoke(b, 'ask', 1)).payload === 'fleet', 'then the fleet');
    same(own.seen.length, 1, 'calls at its own');
    same((await t.bridge.call('DELETE', `/subscriptions/Methods?prefix=${prefix}`)).status, 204, 'DELETE');
    await t.bridge.connection(a, 'Disabled');
    await t.bridge.connection(b, 'Disabled');
  });

  add('B7', 'without keepConnected it connects nothing, and is in effect while a device is in use', async (t) => {
    const prefix = `${t.id('lazy')}-`;
    const id = `${prefix}a`;
    await known(t, [id]);
    const hook = t.hook('lazy');
    same((await t.bridge.call('PUT', `/subscriptions/C2DMessages?prefix=${prefix}`, { callbackUrl: hook.url })).status, 200, 'PUT');
    const sent = await t.cloud.send(id, { n: 1 });
    same((await t.bridge.device(id, 'GET', '/connectionStatus')).json.status, 'Disabled', 'not connected');
    same((await t.bridge.device(id, 'POST', '/messages/events', { data: {} })).status, 200, 'a message');
    await hook.have(1);
    same([hook.events[0].deviceId, hook.events[0].messageBody], [id, { n: 1 }], 'what came');
    same(await t.cloud.outcome(sent), 'Success', 'at the hub');
    same((await t.bridge.device(id, 'GET', '/diagnostics')).json.permanent, false, 'it does not stay');
  });

  add('B7', 'the longest prefix counts', async (t) => {
    const prefix = `${t.id('longest')}-`;
    const [a, ab] = [`${prefix}x`, `${prefix}long-x`];
    await known(t, [a, ab]);
    const [short, long] = [t.hook('short', { body: { payload: 'short' } }), t.hook('long', { body: { payload: 'long' } })];
    same((await t.bridge.call('PUT', `/subscriptions/Methods?prefix=${prefix}`, { callbackUrl: short.url, keepConnected: true })).status, 200, 'PUT');
    same((await t.bridge.call('PUT', `/subscriptions/Methods?prefix=${prefix}long`, { callbackUrl: long.url, keepConnected: true })).status, 200, 'PUT of the longer');
    await eventually(async () => (await t.cloud.invoke(a, 'ask', 1)).payload === 'short', 'the short one');
    await eventually(async () => (await t.cloud.invoke(ab, 'ask', 1)).payload === 'long', 'the long one');
  });

  add('B8', 'the list of devices, by prefix, status and subscription, in pages', async (t) => {
    const prefix = `${t.id('list')}-`;
    const ids = Array.from({ length: 7 }, (_, n) => `${prefix}${n}`);
    await known(t, ids.slice(0, 5));
    await t.bridge.running(ids[5], { Methods: t.hook('list') });
    same((await t.bridge.device(ids[6], 'POST', '/messages/events', { data: {} })).status, 200, 'a message');
    const list = async (more) => (await t.bridge.call('GET', `/devices?prefix=${prefix}${more}`)).json;
    same((await list('')).devices.map((device) => device.deviceId), ids, 'all');
    const seen = [];
    let after = '';
    do {
      const page = await list(`&limit=3${after}`);
      holds(page.devices.length <= 3, `a page of ${page.devices.length}`);
      seen.push(...page.devices.map((device) => device.deviceId));
      after = page.continuation === undefined ? null : `&after=${encodeURIComponent(page.continuation)}`;
    } while (after !== null);
    same(seen, ids, 'all, in pages');
    const connected = (await list('&status=Connected')).devices;
    same(connected.map((device) => [device.deviceId, device.status, device.reason]), [5, 6].map((n) => [ids[n], 'Connected', 'Connection_Ok']), 'connected ones');
    same((await list('&subscription=methods')).devices.map((device) => [device.deviceId, device.subscriptions]), [[ids[5], ['Methods']]], 'with methods');
    for (const bad of ['limit=0', 'limit=1001', 'limit=x', 'status=Nice', 'subscription=Nothing']) problem(await t.bridge.call('GET', `/devices?${bad}`), 400, bad);
    problem(await t.bridge.call('GET', '/devices', undefined, { key: null }), 401, 'without a key');
    same((await t.bridge.call('DELETE', `/devices/${ids[0]}`)).status, 204, 'DELETE of one');
    same((await list('')).devices.map((device) => device.deviceId), ids.slice(1), 'then');
  });
};
