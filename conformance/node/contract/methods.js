'use strict';
// Direct methods: the event, and what each answer of its receiver comes to for the caller at the hub.

const { same, holds } = require('../lib/check');
const { PAYLOAD_SECRET } = require('./lib/cloud');

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

async function subscribed(t, name, ...answers) {
  const id = t.id(name);
  const hook = t.hook(name, ...answers);
  await t.bridge.running(id, { Methods: hook });
  return { id, hook };
}

/** What the receiver says, and what the caller gets. */
const ANSWERS = [
  ['status and payload', { body: { status: 207, payload: { a: [1, null] } } }, { status: 207, payload: { a: [1, null] } }],
  ['names in another case', { body: { Status: 201, PAYLOAD: 'x' } }, { status: 201, payload: 'x' }],
  ['unknown members', { body: { status: 202, payload: 1, more: true } }, { status: 202, payload: 1 }],
  ['a status alone', { body: { status: 404 } }, { status: 404, payload: null }],
  ['a payload alone', { body: { payload: 0 } }, { status: 200, payload: 0 }],
  ['nothing of it', { body: {} }, { status: 200, payload: null }],
  ['no body', {}, { status: 200, payload: null }],
  ['no content', { status: 204 }, { status: 200, payload: null }],
  ['another 2xx', { status: 202, body: { status: 299, payload: [] } }, { status: 299, payload: [] }],
  ['a body that is no JSON', { body: 'fine' }, { status: 200, payload: null }],
  ['a body that breaks off', { body: '{"status":201,"payload":' }, { status: 200, payload: null }],
  ['a body that is no object', { body: '[201]' }, { status: 200, payload: null }],
  ['a status that is a text', { body: { status: 'good', payload: 1 } }, { status: 200, payload: null }],
  ['null', { body: 'null' }, { status: 200, payload: null }],
  ['JSON declared as something else', { body: { status: 203, payload: 1 }, headers: { 'content-type': 'text/plain' } }, { status: 203, payload: 1 }],
];

module.exports = (add) => {
  add('E3', 'the event, exactly', async (t) => {
    const { id, hook } = await subscribed(t, 'exact');
    const payload = { text: 'ümläut "quoted"', list: [1, 2.5, null], secret: PAYLOAD_SECRET };
    const startMs = Date.now();
    same((await t.cloud.invoke(id, 'reboot', payload)).status, 200, 'a call');
    const [{ event, headers, method }] = hook.seen;
    same([method, headers['content-type'].split(';')[0]], ['POST', 'application/json'], 'the request');
    same(Object.keys(event).sort(), ['deviceId', 'deviceReceivedAt', 'eventType', 'methodName', 'requestData'], 'members');
    same([event.eventType, event.deviceId, event.methodName], ['DirectMethodInvocation', id, 'reboot'], 'what it is');
    same(event.requestData, payload, 'requestData');
    holds(TIME.test(event.deviceReceivedAt), `deviceReceivedAt ${event.deviceReceivedAt}`);
    const received = Date.parse(event.deviceReceivedAt);
    holds(received >= startMs - 1000 && received <= Date.now() + 1000, 'received now');
    for (const data of [null, 0, 'text', [], false]) {
      same((await t.cloud.invoke(id, 'data', data)).status, 200, `a call with ${JSON.stringify(data)}`);
      same(hook.events.at(-1).requestData, data, 'requestData');
    }
    same((await t.cloud.invoke(id, 'bare', undefined)).status, 200, 'a call without a payload');
    same(hook.events.at(-1).requestData, null, 'requestData');
    same(new Set(hook.seen.map((attempt) => attempt.headers['webhook-id'])).size, hook.seen.length, 'ids of calls');
  });

  add('E6', 'what the receiver answers is what the caller gets', async (t) => {
    const { id } = await subscribed(t, 'answers', ...ANSWERS.map(([, answer]) => answer));
    for (const [what, , expected] of ANSWERS) same(await t.cloud.invoke(id, 'ask', 1), expected, what);
  });

  add('E6', 'a refusal is 500, and is not tried again', async (t) => {
    const refusals = [400, 404, 301, 307];
    const { id, hook } = await subscribed(t, 'refusals', ...refusals.map((status) => ({ status, headers: { location: '/elsewhere' }, body: { status: 200, payload: 1 } })));
    for (const status of refusals) same((await t.cloud.invoke(id, 'ask', 1)).status, 500, `the receiver says ${status}`);
    same(hook.seen.length, refusals.length, 'attempts');
  });

  for (const [what, answer] of [['503', { status: 503 }], ['429', { status: 429 }], ['408', { status: 408 }], ['a broken connection', { reset: true }]]) {
    add('E6 E7 D1', `${what} is tried again`, async (t) => {
      const { id, hook } = await subscribed(t, 'tried', answer, { body: { status: 200, payload: 'at last' } });
      same(await t.cloud.invoke(id, 'ask', 1), { status: 200, payload: 'at last' }, 'what the caller gets');
      same(hook.seen.length, 2, 'attempts');
      holds(hook.seen[1].atMs - hook.seen[0].endedMs >= 1900, `after ${hook.seen[1].atMs - hook.seen[0].endedMs} ms`);
      same(hook.seen[0].headers['webhook-id'], hook.seen[1].headers['webhook-id'], 'webhook-id');
    });
  }

  add('E6', 'a receiver that hangs, or fails for ever, is 500 within the time for methods; then nothing more goes to it', async (t) => {
    const hung = await subscribed(t, 'hung', { hang: true });
    const failing = await subscribed(t, 'failing', { status: 500 });
    const all = await Promise.all([t.cloud.invoke(hung.id, 'ask', 1), t.cloud.invoke(failing.id, 'ask', 1)]);
    same(all.map((answer) => answer.status), [500, 500], 'what the callers get');
    same(hung.hook.seen.length, 1, 'attempts at the one that hangs');
    holds(failing.hook.seen.length <= 3, `attempts at the one that fails: ${failing.hook.seen.length}`);
  });

  add('E6', 'answers of many calls find their callers', async (t) => {
    const echo = (attempt) => ({ delayMs: (attempt.event.requestData * 13) % 40, body: { payload: attempt.event.requestData } });
    const devices = await Promise.all(Array.from({ length: 6 }, (_, n) => subscribed(t, `many-${n}`, echo)));
    await Promise.all(devices.map(async ({ id, hook }) => {
      const numbers = Array.from({ length: 8 }, (_, n) => n);
      const answers = await Promise.all(numbers.map((n) => t.cloud.invoke(id, 'echo', n)));
      same(answers, numbers.map((n) => ({ status: 200, payload: n })), `answers of ${id}`);
      same(hook.seen.length, 8, 'each was asked once');
    }));
  });

  add('E6 S8', 'nobody subscribes: the hub says that the device is not there for methods', async (t) => {
    const id = t.id('none');
    same((await t.bridge.device(id, 'POST', '/messages/events', { data: {} })).status, 200, 'it is connected');
    same(await t.cloud.invoke(id, 'ask', 1), { refused: 404, code: 'DeviceNotOnline' }, 'what the caller gets');
  });
};
