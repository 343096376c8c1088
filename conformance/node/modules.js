'use strict';
// Modules of devices, over each transport in turn: the unmodified ModuleClient of the device SDK, whose other side is the unmodified service SDK.

const iothub = require('azure-iothub');
const { Client, Message, ModuleClient } = require('azure-iot-device');
const { Amqp, AmqpWs } = require('azure-iot-device-amqp');
const { Mqtt, MqttWs } = require('azure-iot-device-mqtt');
const { run, env, same, holds, refused } = require('./lib/check');
const { line } = require('./lib/capability');
const hub = require('./lib/hub');

const TRANSPORTS = { amqp: Amqp, 'amqp-ws': AmqpWs, mqtt: Mqtt, 'mqtt-ws': MqttWs };

const registry = () => iothub.Registry.fromConnectionString(env('HUB_CONNECTION_STRING'));
const service = () => iothub.Client.fromConnectionString(env('HUB_CONNECTION_STRING'));
const code = (error) => error.response.headers['iothub-errorcode'];

/** A module's connection string, as the portal shows it. */
function connectionString(module, key = module.authentication.symmetricKey.primaryKey) {
  return `HostName=${env('HUB')};DeviceId=${module.deviceId};ModuleId=${module.moduleId};SharedAccessKey=${key}`;
}

async function open(module, Transport) {
  const client = ModuleClient.fromConnectionString(connectionString(module), Transport);
  await client.open();
  return client;
}

async function invoke(deviceId, moduleId, methodName, payload) {
  const { result } = await service().invokeDeviceMethod(deviceId, moduleId, { methodName, payload, responseTimeoutInSeconds: 20 });
  return result;
}

/** Creates, reads, changes, lists and deletes. Returns a module. */
async function checkRegistry(deviceId) {
  const all = registry();
  for (const moduleId of ['one', 'two%']) {
    const { responseBody: module } = await all.addModule({ deviceId, moduleId });
    same([module.deviceId, module.moduleId, module.connectionState], [deviceId, moduleId, 'Disconnected'], 'created module');
  }
  const again = await refused(all.addModule({ deviceId, moduleId: 'one' }), 'a module that there is');
  same([again.name, code(again)], ['DeviceAlreadyExistsError', 'ModuleAlreadyExistsOnDevice'], 'which the SDK calls');
  const { responseBody: listed } = await all.getModulesOnDevice(deviceId);
  same(listed.map((module) => module.moduleId).sort(), ['one', 'two%'], 'modules of the device');
  const { responseBody: before } = await all.getModule(deviceId, 'one');
  const { responseBody: changed } = await all.updateModule({ ...before, managedBy: 'somebody' });
  same(changed.managedBy, 'somebody', 'managed by');
  same(changed.generationId, before.generationId, 'generation');
  same(changed.authentication.symmetricKey, before.authentication.symmetricKey, 'keys');
  const stale = await refused(all.updateModule(before), 'an ETag that is out of date');
  same(stale.name, 'InvalidEtagError', 'which the SDK calls');
  await all.removeModule(deviceId, 'two%');
  const gone = await refused(all.getModule(deviceId, 'two%'), 'a module that is gone');
  same(code(gone), 'ModuleNotFound', 'refusal');
  const noDevice = await refused(all.addModule({ deviceId: 'nobody', moduleId: 'one' }), 'a module of no device');
  same(code(noDevice), 'DeviceNotFound', 'refusal');
  return changed;
}

async function checkWhoMayConnect(module, device, Transport) {
  for (const [what, wrong] of [
    ["the device's key", connectionString(module, device.authentication.symmetricKey.primaryKey)],
    ['a module that there is not', connectionString({ ...module, moduleId: 'nobody' })],
  ]) {
    const client = ModuleClient.fromConnectionString(wrong, Transport);
    const error = await refused(client.open(), what);
    holds(['UnauthorizedError', 'DeviceNotFoundError'].includes(error.name), `which the SDK calls ${error.name}`);
  }
}

async function checkTelemetry(client, module) {
  const body = `from ${module.deviceId}`;
  const message = new Message(body);
  message.messageId = 'm-1';
  message.properties.add('a b', 'c&d');
  await client.sendEvent(message);
  const more = { messageId: 'm-1', properties: { 'a b': 'c&d' }, module: module.moduleId, authScope: 'module' };
  return hub.entry(module, body, more);
}

async function checkTwin(client, module) {
  const { deviceId, moduleId } = module;
  const all = registry();
  const twin = await client.getTwin();
  same(twin.properties.desired, { $version: 1 }, 'desired, at first');
  await new Promise((resolve, reject) => {
    twin.properties.reported.update({ on: true, gone: null }, (error) => (error ? reject(error) : resolve()));
  });
  const { responseBody: seen } = await all.getModuleTwin(deviceId, moduleId);
  same([seen.properties.reported.on, seen.connectionState, seen.moduleId], [true, 'Connected', moduleId], 'reported, as the service sees it');
  const news = [];
  await new Promise((resolve, reject) => twin.enableTwinDesiredPropertiesUpdates((error) => (error ? reject(error) : resolve())));
  twin.on('properties.desired', (patch) => news.push(JSON.parse(JSON.stringify(patch))));
  await hub.eventually(() => news.length === 1, 'what is known');
  await all.updateTwin(deviceId, { properties: { desired: { level: 1 } } }, '*');
  const patch = { tags: { site: 'x' }, properties: { desired: { level: 3 } } };
  const { responseBody: updated } = await all.updateModuleTwin(deviceId, moduleId, patch, '*');
  same([updated.tags.site, updated.properties.desired.level], ['x', 3], 'the twin after the change');
  const stale = await refused(all.updateModuleTwin(deviceId, moduleId, patch, seen.etag), 'an ETag that is out of date');
  same(stale.name, 'InvalidEtagError', 'which the SDK calls');
  await hub.eventually(() => news.length === 2, 'news');
  same(news[1], { level: 3, $version: 2 }, "news, and none of the device's");
  const { responseBody: device } = await all.getTwin(deviceId);
  same([device.properties.reported.on ?? null, device.properties.desired.level], [null, 1], "the device's twin is another");
}

async function checkMethods(client, deviceClient, module) {
  const { deviceId, moduleId } = module;
  const offline = await refused(invoke(deviceId, moduleId, 'echo'), 'a module that takes no calls');
  same(code(offline), 'DeviceNotOnline', 'refusal');
  const answer = (by) => (request, response) => response.send(207, { by, got: request.payload });
  client.onMethod('echo', answer('module'));
  deviceClient.onDeviceMethod('echo', answer('device'));
  const call = (of) => () => invoke(deviceId, of, 'echo', [1, 'ß']).catch((error) => (code(error) === 'DeviceNotOnline' ? null : Promise.reject(error)));
  const ofModule = await hub.eventually(call(moduleId), 'the module takes calls');
  same(ofModule, { status: 207, payload: { by: 'module', got: [1, 'ß'] } }, 'answer of the module');
  const nobody = await refused(invoke(deviceId, 'nobody', 'echo'), 'a method of no module');
  same(code(nobody), 'ModuleNotFound', 'refusal');
  const ofDevice = async () => {
    const params = { methodName: 'echo', payload: 2, responseTimeoutInSeconds: 20 };
    return service().invokeDeviceMethod(deviceId, params).catch((error) => (code(error) === 'DeviceNotOnline' ? null : Promise.reject(error)));
  };
  const { result } = await hub.eventually(ofDevice, 'the device takes calls');
  same(result, { status: 207, payload: { by: 'device', got: 2 } }, 'answer of the device');
}

/** A disabled device disables its modules; a deleted one takes them with it. */
async function checkEnd(client, module, device, Transport) {
  const { deviceId, moduleId } = module;
  const all = registry();
  const disconnected = new Promise((resolve) => client.once('disconnect', resolve));
  client.setRetryPolicy({ shouldRetry: () => false, nextRetryTimeout: () => -1 });
  const { responseBody: current } = await all.get(deviceId);
  await all.update({ ...current, status: 'disabled' });
  await disconnected;
  console.log('  the module was disconnected');
  const again = ModuleClient.fromConnectionString(connectionString(module), Transport);
  const error = await refused(again.open(), 'a module of a disabled device');
  holds(error instanceof Error, `which the SDK calls ${error.name}`);
  await all.delete(deviceId);
  const gone = await refused(all.getModule(deviceId, moduleId), 'a module whose device is gone');
  same(code(gone), 'DeviceNotFound', 'refusal');
  await hub.createDevices([deviceId]);
  same((await all.getModulesOnDevice(deviceId)).responseBody, [], 'modules of a device of the same name');
}

async function checkQueries(module) {
  const query = registry().createQuery('SELECT * FROM devices.modules', 1);
  const seen = [];
  while (query.hasMoreResults) {
    const { result } = await query.nextAsTwin();
    seen.push(...result.map((twin) => `${twin.deviceId}/${twin.moduleId}`));
  }
  same(seen, [`${module.deviceId}/${module.moduleId}`], 'the modules that a query finds');
}

run(async () => {
  const startMs = Date.now();
  const entries = [];
  for (const [name, Transport] of Object.entries(TRANSPORTS)) {
    console.log(`${name}:`);
    const deviceId = `modules-${name}`;
    const device = (await hub.createDevices([deviceId])).get(deviceId);
    const module = await checkRegistry(deviceId);
    await checkQueries(module);
    await checkWhoMayConnect(module, device, Transport);
    const client = await open(module, Transport);
    const deviceClient = Client.fromConnectionString(hub.connectionString(device), Transport);
    await deviceClient.open();
    entries.push(await checkTelemetry(client, module));
    await checkTwin(client, module);
    await checkMethods(client, deviceClient, module);
    await deviceClient.close();
    await checkEnd(client, module, device, Transport);
    console.log(line(`node-${name}`, 'a module'));
  }
  hub.writeLedger(startMs, entries);
}, 120);
