'use strict';
// Very many devices at once: over MQTT at one hub, a connection each, and over AMQP at another, sharing connections. The emulator is killed
// under their traffic and started again: everything that it acknowledged is there, and sessions and subscriptions go on.

const fs = require('node:fs');
const path = require('node:path');
const { run, env, same, holds } = require('./lib/check');
const { Process } = require('./contract/lib/process');
const { eventually } = require('./lib/hub');
const { derived } = require('./many/keys');
const { MqttDevice } = require('./many/mqtt');
const { Pool, service, sendTo, events, pause, DEVICES_MAX } = require('./many/amqp');

const COUNT = Number(process.argv[2] ?? 10_000);
const KILLS = 3;
/** Devices that a service sends to at the end. */
const ADDRESSED = Math.min(200, COUNT);
const PARTITIONS = 4;
/** Time over which devices come back: this process makes about 300 handshakes per second. */
const SPREAD_MS = COUNT * 4;
/** Handshakes under way at a time. */
const AT_A_TIME = 100;
const GROUP_KEY = Buffer.alloc(64, 7).toString('base64');
const POLICY_KEY = Buffer.alloc(32, 9).toString('base64');
const HUBS = ['mqtt.localtest', 'amqp.localtest'];

const emulator = new Process('emulator', 5671);
const start = () => emulator.start([
  'emulator', ...HUBS.flatMap((hub) => ['--hub', hub]), '--state', path.join(env('FOLDER'), 'state'), '--device', `many-[1-${COUNT}]`,
  '--group-key', GROUP_KEY, '--policy-key', POLICY_KEY,
]);
const ca = () => fs.readFileSync(path.join(env('FOLDER'), 'state', 'ca.pem'));
const seconds = (since) => ((Date.now() - since) / 1000).toFixed(1);

/** Resident memory of the emulator, of it anonymous, in KB. */
function memory() {
  const status = fs.readFileSync(`/proc/${emulator.child.pid}/status`, 'utf8');
  return ['VmRSS', 'RssAnon'].map((name) => Number(status.match(new RegExp(`${name}:\\s+(\\d+)`))[1]));
}

/** Does something for all, a few at a time. */
async function each(items, atATime, work) {
  let at = 0;
  const worker = async () => {
    while (at < items.length) await work(items[at++]);
  };
  await Promise.all(Array.from({ length: atATime }, worker));
}

async function connect(ids) {
  const empty = memory();
  let since = Date.now();
  const mqtt = ids.map((id) => new MqttDevice(HUBS[0], id, derived(GROUP_KEY, id), ca(), SPREAD_MS));
  await each(mqtt, AT_A_TIME, (device) => device.connect());
  const after = memory();
  console.log(`  ${mqtt.length} MQTT devices in ${seconds(since)} s; ${((after[0] - empty[0]) / mqtt.length).toFixed(1)} KB each`);
  since = Date.now();
  const pools = [];
  for (let at = 0; at < ids.length; at += DEVICES_MAX) {
    pools.push(new Pool(HUBS[1], ids.slice(at, at + DEVICES_MAX).map((id) => ({ id, key: derived(GROUP_KEY, id) })), ca()));
  }
  pools.forEach((pool) => pool.run());
  await eventually(() => pools.every((pool) => pool.ready === pool.devices.length), 'all AMQP devices', 300);
  const both = memory();
  console.log(`  ${ids.length} AMQP devices on ${pools.length} connections in ${seconds(since)} s; ${((both[0] - after[0]) / ids.length).toFixed(1)} KB each`);
  return { mqtt, pools };
}

/** Every device sends one message. */
async function round({ mqtt, pools }) {
  const all = [...mqtt.map((device) => () => device.send()), ...pools.flatMap((pool) => pool.devices.map((device) => () => pool.send(device)))];
  await each(all, 2_000, (send) => send());
}

/** Messages over MQTT whose client still waits for the hub. */
function unanswered({ mqtt }) {
  return mqtt.reduce((sum, device) => sum + device.sent - device.acknowledged.length, 0);
}

async function killed(devices, kill) {
  const { mqtt, pools } = devices;
  const before = mqtt.map((device) => device.resumed);
  let under = true;
  const traffic = (async () => {
    while (under) await round(devices);
  })();
  await pause(500 + Math.random() * 1_500);
  await emulator.end('SIGKILL');
  under = false;
  const since = Date.now();
  await start();
  console.log(`  kill ${kill}: the emulator is back after ${seconds(since)} s`);
  await eventually(() => pools.every((pool) => pool.ready === pool.devices.length) && mqtt.every((device) => device.connected), 'all are back', 300);
  console.log(`  kill ${kill}: all devices are back after ${seconds(since)} s`);
  await traffic;
  holds(unanswered(devices) === 0, 'messages over MQTT without an answer: none');
  const resumed = mqtt.filter((device, at) => device.resumed > before[at]).length;
  same(resumed, mqtt.length, 'MQTT sessions that went on');
}

async function subscriptionsGoOn(mqtt) {
  const at = await service(HUBS[0], POLICY_KEY, ca());
  const addressed = mqtt.slice(0, ADDRESSED);
  for (const device of addressed) await sendTo(at, device.id, `to ${device.id}`);
  await eventually(() => addressed.every((device) => device.received.includes(`to ${device.id}`)), 'messages to devices that subscribed before the kills', 60);
  console.log(`  ${addressed.length} devices got a message without having subscribed again`);
}

async function everythingIsThere(hub, devices) {
  const stored = await events(await service(hub, POLICY_KEY, ca()), PARTITIONS);
  const acknowledged = devices.flatMap((device) => device.acknowledged);
  const lost = acknowledged.filter((body) => !stored.has(body));
  holds(acknowledged.length >= devices.length * 2, `${acknowledged.length} acknowledged at ${hub}, ${stored.size} stored`);
  same(lost, [], 'acknowledged and lost');
}

async function main() {
  await start();
  const ids = Array.from({ length: COUNT }, (_, at) => `many-${at + 1}`);
  const devices = await connect(ids);
  await round(devices);
  for (let kill = 1; kill <= KILLS; kill += 1) await killed(devices, kill);
  await round(devices);
  await subscriptionsGoOn(devices.mqtt);
  await everythingIsThere(HUBS[0], devices.mqtt);
  await everythingIsThere(HUBS[1], devices.pools.flatMap((pool) => pool.devices));
  emulator.check();
  await emulator.end('SIGTERM');
}

run(main, 3_000);
