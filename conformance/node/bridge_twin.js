'use strict';
// A device that nobody has seen, over HTTP through the bridge: it registers, its twin is the one that the unmodified service
// SDK sees, and it is forgotten and comes back.

const iothub = require('azure-iothub');
const { run, env, same, holds, refused } = require('./lib/check');

const DEVICE = 'never-seen-1';

async function call(method, path, body) {
  const headers = { 'x-api-key': env('BRIDGE_API_KEY') };
  if (body !== undefined) headers['content-type'] = 'application/json';
  const json = body === undefined ? undefined : JSON.stringify(body);
  const response = await fetch(`${env('BRIDGE_URL')}/devices/${DEVICE}${path}`, { method, headers, body: json });
  const text = await response.text();
  return { status: response.status, body: text === '' ? null : JSON.parse(text) };
}

/** Properties without what the hub adds to them. */
function own(section) {
  return Object.fromEntries(Object.entries(section).filter(([name]) => !name.startsWith('$')));
}

async function checkTwin(registry) {
  same((await call('PATCH', '/twin/properties/reported', { patch: { firmware: '1.0', gone: 1 } })).status, 204, 'PATCH reported');
  same((await call('PATCH', '/twin/properties/reported', { patch: { gone: null } })).status, 204, 'PATCH with a deletion');
  let twin = (await registry.getTwin(DEVICE)).responseBody;
  same(own(twin.properties.reported), { firmware: '1.0' }, 'reported, as the service sees it');
  same(twin.connectionState, 'Connected', 'connection state');
  await registry.updateTwin(DEVICE, { properties: { desired: { interval: 30, nested: { text: 'é' } } } }, twin.etag);
  twin = (await registry.getTwin(DEVICE)).responseBody;
  const read = await call('GET', '/twin');
  same(read.status, 200, 'GET twin');
  const { desired, reported } = read.body.twin.properties;
  same(own(desired), { interval: 30, nested: { text: 'é' } }, 'desired, as the caller sees it');
  same(desired.$version, twin.properties.desired.$version, 'version of the desired properties');
  same(reported.$version, twin.properties.reported.$version, 'version of the reported properties');
  const bad = await call('PATCH', '/twin/properties/reported', { patch: { 'bad.name': 1 } });
  same(bad.status, 400, 'a name with a dot');
}

run(async () => {
  const registry = iothub.Registry.fromConnectionString(env('HUB_CONNECTION_STRING'));
  await refused(registry.get(DEVICE), 'before');
  same((await call('GET', '/connectionStatus')).status, 404, 'status of a device that nobody knows');
  same((await call('POST', '/registration', { modelId: 'dtmi:com:example:Thing;1' })).status, 200, 'registration');
  same((await registry.get(DEVICE)).responseBody.status, 'enabled', 'the hub knows it');
  same((await call('GET', '/connectionStatus')).body, { status: 'Disabled', reason: 'Client_Close' }, 'known, and not connected');
  same((await call('POST', '/messages/events', { data: { n: 1 } })).status, 200, 'a message');
  same((await call('GET', '/connectionStatus')).body, { status: 'Connected', reason: 'Connection_Ok' }, 'connected');
  await checkTwin(registry);

  const diagnostics = (await call('GET', '/diagnostics')).body;
  same([diagnostics.state, diagnostics.hub, diagnostics.failures], ['connected', env('HUB'), 0], 'diagnostics');
  holds(Number.isInteger(diagnostics.tokenSlot), `token slot ${diagnostics.tokenSlot}`);
  same((await call('POST', '/resync')).status, 202, 'resync');

  // Deleted at the hub: it is registered again within the request.
  await registry.delete(DEVICE);
  same((await call('DELETE', '')).status, 204, 'off-boarding');
  same((await call('GET', '/diagnostics')).status, 404, 'nothing is known of it');
  same((await call('POST', '/messages/events', { data: { n: 2 } })).status, 200, 'a message of the device that is new again');
  same((await registry.get(DEVICE)).responseBody.status, 'enabled', 'the hub knows it again');
}, 90);
