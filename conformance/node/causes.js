'use strict';
// Why a device comes and goes: nine causes are made on purpose at a bridge, by the emulator's control API, the official service SDK, and the official device SDK
// as the second client. `diagnostics`, the stream of events and `drawspan watch` must name each, within a second where nothing has to run out.

const crypto = require('node:crypto');
const { spawn } = require('node:child_process');
const iothub = require('azure-iothub');
const { Client, Message } = require('azure-iot-device');
const { Amqp } = require('azure-iot-device-amqp');
const { NoRetry } = require('azure-iot-common');
const { run, env, same, holds } = require('./lib/check');
const { eventually } = require('./lib/hub');
const { Emulator } = require('./lib/lifetimes');
const { Bridge } = require('./contract/lib/bridge');

const PREFIX = 'why-';
const SECONDS = 1;
const CROWD = 500;

const emulator = new Emulator();
const bridge = new Bridge('bridge', { flags: ['--allow-callbacks', '127.0.0.0/8'] });
/** All events of the stream and of `drawspan watch`, with when they came. */
const streamed = [];
const watched = [];

/** Follows the stream, as a browser would. */
async function follow() {
  const answer = await fetch(`${bridge.origin}/connectionStatus/stream?prefix=${PREFIX}`, { headers: { 'x-api-key': bridge.key } });
  same(answer.headers.get('content-type'), 'text/event-stream', 'media type of the stream');
  const read = async () => {
    let text = '';
    for await (const bytes of answer.body) {
      text += Buffer.from(bytes).toString('utf8');
      const events = text.split('\n\n');
      text = events.pop();
      for (const event of events) {
        const fields = new Map(event.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]));
        if (fields.get('event') === 'connectionStatus') streamed.push({ ...JSON.parse(fields.get('data')), came: Date.now() });
      }
    }
  };
  return read();
}

/** `drawspan watch`, for the same devices. */
function watch() {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', env('DRAWSPAN'), 'watch', '--url', bridge.origin, '--prefix', PREFIX, '--format', 'json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, DRAWSPAN_API_KEY: bridge.key },
  });
  let text = '';
  child.stdout.on('data', (bytes) => {
    text += bytes;
    const lines = text.split('\n');
    text = lines.pop();
    watched.push(...lines.map((line) => JSON.parse(line)));
  });
  return child;
}

/** A device that stays connected. */
async function connected(name) {
  const id = PREFIX + name;
  await bridge.subscribe(id, 'Methods', 'http://127.0.0.1:9/nowhere');
  await bridge.connection(id, 'Connected', 20);
  await eventually(() => streamed.some((event) => event.deviceId === id && event.status === 'Connected'), `${id} is connected, says the stream`);
  return id;
}

/** Does something to a device, and waits until the bridge names the cause: everywhere the same. */
async function causes(id, cause, act, { atOnce = true, status } = {}) {
  const began = Date.now();
  await act();
  const named = (event) => event.deviceId === id && event.cause === cause;
  const found = await eventually(() => streamed.find((event) => named(event) && event.came >= began), `${cause} of ${id}`, 30);
  const ms = found.came - began;
  if (atOnce) holds(ms < SECONDS * 1000, `${cause}: told after ${ms} ms`);
  else console.log(`  ${cause}: told after ${ms} ms`);
  const { came, deviceId, ...change } = found;
  if (status) same(change.status, status, `status with ${cause}`);
  const { json } = await bridge.device(id, 'GET', '/diagnostics');
  holds(json.history.some((entry) => JSON.stringify(entry) === JSON.stringify(change)), `the history of ${id} has it: ${change.detail}`);
  await eventually(() => watched.some((event) => named(event) && event.at === change.at), `drawspan watch has ${cause} of ${id}`);
  if (change.sessionSeconds !== null) holds(change.sessionSeconds >= 0 && change.sessionSeconds < 300, `the session lasted ${change.sessionSeconds} s`);
  return change;
}

const hubOf = async (id) => (await bridge.device(id, 'GET', '/diagnostics')).json.hub;
const registryAt = (hub) => iothub.Registry.fromConnectionString(env('HUB_CONNECTION_STRING').replace(env('HUB'), hub));
const send = (id) => bridge.device(id, 'POST', '/messages/events', { data: { a: 1 } });

/** The device's key, of its enrollment group. */
function keyOf(id) {
  return crypto.createHmac('sha256', Buffer.from(env('GROUP_KEY'), 'base64')).update(id).digest('base64');
}

async function secondClient(id) {
  const client = Client.fromConnectionString(`HostName=${await hubOf(id)};DeviceId=${id};SharedAccessKey=${keyOf(id)}`, Amqp);
  client.setRetryPolicy(new NoRetry());
  client.on('error', () => {});
  await client.open();
  await client.sendEvent(new Message('it is me'));
  client.close().catch(() => {});
}

/** Many devices lose their connection at once: each is told of, within a second. */
async function crowd() {
  const ids = Array.from({ length: CROWD }, (_, index) => `${PREFIX}crowd-${index}`);
  const sent = await bridge.call('POST', '/messages/events', { messages: ids.map((deviceId) => ({ deviceId, data: { a: 1 } })) });
  holds(sent.json.results.every(({ status }) => status === 200), `${CROWD} devices send`);
  const began = Date.now();
  await emulator.ctl('fault', 'drop', 'all');
  const told = () => streamed.filter((event) => event.came >= began && event.cause === 'network' && event.deviceId.includes('crowd'));
  await eventually(() => told().length === CROWD, 'all are told of');
  const times = told().map((event) => event.came - began).sort((a, b) => a - b);
  const p99 = times[Math.ceil(CROWD * 0.99) - 1];
  holds(p99 < SECONDS * 1000, `${CROWD} devices at once: told after ${times[0]} to ${times.at(-1)} ms, p99 ${p99} ms`);
}

run(async () => {
  await emulator.start(['--hub', env('OTHER_HUB')]);
  await bridge.start();
  follow().catch((error) => console.log(`  the stream: ${error.message}`));
  const watching = watch();

  const expired = await connected('expired');
  await causes(expired, 'token-expired', () => emulator.ctl('clock', 'advance', '61m'), { atOnce: false });
  await emulator.ctl('clock', 'reset');

  const stolen = await connected('stolen');
  await causes(stolen, 'other-client', () => secondClient(stolen));

  const disabled = await connected('disabled');
  await causes(disabled, 'disabled', () => emulator.ctl('disable', disabled));

  const deleted = await connected('deleted');
  const registry = registryAt(await hubOf(deleted));
  await causes(deleted, 'deleted', () => registry.delete(deleted));

  const moved = await connected('moved');
  const from = await hubOf(moved);
  const target = [env('HUB'), env('OTHER_HUB')].find((hub) => hub !== from);
  await emulator.ctl('move', moved, target);
  await eventually(() => streamed.some((event) => event.deviceId === moved && event.cause === 'deleted'), `${moved} is not at its hub any more`);
  // DPS is asked at once, although it was asked a moment ago. It answers after the second that it asks to wait.
  await causes(moved, 'hub-moved', () => bridge.device(moved, 'POST', '/resync'), { atOnce: false });
  await bridge.connection(moved, 'Connected', 20);
  same(await hubOf(moved), target, 'hub of the moved device');

  const locked = await connected('locked');
  const keys = registryAt(await hubOf(locked));
  const primaryKey = crypto.randomBytes(32).toString('base64');
  const authentication = { type: 'sas', symmetricKey: { primaryKey, secondaryKey: primaryKey } };
  await keys.update({ deviceId: locked, status: 'enabled', authentication });
  // A session that stands is not asked for its key again; the next one is.
  const cut = causes(locked, 'network', () => emulator.ctl('fault', 'drop', locked));
  await causes(locked, 'credentials-refused', () => cut);

  const noisy = await connected('noisy');
  const noise = { status: 'Connected' };
  const refused = await causes(noisy, 'throttled', async () => {
    await emulator.ctl('fault', 'throttle', 'd2c', noisy, '2s');
    await send(noisy);
  }, { ...noise, atOnce: false });
  const late = PREFIX + 'late';
  await causes(late, 'throttled', async () => {
    await emulator.ctl('fault', 'throttle', 'connects', late, '3s');
    await bridge.subscribe(late, 'Methods', 'http://127.0.0.1:9/nowhere');
  }, { status: 'Disconnected_Retrying', atOnce: false });

  const isOver = (event) => event.deviceId === noisy && event.cause === null && event.at > refused.at;
  for (let i = 0; i < 12 && !streamed.some(isOver); i += 1) {
    await send(noisy);
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  holds(streamed.some(isOver), 'the end of the throttle is told of');

  const silent = await connected('silent');
  await causes(silent, 'keep-alive-missed', () => emulator.ctl('clock', 'scale', '200'), { atOnce: false });
  await emulator.ctl('clock', 'scale', '1');
  await emulator.ctl('clock', 'reset');

  await crowd();

  const greedy = await connected('greedy');
  await emulator.ctl('limits', 'off', 'quota=1');
  await causes(greedy, 'quota-exceeded', async () => {
    await send(greedy);
    await send(greedy);
  }, noise);


  const made = new Set(streamed.map((event) => event.cause));
  for (const cause of ['token-expired', 'other-client', 'keep-alive-missed', 'throttled', 'quota-exceeded', 'hub-moved', 'disabled', 'deleted', 'credentials-refused']) {
    holds(made.has(cause), `made: ${cause}`);
  }
  const text = JSON.stringify([streamed, watched]);
  for (const secret of [keyOf(stolen), env('GROUP_KEY'), primaryKey, 'sig=', '127.0.0.1:9']) holds(!text.includes(secret), 'no secret is told');
  bridge.check();
  emulator.check();
  watching.kill();
  await bridge.end('SIGTERM');
  await emulator.end('SIGTERM');
}, 150);
