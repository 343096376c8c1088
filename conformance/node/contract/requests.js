'use strict';
// What every request is held to: keys, paths, media types, bodies, and how refusals look.

const { same, holds } = require('../lib/check');
const { ROUTES } = require('./lib/bridge');

/** Every operation of the contract: method, route below the device, a good body. */
const OPERATIONS = [
  ['POST', '/messages/events', { data: {} }],
  ['GET', '/twin'],
  ['PATCH', '/twin/properties/reported', { patch: {} }],
  ...Object.values(ROUTES).flatMap((route) => [['GET', route], ['PUT', route, { callbackUrl: 'https://example.com/' }], ['DELETE', route]]),
  ['GET', '/connectionStatus'],
  ['POST', '/registration', {}],
  ['POST', '/resync'],
];

/** A refusal is a problem document. */
function problem(answer, status, what) {
  same(answer.status, status, what);
  same(answer.type, 'application/problem+json', `${what}: content type`);
  same(answer.json?.status, status, `${what}: status in the document`);
  for (const member of ['type', 'title', 'message']) holds(typeof answer.json[member] === 'string' && answer.json[member] !== '', `${what}: ${member} = ${answer.json[member]}`);
}

module.exports = (add) => {
  add('A1 D10', 'no route is open without the key, whatever else is wrong', async (t) => {
    const id = t.id('keyless');
    for (const [method, route, body] of OPERATIONS) {
      for (const key of [null, 'wrong', '', `${t.bridge.key}x`, t.bridge.key.slice(0, -1)]) {
        problem(await t.bridge.device(id, method, route, body, { key }), 401, `${method} ${route} with key ${key}`);
      }
      if (method !== 'GET') problem(await t.bridge.device(id, method, route, 'no JSON at all', { key: null, type: 'text/plain' }), 401, `${method} ${route} with a bad body`);
      problem(await t.bridge.device('not an id', method, route, body, { key: null }), 401, `${method} ${route} of a bad id`);
      problem(await t.bridge.device(id, 'PROPFIND', route, undefined, { key: null }), 401, `another method on ${route}`);
    }
    problem(await t.bridge.call('GET', '/devices/x/nowhere', undefined, { key: null }), 401, 'no route below a device');
  });

  add('A1 D10', 'each of several keys opens', async (t) => {
    const id = t.id('two-keys');
    for (const key of [t.bridge.key, t.secondKey]) same((await t.bridge.device(id, 'GET', ROUTES.Methods, undefined, { key })).status, 404, 'GET with a right key');
  });

  add('A2 D12', 'health, liveness and readiness need no key', async (t) => {
    const health = await t.bridge.call('GET', '/health', undefined, { key: null });
    same([health.status, health.text, health.type], [200, 'Healthy', 'text/plain'], 'GET /health');
    same((await t.bridge.call('GET', '/livez', undefined, { key: null })).status, 200, 'GET /livez');
    same((await t.bridge.call('GET', '/readyz', undefined, { key: null })).status, 200, 'GET /readyz');
  });

  add('D12', 'metrics need no key, count what happens and name nobody', async (t) => {
    const id = t.id('measured');
    const page = async () => {
      const plain = await t.bridge.call('GET', '/metrics', undefined, { key: null });
      same([plain.status, plain.type], [200, 'text/plain'], 'GET /metrics for anybody');
      const headers = { accept: 'application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1' };
      const answer = await t.bridge.call('GET', '/metrics', undefined, { key: null, headers });
      same([answer.status, answer.type], [200, 'application/openmetrics-text'], 'GET /metrics');
      holds(answer.text.endsWith('\n# EOF\n'), 'the page is complete');
      return answer.text;
    };
    const value = (text, sample) => Number(text.split('\n').find((line) => line.startsWith(`${sample} `))?.slice(sample.length + 1) ?? 0);
    const sent = 'drawspan_message_duration_seconds_count';
    const before = value(await page(), sent);
    same((await t.bridge.device(id, 'POST', '/messages/events', { data: { n: 1 } })).status, 200, 'a message');
    const after = await page();
    holds(value(after, sent) > before, `${sent} was ${before}`);
    for (const [sample, least] of [['drawspan_devices{state="connected"}', 1], ['drawspan_dps_registrations_total{result="assigned"}', 1], ['process_resident_memory_bytes', 1e6]]) {
      holds(value(after, sample) >= least, `${sample} is ${value(after, sample)}`);
    }
    for (const secret of [id, t.bridge.key, t.secondKey, 'http://', 'https://']) holds(!after.includes(secret), 'the page names nobody');
  });

  add('A3', 'literals of paths in any case', async (t) => {
    const id = t.id('any-case');
    for (const turn of [(path) => path.toUpperCase(), (path) => path.toLowerCase()]) {
      for (const route of Object.values(ROUTES)) {
        const answer = await t.bridge.call('GET', `${turn('/devices')}/${id}${turn(route)}`);
        problem(answer, 404, `GET ${turn(route)}`);
        same((await t.bridge.call('DELETE', `${turn('/devices')}/${id}${turn(route)}`)).status, 204, `DELETE ${turn(route)}`);
      }
      problem(await t.bridge.call('POST', `${turn('/devices')}/${id}${turn('/messages/events')}`, {}), 400, `POST ${turn('/messages/events')}`);
      problem(await t.bridge.call('PATCH', `${turn('/devices')}/${id}${turn('/twin/properties/reported')}`, {}), 400, 'PATCH reported');
      same((await t.bridge.call('POST', `${turn('/devices')}/${id}${turn('/registration')}`, {})).status, 200, `POST ${turn('/registration')}`);
      same((await t.bridge.call('POST', `${turn('/devices')}/${id}${turn('/resync')}`)).status, 202, `POST ${turn('/resync')}`);
      same((await t.bridge.call('GET', `${turn('/devices')}/${id}${turn('/twin')}`)).status, 200, `GET ${turn('/twin')}`);
      same((await t.bridge.call('GET', `${turn('/devices')}/${id}${turn('/connectionStatus')}`)).status, 200, `GET ${turn('/connectionStatus')}`);
    }
    same((await t.bridge.call('POST', `/Devices/${id}/Messages/events`, { data: {} })).status, 200, 'as the old description writes it');
  });

  add('A4', 'members of bodies in any case, and unknown ones', async (t) => {
    const id = t.id('members');
    const hook = t.hook('members');
    same((await t.bridge.device(id, 'POST', '/messages/events', { DATA: { n: 1 }, Properties: { a: 'b' }, ComponentName: 'c', creationtimeUTC: '2026-01-01T00:00:00Z', more: [1] })).status, 200, 'a message');
    same((await t.bridge.device(id, 'PATCH', '/twin/properties/reported', { Patch: { cased: true }, more: {} })).status, 204, 'a patch');
    same((await t.cloud.twin(id)).properties.reported.cased, true, 'and the hub has it');
    same((await t.bridge.device(id, 'POST', '/registration', { MODELID: 'dtmi:com:example:Thing;1', more: null })).status, 200, 'a registration');
    const made = await t.bridge.device(id, 'PUT', ROUTES.ConnectionStatus, { CALLBACKURL: hook.url, more: 1 });
    same([made.status, made.json?.callbackUrl], [200, hook.url], 'a subscription');
  });

  add('A5', 'media types', async (t) => {
    const id = t.id('media');
    const bodies = [['POST', '/messages/events', { data: {} }, 200], ['PATCH', '/twin/properties/reported', { patch: {} }, 204], ['PUT', ROUTES.ConnectionStatus, { callbackUrl: t.hook('media').url }, 200]];
    for (const [method, route, body, success] of bodies) {
      for (const type of ['application/json', 'text/json', 'application/vnd.thing+json', 'Application/JSON; charset=UTF-8']) {
        same((await t.bridge.device(id, method, route, body, { type })).status, success, `${method} ${route} as ${type}`);
      }
      for (const type of ['text/plain', 'application/xml', 'application/x-www-form-urlencoded', null]) {
        problem(await t.bridge.device(id, method, route, body, { type }), 415, `${method} ${route} as ${type}`);
      }
    }
  });

  add('A6 D9', 'bodies that cannot be', async (t) => {
    const id = t.id('bodies');
    const required = [['POST', '/messages/events', 'data', ['x', 1, [], null, true]], ['PATCH', '/twin/properties/reported', 'patch', ['x', 1, [], null]],
      ...Object.values(ROUTES).map((route) => ['PUT', route, 'callbackUrl', [1, {}, null, '', 'not a url', '/relative', 'ftp://example.com/']])];
    for (const [method, route, member, wrong] of required) {
      const bodies = ['', 'null', '{', '[]', '"text"', '{}', ...wrong.map((value) => JSON.stringify({ [member]: value }))];
      for (const body of bodies) problem(await t.bridge.device(id, method, route, body), 400, `${method} ${route} of ${body || 'nothing'}`);
    }
    for (const more of [{ properties: { n: 1 } }, { properties: [] }, { componentName: 1 }, { creationTimeUtc: 'yesterday' }, { creationTimeUtc: 5 }]) {
      problem(await t.bridge.device(id, 'POST', '/messages/events', { data: {}, ...more }), 400, `a message with ${JSON.stringify(more)}`);
    }
    problem(await t.bridge.device(id, 'POST', '/registration', { modelId: 5 }), 400, 'a model id that is none');
    problem(await t.bridge.device('no device id', 'GET', '/twin'), 400, 'an invalid device id');
    problem(await t.bridge.device(id, 'POST', '/messages/events', { data: { filler: 'x'.repeat(300_000) } }), 413, 'over the limit of the hub');
  });

  add('A7 D9', 'routes and methods that there are not', async (t) => {
    for (const path of ['/devices/x/nowhere', '/devices/x/messages', '/devices/x/twin/properties/desired', '/devices/x/twin/sub', '/nowhere']) {
      problem(await t.bridge.call('GET', path), 404, `GET ${path}`);
    }
    for (const [path, allowed] of [['/messages/events', 'POST'], ['/twin', 'GET'], ['/twin/properties/reported', 'PATCH'], ['/registration', 'POST'], ['/resync', 'POST'], ['/methods/sub', 'DELETE']]) {
      const answer = await t.bridge.call('OPTIONS', `/devices/x${path}`);
      problem(answer, 405, `OPTIONS ${path}`);
      holds(answer.headers.get('allow').includes(allowed), `Allow: ${answer.headers.get('allow')}`);
    }
  });
};
module.exports.problem = problem;
