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

/**
 * PUT and DELETE in turn, and a look before. `truth` has for each what may be there: a change whose answer did not come may have happened or not.
 */
async function changes(bridge, pairs, truth, dice, going) {
  while (going.on) {
    const pair = pairs[Math.floor(dice() * pairs.length)];
    const [id, kind] = pair.split(' ');
    const url = dice() < 0.6 ? `http://127.0.0.1:9/changed-${Math.floor(dice() * 1e9)}` : null;
    try {
      await look(bridge, pair, truth);
      truth.set(pair, [...truth.get(pair), url]);
      const answer = url === null ? await bridge.device(id, 'DELETE', ROUTES[kind]) : await bridge.device(id, 'PUT', ROUTES[kind], { callbackUrl: url });
      if (answer.status < 300) truth.set(pair, [url]);
      else if (answer.status < 500) throw new Error(`${pair}: ${answer.status} ${answer.text}`);
      else await pause(20);
    } catch (error) {
      // What `fetch` says of a bridge that is not there has a cause.
      if (error.cause === undefined) throw error;
      await pause(20);
    }
  }
}

/** Reads a subscription, which must be one that may be there. Gives whether the bridge has answered. */
async function look(bridge, pair, truth) {
  const [id, kind] = pair.split(' ');
  const answer = await bridge.subscription(id, kind);
  if (answer.status === 503) return false;
  const url = answer.status === 404 ? null : answer.json.callbackUrl;
  if (!truth.get(pair).includes(url)) throw new Error(`${pair} is ${url}, and may be ${truth.get(pair)}`);
  // What was found is what counts from now on.
  truth.set(pair, [url]);
  return true;
}

async function checkTruth(bridge, truth) {
  for (const pair of truth.keys()) await eventually(() => look(bridge, pair, truth), `GET ${pair}`);
  holds(true, `${truth.size} subscriptions are as they were left`);
}

module.exports = (add) => {
  add('K1 K3', `killed ${ROUNDS} times, seed ${SEED}`, async (t) => {
    const dice = random(SEED);
    const bridge = await t.own('killed', { flags: ['--allow-callbacks', '127.0.0.0/8'], retries: 1 });
    const ids = Array.from({ length: DEVICES }, (_, n) => t.id(`killed-${n}`));
    let life = 1;
    const answer = (attempt) => {
      attempt.life = life;
      return { delayMs: Math.floor(dice() * 60), status: dice() < 0.1 ? 503 : 200 };
    };
    const hook = t.hook('killed', answer);
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
      await bridge.end('SIGKILL');
      // What it had sent is read, and belongs to this life.
      await eventually(() => hook.idle(), 'its connections are gone');
      life += 1;
      await bridge.start();
      console.log(`  round ${round}: ${sent.size} sent, ${hook.seen.length} attempts`);
    }
    going.on = false;
    await busy;
    await checkTruth(bridge, truth);
    await checkMessages(t, hook, sent, ids);
  }, { seconds: 150 });
};

async function checkMessages(t, hook, sent, ids) {
  const missing = () => {
    const taken = new Set(hook.seen.filter(({ status }) => status === 200).map(({ event }) => event.messageId));
    return [...sent.keys()].filter((id) => !taken.has(id));
  };
  // A message in flight at a kill may be locked at the hub for up to 60 s.
  await eventually(() => missing().length === 0, () => `all are taken, and not: ${missing()}`, 80);
  holds(sent.size >= 50, `${sent.size} messages were sent, and each was taken`);
  await eventually(async () => (await Promise.all(ids.map((id) => t.cloud.waiting(id)))).every((count) => count === 0), 'none waits at the hub');
  const outcomes = await Promise.all([...sent.keys()].map((id) => t.cloud.outcome(id)));
  same([...new Set(outcomes)], ['Success'], 'what the hub says of them');
  checkRepeats(hook);
}

/** What was taken comes again only if it was in flight when that bridge was killed, which of a device is one message, and under the same id. */
function checkRepeats(hook) {
  const messages = new Map();
  const again = new Map();
  for (const { event, headers, status, life } of hook.seen) {
    const id = headers['webhook-id'];
    const known = messages.get(event.messageId) ?? { id, takenIn: null };
    messages.set(event.messageId, known);
    if (known.id !== id) throw new Error(`${event.messageId} came as ${known.id} and as ${id}`);
    if (status !== 200) continue;
    if (known.takenIn !== null) {
      if (known.takenIn === life) throw new Error(`${event.messageId} came again without a kill`);
      const place = `${event.deviceId} in life ${known.takenIn}`;
      again.set(place, [...(again.get(place) ?? []), event.messageId]);
    }
    known.takenIn = life;
  }
  holds(new Set([...messages.values()].map(({ id }) => id)).size === messages.size, 'each message has a webhook-id of its own');
  const many = [...again].filter(([, all]) => all.length > IN_FLIGHT);
  holds(many.length === 0, `${again.size} came again although they had been taken, ${IN_FLIGHT} of a device and kill at most ${JSON.stringify(many)}`);
}
