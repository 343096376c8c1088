'use strict';
// A bridge with a command line, a port and a state directory of its own, and the calls that its users make.

const fs = require('node:fs');
const path = require('node:path');
const { env, holds } = require('../../lib/check');
const { eventually } = require('./wait');
const { Process } = require('./process');

/** Routes of the four subscriptions, below the device. */
const ROUTES = {
  DesiredProperties: '/twin/properties/desired/sub',
  Methods: '/methods/sub',
  C2DMessages: '/deviceBound/sub',
  ConnectionStatus: '/connectionStatus/sub',
};

let nextPort = 18_000;

class Bridge extends Process {
  /** `flags` are added to those that every bridge has; `profile` replaces the enrollment group. */
  constructor(name, { flags = [], profile, variables = {}, retries = 2 } = {}) {
    nextPort += 1;
    super(name, nextPort);
    this.origin = `http://127.0.0.1:${this.port}`;
    this.state = path.join(env('FOLDER'), `${name}-state`);
    this.key = env('BRIDGE_API_KEY');
    this.variables = { DRAWSPAN_LOG: 'debug', ...variables };
    this.parameters = [
      'serve', '--listen', `127.0.0.1:${this.port}`, '--api-key', this.key, '--ca', env('CA'), '--state', this.state,
      '--request-timeout', '15', '--method-answer-timeout', '8',
      ...(retries === null ? [] : ['--http-retry-limit', String(retries)]),
      ...(profile ?? Bridge.byGroup(env('GROUP_KEY'))), ...flags,
    ];
  }

  static byGroup(key) {
    return ['--id-scope', env('ID_SCOPE'), '--group-key', key, '--dps-endpoint', env('DPS'), '--dps-rate', '0'];
  }

  start() {
    return super.start(this.parameters, this.variables);
  }

  async restart(signal) {
    await this.end(signal);
    await this.start();
  }

  /** One request. `body` is sent as JSON, a string as it is. Gives status, headers, text and the JSON that the text is. */
  async call(method, target, body, { key = this.key, headers = {}, type = 'application/json' } = {}) {
    const all = { ...headers };
    if (key !== null) all['x-api-key'] = key;
    if (body !== undefined && type !== null) all['content-type'] = type;
    const bytes = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
    // Bytes, since for a text fetch would add a content type of its own.
    const sent = bytes === undefined ? undefined : Buffer.from(bytes);
    const response = await fetch(`${this.origin}${target}`, { method, headers: all, body: sent });
    const text = await response.text();
    let json = null;
    try {
      json = JSON.parse(text);
    } catch {
      // Not every answer is JSON.
    }
    return { status: response.status, headers: response.headers, type: response.headers.get('content-type')?.split(';')[0] ?? null, text, json };
  }

  /** One request about a device. */
  device(id, method, route, body, more) {
    return this.call(method, `/devices/${encodeURIComponent(id)}${route}`, body, more);
  }

  /** Makes a subscription, which must be answered with 200. */
  async subscribe(id, kind, url) {
    const answer = await this.device(id, 'PUT', ROUTES[kind], { callbackUrl: url });
    holds(answer.status === 200, `PUT ${kind} of ${id}: ${answer.status} ${answer.status === 200 ? '' : answer.text}`);
    return answer.json;
  }

  subscription(id, kind) {
    return this.device(id, 'GET', ROUTES[kind]);
  }

  /** Waits until the subscription has this status. */
  async is(id, kind, status, seconds) {
    let last;
    await eventually(async () => {
      last = (await this.subscription(id, kind)).json;
      return last?.status === status;
    }, () => `${kind} of ${id} is ${status}, and not ${last?.status}`, seconds);
  }

  /** Subscribes and waits until events arrive. */
  async running(id, kinds) {
    for (const [kind, hook] of Object.entries(kinds)) await this.subscribe(id, kind, hook.url);
    for (const kind of Object.keys(kinds)) if (kind !== 'ConnectionStatus') await this.is(id, kind, 'Running');
  }

  /** Waits until the device's connection has this status. */
  async connection(id, status, seconds) {
    let last;
    let why;
    return eventually(async () => {
      last = (await this.device(id, 'GET', '/connectionStatus')).json;
      if (last?.status !== status) why = (await this.device(id, 'GET', '/diagnostics')).text;
      return last?.status === status && last;
    }, () => `${id} is ${status}, and not ${JSON.stringify(last)}: ${why}`, seconds);
  }

  /** Everything in the state directory, as bytes. */
  stored() {
    return fs.readdirSync(this.state).map((file) => fs.readFileSync(path.join(this.state, file)));
  }
}

module.exports = { Bridge, ROUTES };
