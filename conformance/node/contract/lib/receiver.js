'use strict';
// Receivers of events: real HTTP servers with an answer for each request, which remember all that they saw.

const http = require('node:http');
const { eventually, pause } = require('./wait');

/** In every callback URL's path, so that a log can be searched for it. */
const URL_SECRET = 'c4llb4ck-s3cr3t';

class Receiver {
  constructor() {
    this.hooks = new Map();
    this.server = http.createServer((request, response) => this.#take(request, response));
    this.server.keepAliveTimeout = 60_000;
  }

  /** Listens; on any port, unless one is given. */
  async listen(host = '127.0.0.1', port = 0) {
    await new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(port, host, resolve);
    });
    this.origin = `http://${host}:${this.server.address().port}`;
  }

  /** A new receiver of events. Without answers it says 200 to each; the last answer goes on for ever. */
  hook(name, ...answers) {
    const path = `/${URL_SECRET}/${name}-${this.hooks.size}`;
    const hook = new Hook(`${this.origin}${path}`, answers);
    this.hooks.set(path, hook);
    return hook;
  }

  close() {
    this.server.close();
    this.server.closeAllConnections();
  }

  #take(request, response) {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const hook = this.hooks.get(request.url.split('?')[0]);
      if (hook) hook.take(request, response, Buffer.concat(chunks));
      else response.writeHead(404).end();
    });
  }
}

/**
 * One callback URL. An answer is an object of `status`, `headers`, `body` (text, or a value sent as JSON), `delayMs`, `until` (a promise), or
 * one of `hang`, `reset`, `torn` (a body that breaks off), `garbage` (no HTTP) — or a function that makes one of the attempt.
 */
class Hook {
  constructor(url, answers) {
    this.url = url;
    this.answers = answers;
    this.seen = [];
    this.open = 0;
    this.mostOpen = 0;
  }

  /** What it saw, as JSON. */
  get events() {
    return this.seen.map((attempt) => attempt.event);
  }

  /** Waits for so many requests and gives all. */
  async have(count, seconds) {
    await eventually(() => this.seen.length >= count, () => `${count} events at ${this.url}, and not ${this.seen.length}`, seconds);
    return this.seen;
  }

  /** Waits for a request that `matches`. */
  find(matches, what, seconds) {
    const all = () => `${what}; there were ${JSON.stringify(this.events).slice(0, 2000)}`;
    return eventually(() => this.seen.find((attempt) => matches(attempt.event, attempt)), all, seconds);
  }

  take(request, response, body) {
    let event = null;
    try {
      event = JSON.parse(body.toString('utf8'));
    } catch {
      // The case that looks at it will say so.
    }
    const attempt = { number: this.seen.length, atMs: Date.now(), method: request.method, url: request.url, headers: request.headers, body, event };
    this.seen.push(attempt);
    this.open += 1;
    this.mostOpen = Math.max(this.mostOpen, this.open);
    response.once('close', () => {
      this.open -= 1;
      attempt.endedMs = Date.now();
    });
    const chosen = this.answers[Math.min(attempt.number, this.answers.length - 1)] ?? {};
    answer(typeof chosen === 'function' ? chosen(attempt, this) : chosen, response, attempt).catch(() => response.destroy());
  }
}

async function answer(how, response, attempt) {
  if (how.delayMs) await pause(how.delayMs);
  if (how.until) await how.until;
  if (how.hang) return;
  if (how.reset) response.socket.resetAndDestroy();
  else if (how.garbage) response.socket.end('this is no HTTP\r\n\r\n');
  else if (how.torn) {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' });
    response.write('{"status":');
    setTimeout(() => response.destroy(), 20);
  } else {
    const text = how.body === undefined || typeof how.body === 'string' ? how.body : JSON.stringify(how.body);
    // Before the other side can know: whoever is told that it was taken must find it said here.
    attempt.status = how.status ?? 200;
    response.writeHead(attempt.status, { ...(text === undefined ? {} : { 'content-type': 'application/json' }), ...how.headers });
    response.end(text);
  }
}

module.exports = { Receiver, URL_SECRET };
