'use strict';
// Telemetry over HTTP through the bridge, as a device without an SDK sends it; and what the bridge refuses.

const { run, env, same, holds } = require('./lib/check');
const hub = require('./lib/hub');

const url = (device) => `${env('BRIDGE_URL')}/devices/${encodeURIComponent(device)}/messages/events`;

function post(target, json, key, method = 'POST') {
  const headers = { 'content-type': 'application/json' };
  if (key !== null) headers['x-api-key'] = key;
  return fetch(target, { method, headers, body: json });
}

function entry(request, device) {
  return {
    device: request.device,
    generationId: device.generationId,
    authScope: 'hub',
    bodyBase64: hub.body(request).toString('base64'),
    messageId: null,
    correlationId: null,
    contentType: 'application/json',
    contentEncoding: 'utf-8',
    component: request.component ?? null,
    properties: request.properties || {},
    creationTime: request.creationTime,
  };
}

async function refusal(refused, device) {
  console.log(`  ${refused.why}:`);
  const json = refused.json ?? JSON.stringify({ data: { filler: 'x'.repeat(refused.bodyBytes ?? 1) } });
  const target = refused.path ? `${env('BRIDGE_URL')}${refused.path}` : url(refused.device ?? device);
  const key = refused.key === undefined ? env('BRIDGE_API_KEY') : refused.key;
  const response = await post(target, json, key, refused.method);
  const text = await response.text();
  same(response.status, refused.status, 'status');
  same(response.headers.get('content-type')?.split(';')[0], 'application/problem+json', 'content type');
  const problem = JSON.parse(text);
  same(problem.status, refused.status, 'status in the problem document');
  for (const member of ['title', 'message']) holds(typeof problem[member] === 'string' && problem[member] !== '', `${member}: ${problem[member]}`);
}

run(async () => {
  const { devices: ids, requests, refusals } = hub.data('bridge.json');
  const startMs = Date.now();
  const devices = await hub.createDevices(ids);
  const entries = [];
  for (const request of requests) {
    const response = await post(url(request.device), request.json, env('BRIDGE_API_KEY'));
    const text = await response.text();
    same([response.status, text], [200, ''], `POST for ${request.device}`);
    entries.push(entry(request, devices.get(request.device)));
  }
  for (const refused of refusals) await refusal(refused, ids[0]);
  hub.writeLedger(startMs, entries);
}, 120);
