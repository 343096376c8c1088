'use strict';
// Devices with certificates, by the unmodified device and provisioning SDKs over every transport that they have: one that the hub's
// authority signed, one that is known by its thumbprint, and those that are refused. `drawspan emulator cert` makes the certificates.
// This SDK's ModuleClient takes none: Python's has them in x509.py.

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const iothub = require('azure-iothub');
const { Client, Message } = require('azure-iot-device');
const { Amqp, AmqpWs } = require('azure-iot-device-amqp');
const { Http } = require('azure-iot-device-http');
const { Mqtt, MqttWs } = require('azure-iot-device-mqtt');
const { ProvisioningDeviceClient } = require('azure-iot-provisioning-device');
const dpsAmqp = require('azure-iot-provisioning-device-amqp');
const dpsHttp = require('azure-iot-provisioning-device-http');
const dpsMqtt = require('azure-iot-provisioning-device-mqtt');
const { run, env, same, holds, refused } = require('./lib/check');
const { line } = require('./lib/capability');

const TRANSPORTS = { amqp: Amqp, 'amqp-ws': AmqpWs, mqtt: Mqtt, 'mqtt-ws': MqttWs, http: Http };

const REGISTERING = {
  amqp: dpsAmqp.Amqp,
  'amqp-ws': dpsAmqp.AmqpWs,
  mqtt: dpsMqtt.Mqtt,
  'mqtt-ws': dpsMqtt.MqttWs,
  http: dpsHttp.Http,
};

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'x509-'));
const state = path.dirname(env('CA'));

/** A certificate and its key, and the thumbprints that the command printed. */
function made(id, ...flags) {
  const out = fs.mkdtempSync(path.join(folder, 'made-'));
  const printed = execFileSync(env('DRAWSPAN'), ['emulator', 'cert', 'device', id, '--out', out, ...flags], { encoding: 'utf8' });
  const read = (name) => fs.readFileSync(path.join(out, name), 'utf8');
  const thumbprint = (kind) => printed.match(new RegExp(`^${kind} +([0-9A-F]+)$`, 'm'))[1];
  return {
    cert: read(`${id}.pem`),
    key: read(`${id}-key.pem`),
    sha1: thumbprint('SHA-1'),
    sha256: thumbprint('SHA-256'),
  };
}

function client(id, identity, Transport) {
  const made = Client.fromConnectionString(`HostName=${env('HUB')};DeviceId=${id};x509=true`, Transport);
  made.setOptions({ cert: identity.cert, key: identity.key });
  return made;
}

async function send(id, identity, Transport, what) {
  const sender = client(id, identity, Transport);
  await sender.open();
  const sent = await sender.sendEvent(new Message('{"by":"certificate"}'));
  same(sent.constructor.name, 'MessageEnqueued', what);
  await sender.close();
}

/** What a device that may not connect is told, with the SDK's retries off. */
async function isRefused(id, identity, name, what) {
  const sender = client(id, identity, TRANSPORTS[name]);
  sender.setRetryPolicy({ shouldRetry: () => false, nextRetryTimeout: () => -1 });
  const deed = name === 'http' ? sender.sendEvent(new Message('x')) : sender.open().then(() => sender.sendEvent(new Message('x')));
  const error = await refused(deed, what);
  same(error.name, 'UnauthorizedError', `${what}, by name`);
  await sender.close().catch(() => {});
}

async function atHub(registry, name, Transport) {
  const [byAuthority, byThumbprint] = [`ca-${name}`, `print-${name}`];
  const issued = made(byAuthority, '--state', state);
  const own = made('any-name', '--self-signed');
  const old = made(`old-${name}`, '--self-signed', '--days', '-1');
  const printed = (primaryThumbprint) => ({ type: 'selfSigned', x509Thumbprint: { primaryThumbprint } });
  await registry.create({ deviceId: byAuthority, authentication: { type: 'certificateAuthority' } });
  await registry.create({ deviceId: byThumbprint, authentication: printed(name.length % 2 ? own.sha1 : own.sha256) });
  await registry.create({ deviceId: `old-${name}`, authentication: printed(old.sha256) });
  await registry.create({ deviceId: `keys-${name}` });

  await send(byAuthority, issued, Transport, `${name}: sent by a device of the authority`);
  await send(byThumbprint, own, Transport, `${name}: sent by a device with a thumbprint`);
  await isRefused(byAuthority, own, name, `${name}: a certificate that nobody signed`);
  await isRefused(byThumbprint, issued, name, `${name}: another thumbprint`);
  await isRefused(`old-${name}`, old, name, `${name}: a certificate that has expired`);
  await isRefused(`keys-${name}`, issued, name, `${name}: a certificate where a key is expected`);
  console.log(line(`node-${name}`, 'a device with a certificate'));
}

/** The interface of `azure-iot-security-x509`, which is no more than this. */
function security(id, identity) {
  return { getRegistrationId: () => id, getCertificate: (done) => done(null, { cert: identity.cert, key: identity.key }) };
}

function register(id, identity, Registering) {
  const registering = ProvisioningDeviceClient.create(env('DPS'), env('ID_SCOPE'), new Registering(), security(id, identity));
  return registering.register();
}

async function atDps(registry, name, Registering) {
  const id = `car-${name}`;
  const identity = made(id, '--state', state);
  const result = await register(id, identity, Registering);
  same([result.assignedHub, result.deviceId, result.status], [env('HUB'), id, 'assigned'], `${name}: registered`);
  const { responseBody: device } = await registry.get(id);
  same(device.authentication.type, 'selfSigned', 'its kind at the hub');
  const { primaryThumbprint } = device.authentication.x509Thumbprint;
  holds([identity.sha1, identity.sha256].includes(primaryThumbprint.toUpperCase()), 'the hub has the thumbprint of the leaf');
  await send(id, identity, TRANSPORTS[name], `${name}: sent by a device that registered`);
  console.log(line(`node-${name}`, 'registration by a certificate'));
  // Over AMQP the service refuses the link, of which this SDK does not hear: it would wait for 45 s and say TimeoutError.
  if (name.startsWith('amqp')) return;
  const error = await refused(register(id, made(id, '--self-signed'), Registering), `${name}: a certificate of no enrollment`);
  if (name === 'http') same(error.name, 'UnauthorizedError', 'by name');
  else same(error.message, 'Connection refused: Not authorized', 'by its text');
  await refused(register(`bus-${name}`, identity, Registering), `${name}: a certificate of another registration`);
}

run(async () => {
  const registry = iothub.Registry.fromConnectionString(env('HUB_CONNECTION_STRING'));
  for (const [name, Transport] of Object.entries(TRANSPORTS)) await atHub(registry, name, Transport);
  for (const [name, Registering] of Object.entries(REGISTERING)) await atDps(registry, name, Registering);
}, 120);
