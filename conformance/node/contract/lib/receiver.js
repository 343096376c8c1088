'use strict';
// Receivers of events: real HTTP servers with an answer for each request, which remember all that they saw.

const http = require('node:http');
const { eventually, pause } = require('./wait');

/** In every callback URL's path, so that a log can be searched for it. */
const URL_SECRET = 'c4llb4ck-s3cr3t';

/** Ports below those that the system hands out; the namespace is this run's own. */
let nextPort = 20_000;

/**
 * One callback URL, at an origin of its own: what a bridge thinks of one receiver is not what it thinks of the next. An answer is an object of `status`, `headers`, `body` (text, or a value sent as JSON), `delayMs`, `until` (a promise), or
 * one of `hang`, `reset`, `torn` (a body that breaks off), `garbage` (no HTTP) — or a function that makes one of the attempt.
 */
class Hook {
  constructor(name, answers) {
    nextPort += 1;
    this.path = `/${URL_SECRET}/${name}`;
    this.url = `http://127.0.0.1:${nextPort}${this.path}`;
    this.server = http.createServer((request, response) => {
      const chunks = [];
      request.on('data', (chunk) => chunks.push(chunk));
      request.on('end', () => this.take(request, response, Buffer.concat(chunks)));
    });
    this.server.keepAliveTimeout = 60_000;
    this.server.listen(nextPort, '127.0.0.1');
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

  /** Whether nobody is connected. */
  idle() {
    return new Promise((resolve) => this.server.getConnections((error, count) => resolve(!error && count === 0)));
  }

  close() {
    this.server.close();
    this.server.closeAllConnections();
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

module.exports = { Hook, URL_SECRET };
