'use strict';
// What takes minutes by its nature: the default number of retries. On request: `cargo xtask conformance contract-slow`.

const { same, holds } = require('../lib/check');

module.exports = (add) => {
  add('D1', 'six attempts when nothing is configured, waiting 2, 4, 8, 16 and 32 s', async (t) => {
    const bridge = await t.own('defaults', { retries: null, flags: ['--allow-callbacks', '127.0.0.0/8'] });
    const [id, hook] = [t.id('defaults'), t.hook('defaults', { status: 503 })];
    await bridge.running(id, { DesiredProperties: hook });
    await t.cloud.desire(id, { a: 1 });
    await hook.have(6, 90);
    const waits = hook.seen.slice(1).map((attempt, n) => attempt.atMs - hook.seen[n].endedMs);
    waits.forEach((wait, n) => holds(wait >= 2 ** (n + 1) * 1000 - 50, `wait ${n + 1}: ${wait} ms`));
    const letters = async () => (await bridge.call('GET', `/deadLetters?deviceId=${id}`)).json.deadLetters;
    const { eventually } = require('./lib/wait');
    const [letter] = await eventually(async () => { const found = await letters(); return found.length && found; }, 'a dead letter');
    same(letter.attempts, 6, 'attempts');
    same(hook.seen.length, 6, 'requests');
  }, { seconds: 170 });

  add('D1', 'a message whose receiver hangs is given back within its lock', async (t) => {
    const bridge = await t.own('hangs', { retries: null, flags: ['--allow-callbacks', '127.0.0.0/8'] });
    const [id, hook] = [t.id('hangs'), t.hook('hangs', { hang: true })];
    await bridge.running(id, { C2DMessages: hook });
    await t.cloud.send(id, {});
    await hook.have(1);
    const first = Date.parse(hook.events[0].deviceReceivedAt);
    const again = await hook.find((event) => Date.parse(event.deviceReceivedAt) > first, 'it comes again', 90);
    const after = again.atMs - hook.seen[0].atMs;
    holds(after < 60_000, `after ${after} ms, while the lock was held`);
    same(again.headers['webhook-id'], hook.seen[0].headers['webhook-id'], 'webhook-id');
  }, { seconds: 170 });
};
