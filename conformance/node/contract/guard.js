'use strict';
// Where events may not go: private networks unless allowed, metadata services never.

const { same, holds } = require('../lib/check');
const { ROUTES } = require('./lib/bridge');
const { problem } = require('./requests');

const PRIVATE = ['http://127.0.0.1:3000/', 'http://127.1.2.3/', 'http://localhost:3000/', 'http://hub.localtest/', 'http://10.0.0.1/', 'http://172.16.5.5/', 'http://192.168.1.1/',
  'http://[::1]:3000/', 'http://[::ffff:127.0.0.1]/', 'http://[::ffff:10.0.0.1]/', 'http://[fd12:3456::1]/', 'http://0.0.0.0/', 'http://100.64.0.1/'];
const METADATA = ['http://169.254.169.254/metadata/instance', 'http://169.254.0.1/', 'http://[fe80::1]/', 'http://[::ffff:169.254.169.254]/', 'http://[fd00:ec2::254]/', 'http://100.100.100.200/'];

async function put(t, bridge, url, kind = 'Methods') {
  return bridge.device(t.id('guarded'), 'PUT', ROUTES[kind], { callbackUrl: url });
}

module.exports = (add) => {
  add('D13', 'private networks are refused by name, others are not', async (t) => {
    const bridge = await t.own('guard');
    for (const url of [...PRIVATE, ...METADATA]) {
      for (const kind of ['Methods', 'ConnectionStatus']) problem(await put(t, bridge, url, kind), 400, `${kind} to ${url}`);
    }
    const answer = await put(t, bridge, 'http://127.0.0.1:3000/');
    holds(/allow.callbacks/.test(answer.json.message), `it says what allows it: ${answer.json.message}`);
    same((await bridge.subscription(t.id('guarded'), 'Methods')).status, 404, 'nothing was stored');
    same((await put(t, bridge, 'https://93.184.216.34/events')).status, 200, 'a public address');
  });

  add('D13', 'what is allowed is allowed, and nothing else', async (t) => {
    const bridge = await t.own('allowing', { flags: ['--allow-callbacks', '10.0.0.0/8', '--allow-callbacks', 'localhost'] });
    same((await put(t, bridge, 'http://10.1.2.3/')).status, 200, 'in the range');
    same((await put(t, bridge, 'http://localhost:3000/')).status, 200, 'by name');
    problem(await put(t, bridge, 'http://192.168.1.1/'), 400, 'in another range');
    problem(await put(t, bridge, 'http://127.0.0.1:3000/'), 400, 'the address of the name');
  });

  add('D13', 'metadata services are refused whatever is allowed', async (t) => {
    const bridge = await t.own('all-allowed', { flags: ['--allow-callbacks', '0.0.0.0/0', '--allow-callbacks', '::/0'] });
    for (const url of METADATA) problem(await put(t, bridge, url), 400, url);
    same((await put(t, bridge, 'http://192.168.1.1/')).status, 200, 'a private address');
  });

  add('D13', 'what was allowed once is not called when it is not any more', async (t) => {
    const bridge = await t.own('no-more', { flags: ['--allow-callbacks', '127.0.0.0/8'], retries: 0 });
    const [id, hook] = [t.id('no-more'), t.hook('no-more')];
    await bridge.running(id, { C2DMessages: hook });
    await bridge.end('SIGTERM');
    bridge.parameters = bridge.parameters.filter((word) => !['--allow-callbacks', '127.0.0.0/8'].includes(word));
    await bridge.start();
    await bridge.is(id, 'C2DMessages', 'Running');
    same(await t.cloud.outcome(await t.cloud.send(id, {}), 90), 'DeliveryCountExceeded', 'at the hub');
    same(hook.seen.length, 0, 'requests at the receiver');
  });
};
