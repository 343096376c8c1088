'use strict';
// The twin of the unmodified device SDK, whose other side is the unmodified service SDK: reading, reporting with deletions,
// news of desired properties, versions.

const iothub = require('azure-iothub');
const { run, env, same, holds, refused } = require('./lib/check');
const { capability } = require('./lib/capability');
const hub = require('./lib/hub');
const { name: transport, overMqtt } = require('./lib/transport');

const REPORTS = 30;

/** Reports and waits for the hub's answer. */
function report(twin, patch) {
  return new Promise((resolve, reject) => {
    twin.properties.reported.update(patch, (error) => (error ? reject(error) : resolve()));
  });
}

/** Asks for news of desired properties; `on` asks as well, without saying when that is done. */
function wantNews(twin) {
  return new Promise((resolve, reject) => {
    twin.enableTwinDesiredPropertiesUpdates((error) => (error ? reject(error) : resolve()));
  });
}

/** Properties without what the hub adds to them. */
function own(section) {
  return Object.fromEntries(Object.entries(section).filter(([name]) => !name.startsWith('$')));
}

function checkTimes(metadata, properties, start, what) {
  const time = Date.parse(metadata.$lastUpdated);
  holds(time >= start - 1000 && time <= Date.now() + 1000, `${what} was updated at ${metadata.$lastUpdated}`);
  for (const [name, value] of Object.entries(own(properties))) {
    const isObject = typeof value === 'object' && !Array.isArray(value);
    checkTimes(metadata[name], isObject ? value : {}, start, `${what}.${name}`);
  }
}

async function checkReporting(registry, twin, start) {
  await report(twin, { a: 1, nested: { list: [1, 'two', { three: 3 }], text: 'é', gone: true }, gone: 'soon' });
  await report(twin, { gone: null, nested: { gone: null, more: { deep: 1.5 } } });
  for (let n = 0; n < 5; n += 1) await report(twin, { n });
  // All at once: the answers find their requests, and the last one wins.
  await Promise.all(Array.from({ length: REPORTS }, (_, n) => report(twin, { n, [`at${n}`]: true })));
  await report(twin, Object.fromEntries(Array.from({ length: REPORTS }, (_, n) => [`at${n}`, null])));
  const { responseBody: seen } = await registry.getTwin('twin-1');
  const reported = seen.properties.reported;
  same(
    own(reported),
    { a: 1, n: REPORTS - 1, nested: { list: [1, 'two', { three: 3 }], more: { deep: 1.5 }, text: 'é' } },
    'reported, as the service sees it',
  );
  same(reported.$version, 1 + 2 + 5 + REPORTS + 1, 'version of the reported properties');
  checkTimes(reported.$metadata, reported, start, 'reported');
  same(seen.properties.desired.$version, 1, 'version of the desired properties');
  same(seen.connectionState, 'Connected', 'connection state');
  const bad = await refused(report(twin, { 'bad.name': 1 }), 'a name with a dot');
  holds(bad.message.includes('Error in Property/Tag bad.name. Must not contain'), 'the refusal says why');
  capability(transport, 'a twin property with a dot in its name', bad.constructor.name);
  const nothing = await refused(report(twin, { list: [{ three: null }] }), 'a null in an array');
  holds(nothing.message.includes('Value of Property or Tag cannot be null. Error in Property/Tag three'), 'the refusal says why');
  const unchanged = (await registry.getTwin('twin-1')).responseBody.properties.reported.$version;
  same(unchanged, reported.$version, 'version after the refusal');
}

async function checkNews(registry, twin) {
  const desire = async (desired) => (await registry.updateTwin('twin-1', { properties: { desired } }, '*')).responseBody;
  await desire({ early: 1 });
  // What was to be told would have come before the answer to this.
  await report(twin, { told: false });
  same(own(twin.properties.desired), {}, 'nothing is told to who did not ask');
  await wantNews(twin);
  const news = [];
  twin.on('properties.desired', (patch) => news.push(JSON.parse(JSON.stringify(patch))));
  // The SDK tells what it has already.
  await hub.eventually(() => news.length === 1, 'what is known');
  news.length = 0;
  await desire({ interval: 5, nested: { x: 1, y: [2] } });
  await desire({ nested: { y: null, z: 'ß' } });
  await registry.updateTwin('twin-1', { tags: { site: 'x' } }, '*');
  await registry.updateTwin('twin-2', { properties: { desired: { other: true } } }, '*');
  const last = await desire({ interval: null, early: null });
  same(last.properties.desired.$version, 5, 'version of the desired properties');
  await hub.eventually(() => news.length === 3, 'news');
  same(
    news,
    [
      { interval: 5, nested: { x: 1, y: [2] }, $version: 3 },
      { nested: { y: null, z: 'ß' }, $version: 4 },
      { interval: null, early: null, $version: 5 },
    ],
    'news, none for tags and for other devices',
  );
  same(own(twin.properties.desired), { nested: { x: 1, z: 'ß' } }, 'desired, as the device holds them');
}

run(async () => {
  const start = Date.now();
  const registry = iothub.Registry.fromConnectionString(env('HUB_CONNECTION_STRING'));
  const devices = await hub.createDevices(['twin-1', 'twin-2']);
  const client = await hub.open(devices.get('twin-1'));
  const twin = await client.getTwin();
  same(twin.properties.desired, { $version: 1 }, 'desired, at first');
  same({ ...twin.properties.reported, update: null }, { $version: 1, update: null }, 'reported, at first');
  capability(transport, 'twin');
  await checkReporting(registry, twin, start);
  capability(transport, 'reported properties');
  await checkNews(registry, twin);
  capability(transport, 'desired properties');
  const before = JSON.parse(JSON.stringify(twin.properties.desired));
  await client.close();

  // The SDK names a model over MQTT only.
  const model = 'dtmi:com:example:Thermostat;1';
  const again = await hub.open(devices.get('twin-1'), overMqtt ? { modelId: model } : undefined);
  const fresh = await again.getTwin();
  same(JSON.parse(JSON.stringify(fresh.properties.desired)), before, 'what the news add up to is what the hub has');
  same(fresh.properties.reported.n, REPORTS - 1, 'reported properties outlive the connection');
  if (overMqtt) {
    same((await registry.getTwin('twin-1')).responseBody.modelId, model, 'model of the device, as the service sees it');
    capability(transport, 'a model id');
  }
  await again.close();
});
