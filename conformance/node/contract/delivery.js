'use strict';
// How events reach their receivers: waits between attempts, signatures, dead letters.

const { Webhook } = require('standardwebhooks');
const { same, holds } = require('../lib/check');
const { eventually } = require('./lib/wait');
const { ROUTES } = require('./lib/bridge');
const snippets = require('./lib/snippets');

async function subscribed(t, name, ...answers) {
  const id = t.id(name);
  const hook = t.hook(name, ...answers);
  await t.bridge.running(id, { C2DMessages: hook });
  return { id, hook };
}

/** Milliseconds between the end of one attempt and the beginning of the next. */
function waits(hook) {
  return hook.seen.slice(1).map((attempt, n) => attempt.atMs - hook.seen[n].endedMs);
}

async function letters(t, id) {
  const answer = await t.bridge.call('GET', `/deadLetters?deviceId=${id}`);
  same(answer.status, 200, 'GET /deadLetters');
  return answer.json.deadLetters;
}

module.exports = (add) => {
  add('E7', 'waits of 2 s and 4 s before the second and third attempt', async (t) => {
    const { id, hook } = await subscribed(t, 'backs-off', { status: 500 }, { status: 502 }, {});
    await t.cloud.send(id, {});
    await hook.have(3);
    const [first, second] = waits(hook);
    holds(first >= 1950 && second >= 3950, `waits: ${first} ms, ${second} ms`);
  });

  add('E8 D1', 'Retry-After in seconds, and as a date, is kept to', async (t) => {
    const inSeconds = (s) => new Date(Date.now() + s * 1000).toUTCString();
    const cases = [
      ['seconds', () => ({ status: 503, headers: { 'retry-after': '5' } }), 4900],
      ['date', () => ({ status: 429, headers: { 'retry-after': inSeconds(6) } }), 4900],
    ];
    await Promise.all(cases.map(async ([name, answer, least]) => {
      const { id, hook } = await subscribed(t, `after-${name}`, answer, {});
      await t.cloud.send(id, {});
      await hook.have(2);
      holds(waits(hook)[0] >= least, `${name}: waited ${waits(hook)[0]} ms`);
    }));
  });

  add('E8', 'a Retry-After that says nothing useful does not hold up an event', async (t) => {
    const odd = ['soon', '-5', '', '1e9', 'Thu, 01 Jan 1970 00:00:00 GMT'];
    await Promise.all(odd.map(async (value, n) => {
      const { id, hook } = await subscribed(t, `odd-${n}`, { status: 503, headers: { 'retry-after': value } }, {});
      await t.cloud.send(id, {});
      await hook.have(2, 20);
      holds(true, `after ${JSON.stringify(value)} it came again`);
    }));
  });

  add('B1', 'signed by every key, as the official library checks it', async (t) => {
    const { id, hook } = await subscribed(t, 'signed');
    await t.cloud.send(id, { größe: '✓' });
    const [{ headers, body, event }] = await hook.have(1);
    for (const secret of t.webhookSecrets) same(new Webhook(secret).verify(body.toString('utf8'), headers), event, 'verified');
    const refuses = (secret, text, changed) => {
      try {
        new Webhook(secret).verify(text, { ...headers, ...changed });
      } catch {
        return true;
      }
      return false;
    };
    holds(refuses('whsec_bm90IHRoZSBrZXkgYXQgYWxs', body.toString('utf8')), 'not by another key');
    holds(refuses(t.webhookSecrets[0], `${body} `), 'not with another body');
    holds(refuses(t.webhookSecrets[0], body.toString('utf8'), { 'webhook-id': 'x' }), 'not with another id');
    same(headers['webhook-signature'].split(' ').length, t.webhookSecrets.length, 'signatures');
  });

  add('B1', 'the functions that docs/webhooks.md shows take what is genuine, and nothing else', async (t) => {
    const { id, hook } = await subscribed(t, 'by-hand');
    await t.cloud.send(id, { größe: '✓' });
    const [{ headers, body }] = await hook.have(1);
    const [first, second] = t.webhookSecrets;
    // A genuine signature at another time, by the official library.
    const at = (seconds) => {
      const date = new Date(Date.now() + seconds * 1000);
      const signature = new Webhook(first).sign(headers['webhook-id'], date, body.toString('utf8'));
      return { ...headers, 'webhook-timestamp': String(Math.floor(date / 1000)), 'webhook-signature': signature };
    };
    const without = (name) => Object.fromEntries(Object.entries(headers).filter(([key]) => key !== name));
    const all = headers['webhook-signature'].split(' ');
    const cases = [
      ['an event of the bridge', first, headers, body, true],
      ['by its second key', second, headers, body, true],
      ['with its second signature alone', second, { ...headers, 'webhook-signature': all[1] }, body, true],
      ['with signatures of other kinds around it', first, { ...headers, 'webhook-signature': `v1a,x ${all[0]} v2,y` }, body, true],
      ['a while ago', first, at(-280), body, true],
      ['too long ago', first, at(-320), body, false],
      ['in the future', first, at(320), body, false],
      ['another time', first, { ...headers, 'webhook-timestamp': String(Number(headers['webhook-timestamp']) + 1) }, body, false],
      ['no time', first, { ...headers, 'webhook-timestamp': 'soon' }, body, false],
      ['without a time', first, without('webhook-timestamp'), body, false],
      ['another body', first, headers, Buffer.concat([body, Buffer.from(' ')]), false],
      ['another id', first, { ...headers, 'webhook-id': 'x' }, body, false],
      ['without an id', first, without('webhook-id'), body, false],
      ['another key', 'whsec_bm90IHRoZSBrZXkgYXQgYWxs', headers, body, false],
      ["another key's signature alone", first, { ...headers, 'webhook-signature': all[1] }, body, false],
      ['a signature cut short', first, { ...headers, 'webhook-signature': all[0].slice(0, -1) }, body, false],
      ['a signature of other letters', first, { ...headers, 'webhook-signature': 'v1,ü' }, body, false],
      ['without a signature', first, without('webhook-signature'), body, false],
    ];
    same(all.length, 2, 'signatures');
    for (const [language, judge] of Object.entries(snippets.judges())) {
      const found = await judge(cases.map(([, secret, given, bytes]) => ({ secret, headers: given, body: bytes })));
      cases.forEach(([what, , , , expected], n) => same(found[n], expected, `${language}: ${what}`));
      same(found.length, cases.length, `${language}: answers`);
    }
  });

  add('B1', 'all four kinds are signed, and attempts again as well', async (t) => {
    const id = t.id('kinds');
    const hooks = { DesiredProperties: t.hook('desired'), Methods: t.hook('methods'), C2DMessages: t.hook('c2d', { status: 503 }, {}), ConnectionStatus: t.hook('status') };
    await t.bridge.subscribe(id, 'ConnectionStatus', hooks.ConnectionStatus.url);
    await t.bridge.running(id, hooks);
    await t.cloud.desire(id, { a: 1 });
    same((await t.cloud.invoke(id, 'x', 1)).status, 200, 'a method');
    await t.cloud.send(id, {});
    await hooks.C2DMessages.have(2);
    for (const [kind, hook] of Object.entries(hooks)) {
      await hook.have(1);
      for (const { headers, body, event } of hook.seen) same(new Webhook(t.webhookSecrets[1]).verify(body.toString('utf8'), headers), event, `${kind}, verified`);
    }
  });

  add('B2', 'a rejected message is a dead letter, which can be read, replayed and removed', async (t) => {
    const { id, hook } = await subscribed(t, 'letters', { status: 400 }, { status: 410 }, { status: 400 }, {});
    same(await t.cloud.outcome(await t.cloud.send(id, { n: 1 })), 'Rejected', 'at the hub');
    const [letter] = await eventually(async () => {
      const found = await letters(t, id);
      return found.length === 1 && found;
    }, 'a dead letter');
    holds(!JSON.stringify(letter).includes(hook.url.split('/').at(-1)), 'it holds no callback URL');
    same([letter.deviceId, letter.subscriptionType, letter.webhookId], [id, 'C2DMessages', hook.seen[0].headers['webhook-id']], 'whose it is');
    same([letter.event.messageBody, letter.attempts], [{ n: 1 }, 1], 'what it is');
    const second = await t.bridge.call('POST', `/deadLetters/${letter.id}/replay`);
    same(second.status, 202, 'replayed to a receiver that refuses it again');
    await hook.have(2);
    await eventually(async () => (await letters(t, id)).length === 1, 'it is kept');
    await t.cloud.send(id, { n: 2 });
    await eventually(async () => (await letters(t, id)).length === 2, 'another one');
    const [one, two] = await letters(t, id);
    same((await t.bridge.call('POST', `/deadLetters/${one.id}/replay`)).status, 202, 'replayed to a receiver that takes it');
    await hook.have(4);
    same(hook.events[3], hook.events[0], 'the event is the one that was refused');
    same(hook.seen[3].headers['webhook-id'], hook.seen[0].headers['webhook-id'], 'and its id');
    await eventually(async () => (await letters(t, id)).length === 1, 'it is gone from the list');
    same((await t.bridge.call('DELETE', `/deadLetters/${two.id}`)).status, 204, 'DELETE');
    same(await letters(t, id), [], 'what is left');
    same((await t.bridge.call('DELETE', `/deadLetters/${two.id}`)).status, 404, 'DELETE again');
    same((await t.bridge.call('POST', `/deadLetters/${two.id}/replay`)).status, 404, 'replay of none');
  });

  add('B2', 'an abandoned message is a dead letter until it is taken; nobody to replay to is refused', async (t) => {
    const { id, hook } = await subscribed(t, 'abandoned', { status: 500 }, { status: 500 }, { status: 500 }, { status: 500 }, { status: 500 }, { status: 500 }, { status: 200, delayMs: 500 });
    const sent = await t.cloud.send(id, {});
    await hook.have(4, 60);
    await eventually(async () => (await letters(t, id)).length === 1, 'a dead letter');
    await hook.have(7, 60);
    same((await letters(t, id)).length, 1, 'after it was given back twice, of letters');
    same(await t.cloud.outcome(sent), 'Success', 'at the hub');
    await eventually(async () => (await letters(t, id)).length === 0, 'no letter is left');
  }, { long: 40 });

  add('B2', 'of a device without a subscription nothing can be replayed', async (t) => {
    const { id, hook } = await subscribed(t, 'nobody', { status: 400 });
    await t.cloud.send(id, {});
    await hook.have(1);
    const [letter] = await eventually(async () => {
      const found = await letters(t, id);
      return found.length && found;
    }, 'a dead letter');
    same((await t.bridge.device(id, 'DELETE', ROUTES.C2DMessages)).status, 204, 'DELETE of the subscription');
    const answer = await t.bridge.call('POST', `/deadLetters/${letter.id}/replay`);
    same([answer.status, answer.json.type], [404, 'urn:drawspan:problem:no-subscription'], 'replay');
  });

  add('B2', 'pages of the list, and by kind', async (t) => {
    const { id, hook } = await subscribed(t, 'pages', { status: 400 });
    for (let n = 0; n < 5; n += 1) await t.cloud.send(id, { n });
    await hook.have(5);
    await eventually(async () => (await letters(t, id)).length === 5, 'five letters');
    const seen = [];
    let after = '';
    for (let page = 0; page < 5; page += 1) {
      const { json } = await t.bridge.call('GET', `/deadLetters?deviceId=${id}&limit=2${after}`);
      seen.push(...json.deadLetters.map((letter) => letter.event.messageBody.n));
      if (json.deadLetters.length === 0) break;
      after = `&after=${json.deadLetters.at(-1).id}`;
    }
    same(seen, [0, 1, 2, 3, 4], 'all, oldest first');
    same((await t.bridge.call('GET', `/deadLetters?deviceId=${id}&subscriptionType=Methods`)).json.deadLetters, [], 'of methods');
    same((await t.bridge.call('GET', `/deadLetters?deviceId=${id}&subscriptionType=c2dmessages`)).json.deadLetters.length, 5, 'of messages, in any case');
    same((await t.bridge.call('GET', '/deadLetters?limit=many')).status, 400, 'a limit that is none');
    same((await t.bridge.call('GET', '/deadLetters', undefined, { key: null })).status, 401, 'without a key');
  });
};
