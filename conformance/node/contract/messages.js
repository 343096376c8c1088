'use strict';
// Cloud-to-device messages: the event, and what each answer of its receiver comes to at the hub.

const { same, holds } = require('../lib/check');
const { PAYLOAD_SECRET } = require('./lib/cloud');

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;
const MEMBERS = ['deviceId', 'deviceReceivedAt', 'eventType', 'expirtyTimeUtC', 'messageBody', 'messageId', 'properties'];

async function subscribed(t, name, ...answers) {
  const id = t.id(name);
  const hook = t.hook(name, ...answers);
  await t.bridge.running(id, { C2DMessages: hook });
  return { id, hook };
}

/** All attempts are for one message. */
function sameId(hook) {
  same(new Set(hook.seen.map((attempt) => attempt.headers['webhook-id'])).size, 1, `webhook-id of ${hook.seen.length} attempts`);
}

/** Answers that must give the message back, so that it comes again: by what, and how many attempts the bridge makes first. */
const GIVEN_BACK = {
  'a redirection': [{ status: 302, headers: { location: '/elsewhere' } }, 1],
  500: [{ status: 500 }, 3],
  503: [{ status: 503 }, 3],
  408: [{ status: 408 }, 3],
  425: [{ status: 425 }, 3],
  429: [{ status: 429 }, 3],
  'a broken connection': [{ reset: true }, 3],
  'what is no HTTP': [{ garbage: true }, 3],
  'no answer at all': [{ hang: true }, 3],
};

module.exports = (add) => {
  add('E2', 'the event, exactly', async (t) => {
    const { id, hook } = await subscribed(t, 'exact');
    const startMs = Date.now();
    const expiryTimeUtc = Math.ceil(startMs / 1000) * 1000 + 600_000;
    const body = { größe: '✓', n: [1, 2.5, null], secret: PAYLOAD_SECRET };
    const messageId = await t.cloud.send(id, body, { expiryTimeUtc, properties: { plain: 'value', 'with space': 'a=b;c' } });
    const [{ event, headers, method }] = await hook.have(1);
    same(method, 'POST', 'method');
    same(headers['content-type'].split(';')[0], 'application/json', 'content type');
    same(Object.keys(event).sort(), MEMBERS, 'members');
    same([event.eventType, event.deviceId, event.messageId], ['C2DMessage', id, messageId], 'what it is');
    same(event.messageBody, body, 'messageBody');
    same(event.properties, { plain: 'value', 'with space': 'a=b;c' }, 'properties');
    holds(TIME.test(event.expirtyTimeUtC), `expirtyTimeUtC ${event.expirtyTimeUtC}`);
    same(Date.parse(event.expirtyTimeUtC), expiryTimeUtc, 'expiry');
    holds(TIME.test(event.deviceReceivedAt), `deviceReceivedAt ${event.deviceReceivedAt}`);
    const received = Date.parse(event.deviceReceivedAt);
    holds(received >= startMs - 1000 && received <= Date.now() + 1000, 'received now');
    same(await t.cloud.outcome(messageId), 'Success', 'at the hub');
  });

  add('E2 D4', 'bodies that are JSON, and bodies that are not', async (t) => {
    const { id, hook } = await subscribed(t, 'bodies');
    const json = ['42', '"text"', 'null', 'true', '[1,{"a":2}]', ' {"a" : 1.50} ', '"\\u0000\\ud83d\\ude00"'];
    const other = [Buffer.from('plain text'), Buffer.from([0xff, 0xfe, 0x00]), Buffer.from('{"a":'), Buffer.from('{"a":1} {"b":2}'), Buffer.from('"","eventType":"x"'), Buffer.from('NaN')];
    for (const body of [...json.map((text) => Buffer.from(text)), ...other]) await t.cloud.send(id, body);
    await hook.have(json.length + other.length);
    hook.events.slice(0, json.length).forEach((event, n) => {
      same([event.messageBody, event.messageBodyEncoding], [JSON.parse(json[n]), undefined], `body ${json[n]}`);
    });
    hook.events.slice(json.length).forEach((event, n) => {
      same([event.eventType, event.messageBodyEncoding], ['C2DMessage', 'base64'], `encoding of ${other[n].toString('latin1')}`);
      same(event.messageBody, other[n].toString('base64'), 'messageBody');
      same(Object.keys(event).sort(), [...MEMBERS, 'messageBodyEncoding'].sort(), 'members');
    });
  });

  for (const status of [200, 201, 202, 204, 299]) {
    add('E5', `${status} completes`, async (t) => {
      const { id, hook } = await subscribed(t, `taken-${status}`, { status });
      same(await t.cloud.outcome(await t.cloud.send(id, {})), 'Success', 'at the hub');
      same([hook.seen.length, await t.cloud.waiting(id)], [1, 0], 'attempts, and messages that wait');
    });
  }

  for (const status of [400, 401, 404, 410, 422]) {
    add('E5', `${status} rejects, at once`, async (t) => {
      const { id, hook } = await subscribed(t, `rejected-${status}`, { status });
      same(await t.cloud.outcome(await t.cloud.send(id, {})), 'Rejected', 'at the hub');
      same([hook.seen.length, await t.cloud.waiting(id)], [1, 0], 'attempts, and messages that wait');
    });
  }

  for (const [what, [answer, attempts]] of Object.entries(GIVEN_BACK)) {
    add(`E5 E7 D1 D3`, `${what}: tried ${attempts} times, given back, and delivered again under the same id`, async (t) => {
      const { id, hook } = await subscribed(t, 'given-back', ...Array(attempts).fill(answer), {});
      const messageId = await t.cloud.send(id, { what });
      await hook.have(attempts, 60);
      await hook.have(attempts + 1);
      sameId(hook);
      same(hook.events.map((event) => event.messageBody), Array(attempts + 1).fill({ what }), 'each attempt');
      same(await t.cloud.outcome(messageId), 'Success', 'at the hub in the end');
      same([hook.seen.length, hook.mostOpen], [attempts + 1, 1], 'attempts, and most at a time');
    }, { long: what === 'no answer at all' ? 60 : 20 });
  }

  add('E5', 'a receiver that never takes it: the hub gives up after 10 deliveries', async (t) => {
    const bridge = await t.own('no-retries', { retries: 0, flags: ['--allow-callbacks', '127.0.0.0/8'] });
    const id = t.id('hopeless');
    const hook = t.hook('hopeless', { status: 500 });
    await bridge.running(id, { C2DMessages: hook });
    same(await t.cloud.outcome(await t.cloud.send(id, {}), 90), 'DeliveryCountExceeded', 'at the hub');
    same(hook.seen.length, 10, 'attempts');
    sameId(hook);
  });

  add('E9', 'in the order of sending, one at a time, whatever their receivers do', async (t) => {
    const slow = (attempt) => ({ delayMs: (attempt.number * 37) % 90, status: [3, 9].includes(attempt.number) ? 503 : 200 });
    const devices = await Promise.all(Array.from({ length: 8 }, (_, n) => subscribed(t, `order-${n}`, slow)));
    const numbers = Array.from({ length: 12 }, (_, n) => n);
    await Promise.all(devices.map(async ({ id }) => {
      for (const n of numbers) await t.cloud.send(id, { n });
    }));
    for (const { hook } of devices) {
      await hook.find((event, attempt) => event.messageBody.n === 11 && attempt.status === 200, 'the last one is taken', 60);
      same(hook.seen.filter((attempt) => attempt.status === 200).map((attempt) => attempt.event.messageBody.n), numbers, 'the order of what was taken');
      same([hook.seen.length, hook.mostOpen], [14, 1], 'attempts, and most at a time');
    }
  });

  add('E10', 'a receiver that hangs holds up nobody else', async (t) => {
    const stuck = await subscribed(t, 'stuck', { hang: true });
    const free = await subscribed(t, 'free');
    await t.cloud.send(stuck.id, {});
    await stuck.hook.have(1);
    for (let n = 0; n < 5; n += 1) await t.cloud.send(free.id, { n });
    await free.hook.have(5);
    same(stuck.hook.open >= 1 || stuck.hook.seen.length < 3, true, 'while the other still waits');
    same(free.hook.events.map((event) => event.messageBody.n), [0, 1, 2, 3, 4], 'what came');
  });
};
