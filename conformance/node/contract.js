'use strict';
// Each row of CONTRACT.md, over HTTP with real receivers of events, the cloud's side by the official service SDK. Arguments: the areas to
// run (files of `contract/`); none is all but those on request.

const { run, env, holds } = require('./lib/check');
const rows = require('./contract/lib/rows');
const cases = require('./contract/lib/cases');
const { Emulator } = require('./contract/lib/process');
const { Bridge } = require('./contract/lib/bridge');
const { URL_SECRET } = require('./contract/lib/receiver');
const { Cloud, PAYLOAD_SECRET } = require('./contract/lib/cloud');

/** Areas that have a scenario of their own. */
const APART = ['kill', 'slow'];
/** Cases at a time: they mostly wait. */
const AT_ONCE = 40;
const SECOND_KEY = 'another-api-key-of-the-contract';
/** What signs events; the second is the one that comes in a rotation. */
const WEBHOOK_SECRETS = ['whsec_ZHJhd3NwYW4gY29uZm9ybWFuY2Ugb25l', 'whsec_ZHJhd3NwYW4gY29uZm9ybWFuY2UgdHdv'];

async function world() {
  const emulator = new Emulator();
  await emulator.start();
  const cloud = new Cloud();
  await cloud.open();
  const flags = ['--allow-callbacks', '127.0.0.0/8', '--api-key', SECOND_KEY, ...WEBHOOK_SECRETS.flatMap((secret) => ['--webhook-secret', secret])];
  const bridge = new Bridge('bridge', { flags });
  await bridge.start();
  return { emulator, cloud, bridge, logs: [bridge], secondKey: SECOND_KEY, webhookSecrets: WEBHOOK_SECRETS };
}

/** Whatever the cases did, no log of a bridge may hold this. */
function checkLogs(bridges) {
  const secrets = { 'the API key': env('BRIDGE_API_KEY'), 'the other API key': SECOND_KEY, 'the group key': env('GROUP_KEY'), 'a callback URL': URL_SECRET, 'a payload': PAYLOAD_SECRET };
  WEBHOOK_SECRETS.forEach((secret, n) => { secrets[`signing key ${n + 1}`] = secret.slice('whsec_'.length); });
  holds(bridges.some((bridge) => bridge.text().includes('DEBUG')), 'logs are detailed');
  for (const bridge of bridges) {
    // The first line of each start is the command line, by this suite itself.
    const text = bridge.text().split('\n').filter((line) => !line.startsWith("'serve'")).join('\n');
    for (const [what, secret] of Object.entries(secrets)) {
      const line = text.split('\n').find((line) => line.includes(secret));
      if (line !== undefined) throw new Error(`the log of ${bridge.name} holds ${what}: ${line}`);
    }
    console.log(`  ${bridge.name} wrote ${text.length} characters, and none of ${Object.keys(secrets).length} secrets`);
  }
}

run(async () => {
  const areas = process.argv.slice(2);
  const all = cases.load(null);
  const wrong = rows.mistakes(rows.read(), all);
  holds(wrong.length === 0, `CONTRACT.md and the cases agree ${wrong.join('; ')}`);
  const chosen = all.filter(({ area }) => (areas.length ? areas.includes(area) : !APART.includes(area)));
  const shared = await world();
  const failed = await cases.runAll(chosen, shared, AT_ONCE);
  console.log(`── ${chosen.length - failed.length} of ${chosen.length} cases hold`);
  for (const { area, name, error } of failed) console.log(`   FAILED ${area}: ${name}: ${String(error.message ?? error).slice(0, 400)}`);
  shared.bridge.check();
  shared.emulator.check();
  checkLogs(shared.logs);
  holds(failed.length === 0, 'all of them');
}, 170);
