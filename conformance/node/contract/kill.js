'use strict';
// kill -9 of the bridge at random moments, with messages and changes of subscriptions under way. The seed is printed; KILL_SEED repeats it.

const { same, holds } = require('../lib/check');
const { ROUTES } = require('./lib/bridge');
const { eventually, pause } = require('./lib/wait');

const SEED = Number(process.env.KILL_SEED ?? Date.now() % 1_000_000);
const ROUNDS = 8;
const DEVICES = 12;
/** Of a lane, one event is under way at a time; that one may come again. */
const IN_FLIGHT = 1;

/** mulberry32: small, and the same everywhere. */
function random(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), 1 | state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Sends to devices until told to stop; what could not be sent is not counted. */
async function traffic(t, ids, sent, going) {
  let n = 0;
  while (going.on) {
    await Promise.all(ids.map(async (id) => {
      n += 1;
      const messageId = await t.cloud.send(id, { n }).catch(() => null);
      if (messageId !== null) sent.set(messageId, id);
    }));
    await pause(20);
  }
}

/** PUT and DELETE in turn; remembers for each what must be there: a change whose answer did not come may have happened or not. */
async function changes(bridge, pairs, truth, dice, going) {
  while (going.on) {
    const pair = pairs[Math.floor(dice() * pairs.length)];
    const [id, kind] = pair.split(' ');
    const url = dice() < 0.6 ? `http://127.0.0.1:9/changed-${Math.floor(dice() * 1e9)}` : null;
    const allowed = truth.get(pair);
    truth.set(pair, [...allowed, url]);
    try {
      const answer = url === null ? await bridge.device(id, 'DELETE', ROUTES[kind]) : await bridge.device(id, 'PUT', ROUTES[kind], { callbackUrl: url });
      if (answer.status < 300) truth.set(pair, [url]);
      else if (answer.status < 500) throw new Error(`${pair}: ${answer.status} ${answer.text}`);
      else await pause(20);
    } catch (error) {
      if (error.cause === undefined) throw error;
      await pause(20);
    }
  }
}

async function checkTruth(bridge, truth) {
  for (const [pair, allowed] of truth) {
    const [id, kind] = pair.split(' ');
    const answer = await eventually(async () => {
      const read = await bridge.subscription(id, kind);
      return read.status !== 503 && read;
    }, `GET ${pair}`);
    const url = answer.status === 404 ? null : answer.json.callbackUrl;
    if (!allowed.includes(url)) throw new Error(`${pair} is ${url}, may be ${allowed}`);
    // What was found is what counts from now on.
    truth.set(pair, [url]);
  }
  holds(true, `${truth.size} subscriptions are as they were left`);
}

module.exports = (add) => {
  add('K1 K3', `killed ${ROUNDS} times, seed ${SEED}`, async (t) => {
    const dice = random(SEED);
    const bridge = await t.own('killed', { flags: ['--allow-callbacks', '127.0.0.0/8'], retries: 1 });
    const ids = Array.from({ length: DEVICES }, (_, n) => t.id(`killed-${n}`));
    const hook = t.hook('killed', () => ({ delayMs: Math.floor(dice() * 60), status: dice() < 0.1 ? 503 : 200 }));
    await Promise.all(ids.map((id) => bridge.running(id, { C2DMessages: hook })));
    const pairs = ids.flatMap((id) => ['Methods', 'DesiredProperties', 'ConnectionStatus'].map((kind) => `${id} ${kind}`));
    const truth = new Map(pairs.map((pair) => [pair, [null]]));
    const sent = new Map();
    const going = { on: true };
    const busy = Promise.all([traffic(t, ids, sent, going), changes(bridge, pairs, truth, dice, going)]);
    busy.catch(() => {});
    for (let round = 1; round <= ROUNDS; round += 1) {
      const seen = hook.seen.length;
      await hook.have(seen + 1 + Math.floor(dice() * 40), 60);
      await pause(Math.floor(dice() * 30));
      await bridge.restart('SIGKILL');
      console.log(`  round ${round}: ${sent.size} sent, ${hook.seen.length} attempts`);
    }
    going.on = false;
    await busy;
    await checkTruth(bridge, truth);
    await checkMessages(t, hook, sent, ids);
  }, { seconds: 150 });
};

async function checkMessages(t, hook, sent, ids) {
  const taken = (id) => hook.seen.some((attempt) => attempt.event.messageId === id && attempt.status === 200);
  // A message in flight at a kill stays locked at the hub for up to 60 s.
  for (const id of sent.keys()) await eventually(() => taken(id), `${id} is taken`, 90);
  holds(sent.size >= 50, `${sent.size} messages were sent, and each was taken`);
  await eventually(async () => (await Promise.all(ids.map((id) => t.cloud.waiting(id)))).every((count) => count === 0), 'none waits at the hub');
  const outcomes = await Promise.all([...sent.keys()].map((id) => t.cloud.outcome(id)));
  same([...new Set(outcomes)], ['Success'], 'what the hub says of them');
  const hookIds = new Map();
  let repeated = 0;
  for (const { event, headers, status } of hook.seen) {
    const id = headers['webhook-id'];
    if (!hookIds.has(event.messageId)) hookIds.set(event.messageId, { id, taken: 0 });
    const first = hookIds.get(event.messageId);
    if (first.id !== id) throw new Error(`${event.messageId} came as ${first.id} and as ${id}`);
    if (status === 200 && first.taken > 0) repeated += 1;
    if (status === 200) first.taken += 1;
  }
  holds(new Set([...hookIds.values()].map(({ id }) => id)).size === hookIds.size, 'each message has a webhook-id of its own');
  holds(repeated <= ROUNDS * DEVICES * IN_FLIGHT, `${repeated} came again although they had been taken: at most what was in flight`);
}
