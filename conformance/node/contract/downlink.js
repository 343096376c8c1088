'use strict';
// Messages to devices that can only ask.

const { same, holds } = require('../lib/check');
const { ROUTES } = require('./lib/bridge');
const { problem } = require('./requests');

const ROUTE = '/messages/deviceBound';
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

async function known(t, name) {
  const id = t.id(name);
  same((await t.bridge.device(id, 'POST', '/registration', {})).status, 200, 'registration');
  return id;
}

const receive = (t, id, wait = 10) => t.bridge.device(id, 'GET', `${ROUTE}?wait=${wait}`);
const settle = (t, id, token, how) => t.bridge.device(id, 'POST', `${ROUTE}/${encodeURIComponent(token)}/${how}`);

module.exports = (add) => {
  add('B4', 'received and completed, abandoned, rejected: as the hub tells the sender', async (t) => {
    const id = await known(t, 'pull');
    same((await receive(t, id, 0)).status, 204, 'nothing waits');
    const expected = [['complete', 'Success'], ['reject', 'Rejected']];
    const sent = [];
    for (const [how] of expected) {
      sent.push(await t.cloud.send(id, { how }, { properties: { a: 'b' } }));
      const { status, json } = await receive(t, id);
      same([status, json.messageBody, json.properties, json.messageId], [200, { how }, { a: 'b' }, sent.at(-1)], 'the message');
      holds(TIME.test(json.lockedUntil) && TIME.test(json.expirtyTimeUtC), `locked until ${json.lockedUntil}`);
      same((await settle(t, id, json.lockToken, how)).status, 204, how);
      problem(await settle(t, id, json.lockToken, how), 410, `${how} again`);
    }
    const last = await t.cloud.send(id, { n: 3 });
    const first = (await receive(t, id)).json;
    same((await settle(t, id, first.lockToken, 'abandon')).status, 204, 'abandon');
    const again = (await receive(t, id)).json;
    same(again.messageBody, { n: 3 }, 'it comes again');
    same((await settle(t, id, again.lockToken, 'complete')).status, 204, 'complete');
    same(await t.cloud.outcome(last), 'Success', 'the last');
    for (const [n, [, outcome]] of expected.entries()) same(await t.cloud.outcome(sent[n]), outcome, 'at the hub');
  });

  add('B4', 'who asks and waits is told when it comes; what is not settled comes again', async (t) => {
    const id = await known(t, 'waits');
    const asked = receive(t, id, 20);
    await t.bridge.connection(id, 'Connected');
    await t.cloud.send(id, { n: 1 });
    const { status, json } = await asked;
    same([status, json.messageBody], [200, { n: 1 }], 'the message');
    const again = (await receive(t, id)).json;
    same([again.lockToken, again.messageBody], [json.lockToken, { n: 1 }], 'asked once more');
    same((await settle(t, id, again.lockToken, 'complete')).status, 204, 'complete');
  });

  add('B4', 'a waiting message in the answer to telemetry, when asked for', async (t) => {
    const id = await known(t, 'piggyback');
    const none = await t.bridge.device(id, 'POST', '/messages/events?receive=true', { data: {} });
    same([none.status, none.text], [200, ''], 'none waits');
    await t.cloud.send(id, { n: 1 });
    const { status, json } = await t.bridge.device(id, 'POST', '/messages/events?receive=true&wait=10', { data: {} });
    same([status, json?.messageBody], [200, { n: 1 }], 'the message');
    same((await settle(t, id, json.lockToken, 'complete')).status, 204, 'complete');
    same(await t.cloud.waiting(id), 0, 'messages that wait');
  });

  add('B4', 'not beside a subscription; not what is no token', async (t) => {
    const id = t.id('both');
    await t.bridge.running(id, { C2DMessages: t.hook('both') });
    problem(await receive(t, id, 0), 409, 'GET');
    same((await t.bridge.device(id, 'DELETE', ROUTES.C2DMessages)).status, 204, 'DELETE');
    same((await receive(t, id, 0)).status, 204, 'without it');
    problem(await settle(t, id, 'no-such-token', 'complete'), 410, 'complete');
    problem(await receive(t, id, 61), 400, 'to wait for over a minute');
    problem(await receive(t, id, 'x'), 400, 'to wait for no number');
    same((await t.bridge.device(id, 'GET', ROUTE, undefined, { key: null })).status, 401, 'without a key');
  });
};
