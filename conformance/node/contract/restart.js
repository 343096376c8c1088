'use strict';
// The end of a bridge and its next start: what it remembers, how that lies on the disk, and who wins.

const fs = require('node:fs');
const path = require('node:path');
const { same, holds, env } = require('../lib/check');
const { ROUTES } = require('./lib/bridge');
const { URL_SECRET } = require('./lib/receiver');
const { eventually } = require('./lib/wait');
const { Wire } = require('./lib/wire');

const LOCAL = ['--allow-callbacks', '127.0.0.0/8'];

/** A request that a bridge which is only starting may put off. */
async function started(bridge, id, method, route, body) {
  return eventually(async () => {
    const answer = await bridge.device(id, method, route, body);
    return answer.status !== 503 && answer;
  }, `${method} ${route} is answered`);
}

module.exports = (add) => {
  for (const signal of ['SIGTERM', 'SIGKILL']) {
    add('C7 K1 C5', `after ${signal} all subscriptions are there, and in effect`, async (t) => {
      const bridge = await t.own(`restart-${signal}`, { flags: LOCAL });
      const id = t.id('restart');
      const hooks = Object.fromEntries(Object.keys(ROUTES).map((kind) => [kind, t.hook(kind)]));
      await bridge.subscribe(id, 'ConnectionStatus', hooks.ConnectionStatus.url);
      await bridge.running(id, hooks);
      const read = async () => Promise.all(Object.keys(ROUTES).map(async (kind) => ({ ...(await bridge.subscription(id, kind)).json, status: 0 })));
      const before = await read();
      await bridge.restart(signal);
      for (const kind of ['DesiredProperties', 'Methods', 'C2DMessages']) await bridge.is(id, kind, 'Running');
      same(await read(), before, 'subscriptions, with their URL and time');
      await t.cloud.send(id, { n: 1 });
      await t.cloud.desire(id, { n: 1 });
      same((await t.cloud.invoke(id, 'again', 1)).status, 200, 'a method');
      await hooks.C2DMessages.have(1);
      await hooks.DesiredProperties.have(1);
      await hooks.ConnectionStatus.find((event, attempt) => attempt.number > 0 && event.status === 'Connected', 'connected again');
    });
  }

  add('C8', 'a change by a caller while it starts wins', async (t) => {
    const bridge = await t.own('wins', { flags: LOCAL });
    const ids = Array.from({ length: 40 }, (_, n) => t.id(`wins-${n}`));
    const [old, fresh] = [t.hook('old'), t.hook('fresh')];
    await Promise.all(ids.map((id) => bridge.subscribe(id, 'C2DMessages', old.url)));
    await Promise.all(ids.map((id) => bridge.is(id, 'C2DMessages', 'Running')));
    await bridge.restart('SIGKILL');
    const [replaced, removed, kept] = [ids.slice(0, 15), ids.slice(15, 30), ids.slice(30)];
    await Promise.all([
      ...replaced.map(async (id) => same((await started(bridge, id, 'PUT', ROUTES.C2DMessages, { callbackUrl: fresh.url })).status, 200, `PUT for ${id}`)),
      ...removed.map(async (id) => same((await started(bridge, id, 'DELETE', ROUTES.C2DMessages)).status, 204, `DELETE for ${id}`)),
    ]);
    await Promise.all([...replaced, ...kept].map((id) => bridge.is(id, 'C2DMessages', 'Running')));
    for (const id of removed) same((await bridge.subscription(id, 'C2DMessages')).status, 404, `what is left for ${id}`);
    for (const id of replaced) same((await bridge.subscription(id, 'C2DMessages')).json.callbackUrl, fresh.url, `URL of ${id}`);
    for (const id of [...replaced, ...kept]) await t.cloud.send(id, {});
    await fresh.have(replaced.length);
    await old.have(kept.length);
    same([fresh.seen.length, old.seen.length], [replaced.length, kept.length], 'events at the new URL and the old one');
    same(new Set(fresh.events.map((event) => event.deviceId)), new Set(replaced), 'devices at the new URL');
    for (const id of removed) await bridge.connection(id, 'Disabled');
  });

  add('C10', 'the first connection after a start is told to whoever subscribes to it', async (t) => {
    const bridge = await t.own('told', { flags: LOCAL });
    const ids = Array.from({ length: 20 }, (_, n) => t.id(`told-${n}`));
    const status = t.hook('status');
    await Promise.all(ids.map(async (id) => {
      await bridge.subscribe(id, 'ConnectionStatus', status.url);
      await bridge.subscribe(id, 'Methods', t.hook('methods').url);
      await bridge.is(id, 'Methods', 'Running');
    }));
    await status.have(ids.length);
    await bridge.restart('SIGKILL');
    await Promise.all(ids.map((id) => bridge.is(id, 'Methods', 'Running')));
    for (const id of ids) await eventually(() => status.events.filter((event) => event.deviceId === id && event.status === 'Connected').length === 2, `${id} was told twice`);
  });

  add('K2', 'callback URLs do not lie on the disk in clear; without their key there is no start', async (t) => {
    const bridge = await t.own('at-rest', { flags: LOCAL });
    const id = t.id('at-rest');
    const hook = t.hook('at-rest', { status: 400 });
    for (const kind of Object.keys(ROUTES)) await bridge.subscribe(id, kind, hook.url);
    await bridge.is(id, 'C2DMessages', 'Running');
    await t.cloud.send(id, { in: 'a dead letter' });
    await hook.find((event) => event.eventType === 'C2DMessage', 'the message');
    await eventually(async () => (await bridge.call('GET', `/deadLetters?deviceId=${id}`)).json.deadLetters.length > 0, 'a dead letter');
    const holdsClear = () => bridge.stored().some((bytes) => bytes.includes(URL_SECRET) || bytes.includes('a dead letter'));
    holds(!holdsClear(), 'while it runs');
    await bridge.end('SIGTERM');
    holds(!holdsClear(), 'and after its end');
    const keyring = path.join(bridge.state, 'keyring');
    const away = path.join(env('FOLDER'), `${bridge.name}.keyring`);
    fs.renameSync(keyring, away);
    await bridge.start().then(() => { throw new Error('it started without its keys'); }, () => {});
    const said = bridge.text().slice(-2000);
    holds(/key/i.test(said) && said.includes('keyring'), 'it says that a key is missing, and where it was looked for');
    bridge.child = null;
    fs.renameSync(away, keyring);
    await bridge.start();
    same((await started(bridge, id, 'GET', ROUTES.Methods)).json.callbackUrl, hook.url, 'with the key it is there again');
  });

  add('K2 B3', 'keys are rotated while it runs; a start with the new ring reads all', async (t) => {
    const bridge = await t.own('rotates', { flags: LOCAL });
    const [id, hook] = [t.id('rotates'), t.hook('rotates')];
    await bridge.subscribe(id, 'Methods', hook.url);
    await bridge.is(id, 'Methods', 'Running');
    const before = fs.readFileSync(path.join(bridge.state, 'keyring'), 'utf8');
    const { execFileSync } = require('node:child_process');
    execFileSync(env('DRAWSPAN'), ['keys', 'rotate', '--state', bridge.state], { encoding: 'utf8' });
    holds(fs.readFileSync(path.join(bridge.state, 'keyring'), 'utf8') !== before, 'the ring has changed');
    same((await t.cloud.invoke(id, 'meanwhile', 1)).status, 200, 'a method meanwhile');
    await bridge.restart('SIGTERM');
    await bridge.is(id, 'Methods', 'Running');
    same((await bridge.subscription(id, 'Methods')).json.callbackUrl, hook.url, 'URL');
  });

  add('C9', 'resync brings back a device that failed', async (t) => {
    const wire = await new Wire().listen();
    const bridge = await t.own('resync', { flags: [...wire.flags, ...LOCAL] });
    const id = t.id('resync');
    await bridge.running(id, { Methods: t.hook('methods') });
    await t.cloud.allow(id, false);
    await bridge.is(id, 'Methods', 'Stopped');
    await t.cloud.allow(id, true);
    same((await bridge.device(id, 'POST', '/resync')).status, 202, 'resync');
    await bridge.is(id, 'Methods', 'Running');
    same((await t.cloud.invoke(id, 'x', 1)).status, 200, 'a method');
  });
};
