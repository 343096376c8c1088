'use strict';
// The unmodified service SDK's registry: devices one by one and in bulk, twins with ETags, queries, statistics.

const iothub = require('azure-iothub');
const { run, env, same, holds, refused } = require('./lib/check');

const registry = () => iothub.Registry.fromConnectionString(env('HUB_CONNECTION_STRING'));
const ids = (devices) => devices.map((device) => device.deviceId).sort();

async function checkDevices(service) {
  const { responseBody: made } = await service.create({ deviceId: 'one', status: 'enabled' });
  same([made.deviceId, made.status, made.connectionState], ['one', 'enabled', 'Disconnected'], 'created');
  const exists = await refused(service.create({ deviceId: 'one' }), 'the same again');
  same(exists.name, 'DeviceAlreadyExistsError', 'which the SDK calls');
  const { responseBody: read } = await service.get('one');
  same(JSON.stringify(read), JSON.stringify(made), 'read');
  const { responseBody: changed } = await service.update({ deviceId: 'one', status: 'disabled', statusReason: 'rest' });
  same([changed.status, changed.statusReason, changed.generationId], ['disabled', 'rest', made.generationId], 'updated');
  holds(changed.etag !== made.etag, 'an update changes the ETag');
  const missing = await refused(service.get('two'), 'a device that is not there');
  same(missing.name, 'DeviceNotFoundError', 'which the SDK calls');
}

async function checkBulk(service) {
  const { responseBody: added } = await service.addDevices([{ deviceId: 'two' }, { deviceId: 'three%#' }]);
  same(added.isSuccessful, true, 'two more');
  same(ids((await service.list()).responseBody), ['one', 'three%#', 'two'], 'listed');
  const statistics = (await service.getRegistryStatistics()).responseBody;
  same(
    [statistics.totalDeviceCount, statistics.enabledDeviceCount, statistics.disabledDeviceCount],
    [3, 2, 1],
    'statistics',
  );
  const { responseBody: removed } = await service.removeDevices([{ deviceId: 'two' }], true);
  same(removed.isSuccessful, true, 'one less');
}

async function checkTwins(service) {
  const { responseBody: twin } = await service.getTwin('one');
  same([twin.deviceId, twin.status, twin.version], ['one', 'disabled', 2], 'twin');
  await twin.update({ tags: { site: { floor: 1, room: 'a' } }, properties: { desired: { on: true, speed: 3 } } });
  await twin.update({ tags: { site: { room: null } }, properties: { desired: { speed: null } } });
  const { responseBody: seen } = await service.getTwin('one');
  same(seen.tags, { site: { floor: 1 } }, 'tags');
  const desired = seen.properties.desired;
  same([desired.on, desired.speed, desired.$version], [true, undefined, 3], 'desired');
  same(desired.$metadata.on.$lastUpdatedVersion, 2, 'version at which a property was written');
  same(seen.etag, twin.etag, 'ETag');

  const stale = twin.etag;
  await service.updateTwin('one', { tags: { by: 'another' } }, seen.etag);
  const conflict = await refused(service.updateTwin('one', { tags: { by: 'me' } }, stale), 'an ETag that is out of date');
  same(conflict.name, 'InvalidEtagError', 'which the SDK calls');
  same((await service.getTwin('one')).responseBody.tags.by, 'another', 'the other one stays');
  await service.updateTwin('one', { tags: { by: 'me' } }, '*');
  const bad = await refused(service.updateTwin('one', { tags: { 'a.b': 1 } }, '*'), 'a name with a dot');
  same(bad.name, 'ArgumentError', 'which the SDK calls');
  const module = await refused(service.getModuleTwin('one', 'm'), 'a twin of a module');
  same([module.response.statusCode, module.response.headers['iothub-errorcode']], [404, 'ModuleNotFound'], 'refusal');
}

async function checkQueries(service) {
  const query = service.createQuery('SELECT * FROM devices', 1);
  const seen = [];
  while (query.hasMoreResults) seen.push(...(await query.nextAsTwin()).result);
  same(ids(seen), ['one', 'three%#'], 'queried, page by page');
  same(seen.find((twin) => twin.deviceId === 'one').tags.by, 'me', 'with their tags');
  const other = await refused(service.createQuery("SELECT * FROM devices WHERE tags.by = 'me'").nextAsTwin(), 'another query');
  same(other.name, 'ArgumentError', 'which the SDK calls');
}

run(async () => {
  const service = registry();
  await checkDevices(service);
  await checkBulk(service);
  await checkTwins(service);
  await checkQueries(service);
  await service.delete('one');
  const gone = await refused(service.getTwin('one'), 'the twin of a deleted device');
  same(gone.name, 'DeviceNotFoundError', 'which the SDK calls');
  same(ids((await service.list()).responseBody), ['three%#'], 'what is left');
});
