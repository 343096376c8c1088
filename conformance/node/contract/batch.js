'use strict';
// Telemetry of many devices in one request, and requests that are sent twice.

const { same, holds } = require('../lib/check');
const { problem } = require('./requests');

module.exports = (add) => {
  add('B5', 'each item has its own fate, in the order of the request', async (t) => {
    const [a, b] = [t.id('batch-a'), t.id('batch-b')];
    const messages = [
      { deviceId: a, data: { n: 1 }, properties: { p: 'v' }, componentName: 'c', creationTimeUtc: '2026-01-01T00:00:00Z' },
      { deviceId: b, data: { n: 2 } },
      { deviceId: a, data: 'no object' },
      { deviceId: 'not an id', data: {} },
      { data: {} },
      { deviceId: a, data: { filler: 'x'.repeat(300_000) } },
      { DEVICEID: a, Data: { n: 3 } },
    ];
    const { status, json } = await t.bridge.call('POST', '/messages/events', { messages });
    same(status, 200, 'POST');
    same(json.results.map((item) => item.status), [200, 200, 400, 400, 400, 413, 200], 'results');
    same([json.accepted, json.failed], [3, 4], 'counts');
    same(json.results.slice(0, 2).map((item) => item.deviceId), [a, b], 'devices');
    for (const item of json.results.slice(2, 6)) holds(item.problem.status === item.status && item.problem.message !== '', `problem: ${item.problem.message}`);
  });

  add('B5', 'what is no batch', async (t) => {
    const one = { deviceId: t.id('x'), data: {} };
    for (const body of [{}, { messages: [] }, { messages: null }, { messages: {} }, { messages: Array(501).fill(one) }, 'null', '[]']) problem(await t.bridge.call('POST', '/messages/events', body), 400, `POST of ${JSON.stringify(body).slice(0, 40)}`);
    problem(await t.bridge.call('POST', '/messages/events', { messages: [one] }, { key: null }), 401, 'without a key');
    problem(await t.bridge.call('POST', '/messages/events', { messages: [one] }, { type: 'text/plain' }), 415, 'as text');
    problem(await t.bridge.call('POST', '/messages/events', { messages: [{ ...one, data: { filler: 'x'.repeat(4_300_000) } }] }), 413, 'over 4 MB');
    problem(await t.bridge.call('GET', '/messages/events'), 405, 'GET');
  });

  add('B6', 'one key, one message: in turn, at the same time, and after a restart', async (t) => {
    const bridge = await t.own('repeats');
    const id = t.id('repeats');
    const post = (key, data) => bridge.device(id, 'POST', '/messages/events', { data }, { headers: { 'idempotency-key': key } });
    const key = t.id('key');
    const first = await post(key, { n: 1 });
    same([first.status, first.headers.get('idempotency-replayed')], [200, null], 'the first');
    const again = await post(key, { n: 1 });
    same([again.status, again.headers.get('idempotency-replayed'), again.text], [200, 'true', ''], 'again');
    problem(await post(key, { n: 2 }), 422, 'another body under the same key');
    const together = await Promise.all(Array.from({ length: 10 }, () => post(`${key}-many`, { n: 3 })));
    same(together.map((answer) => answer.status), Array(10).fill(200), 'ten at the same time');
    same(together.filter((answer) => answer.headers.get('idempotency-replayed') === null).length, 1, 'that were sent on');
    await bridge.restart('SIGKILL');
    const after = await post(key, { n: 1 });
    same([after.status, after.headers.get('idempotency-replayed')], [200, 'true'], 'after a restart');
    problem(await post('', { n: 1 }), 400, 'an empty key');
    problem(await post('x'.repeat(256), { n: 1 }), 400, 'a key that is too long');
  });

  add('B6', 'a failure is not remembered, and keys of devices are apart', async (t) => {
    const [a, b] = [t.id('apart-a'), t.id('apart-b')];
    const headers = { 'idempotency-key': t.id('same') };
    same((await t.bridge.device(a, 'POST', '/messages/events', { data: 'none' }, { headers })).status, 400, 'a bad one');
    const good = await t.bridge.device(a, 'POST', '/messages/events', { data: {} }, { headers });
    same([good.status, good.headers.get('idempotency-replayed')], [200, null], 'a good one under the same key');
    const other = await t.bridge.device(b, 'POST', '/messages/events', { data: {} }, { headers });
    holds(other.status === 422 || (other.status === 200 && other.headers.get('idempotency-replayed') === null), `another device: ${other.status}, not an answer about the first`);
  });

  add('B6', 'batches are remembered whole', async (t) => {
    const headers = { 'idempotency-key': t.id('batch') };
    const body = { messages: [{ deviceId: t.id('one'), data: {} }, { deviceId: t.id('two'), data: {} }] };
    same((await t.bridge.call('POST', '/messages/events', body, { headers })).json.accepted, 2, 'the first');
    const again = await t.bridge.call('POST', '/messages/events', body, { headers });
    same([again.status, again.headers.get('idempotency-replayed')], [200, 'true'], 'again');
  });
};
