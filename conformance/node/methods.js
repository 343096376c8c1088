'use strict';
// Direct methods: the unmodified service SDK calls, the unmodified device SDK answers, or does not.

const iothub = require('azure-iothub');
const { run, env, same, holds, refused } = require('./lib/check');
const { capability } = require('./lib/capability');
const hub = require('./lib/hub');
const { name: transport } = require('./lib/transport');

const service = () => iothub.Client.fromConnectionString(env('HUB_CONNECTION_STRING'));

/** Calls, and returns what the hub answered. */
async function call(id, methodName, more = {}) {
  const { result } = await service().invokeDeviceMethod(id, { methodName, responseTimeoutInSeconds: 30, ...more });
  return result;
}

/** The code that the hub gave for a refusal. */
function code(error) {
  return error.response.headers['iothub-errorcode'];
}

/** Serves a method: remembers the requests, answers what `answer` says. */
function serve(client, name, answer) {
  const seen = [];
  client.onDeviceMethod(name, (request, response) => {
    seen.push({ name: request.methodName, payload: request.payload });
    const { status, payload } = answer(request.payload);
    response.send(status, payload, (error) => {
      if (error) seen.push({ error: error.name });
    });
  });
  return seen;
}

/** The device takes calls only when its links are there, of which the SDK says nothing. */
function takesCalls(id) {
  return hub.eventually(async () => {
    try {
      return await call(id, 'ready');
    } catch (error) {
      if (code(error) !== 'DeviceNotOnline') throw error;
      return null;
    }
  }, `${id} takes calls`);
}

async function checkOffline(client) {
  for (const [id, expected] of [
    ['methods-2', 'DeviceNotOnline'],
    ['nobody-here', 'DeviceNotFound'],
  ]) {
    const error = await refused(call(id, 'x'), id);
    same([error.response.statusCode, code(error)], [404, expected], 'refusal');
  }
  await client.getTwin();
  const error = await refused(call('methods-1', 'x'), 'a device that is connected, but takes no calls');
  same([error.response.statusCode, code(error)], [404, 'DeviceNotOnline'], 'refusal');
}

async function checkAnswers(client) {
  const echoed = serve(client, 'echo', (payload) => ({ status: 207, payload: { got: payload } }));
  serve(client, 'ready', () => ({ status: 200, payload: null }));
  serve(client, 'empty', () => ({ status: 404, payload: undefined }));
  await takesCalls('methods-1');
  const payload = { text: 'ümläut "quoted"', list: [1, 2.5, null], deep: { er: true } };
  same(await call('methods-1', 'echo', { payload }), { status: 207, payload: { got: payload } }, 'answer');
  same(echoed, [{ name: 'echo', payload }], 'what the device saw');
  same((await call('methods-1', 'echo', { payload: 0 })).payload, { got: 0 }, 'a number as payload');
  const large = 'x'.repeat(100 * 1024);
  const { payload: back } = await call('methods-1', 'echo', { payload: large });
  holds(back.got === large, `${large.length} characters both ways`);
  same(await call('methods-1', 'empty'), { status: 404, payload: null }, 'an answer of no payload');
  const all = await Promise.all(Array.from({ length: 20 }, (_, n) => call('methods-1', 'echo', { payload: n })));
  same(all.map((result) => result.payload.got), Array.from({ length: 20 }, (_, n) => n), 'twenty calls at once');
}

async function checkWaiting(device) {
  // The caller waits for a device that is not there yet.
  const waiting = call('methods-2', 'late', { connectTimeoutInSeconds: 20, payload: 'wait' });
  const client = await hub.open(device);
  serve(client, 'late', (payload) => ({ status: 200, payload }));
  same(await waiting, { status: 200, payload: 'wait' }, 'answer of a device that came late');
  return client;
}

run(async () => {
  const devices = await hub.createDevices(['methods-1', 'methods-2']);
  const client = await hub.open(devices.get('methods-1'));
  await checkOffline(client);
  await checkAnswers(client);
  capability(transport, 'methods');
  const second = await checkWaiting(devices.get('methods-2'));
  // The SDK lets a call that nobody serves pass in silence.
  const silent = await refused(call('methods-1', 'unheard-of', { responseTimeoutInSeconds: 5 }), 'a method that nobody serves');
  same(silent.name, 'GatewayTimeoutError', 'which the SDK calls');
  same(code(silent), 'GatewayTimeout', 'refusal');
  await second.close();
  const gone = await hub.eventually(async () => {
    const error = await call('methods-2', 'late', { responseTimeoutInSeconds: 5 }).catch((error) => error);
    return error instanceof Error && code(error) === 'DeviceNotOnline';
  }, 'the device is gone');
  holds(gone, 'a device that closed is not online');
  await client.close();
});
