'use strict';
// Cases and how they run: many at a time, each with devices and receivers of its own, its output printed when it is over.

const { AsyncLocalStorage } = require('node:async_hooks');
const fs = require('node:fs');
const path = require('node:path');
const { Bridge } = require('./bridge');
const { Hook } = require('./receiver');

const FOLDER = path.join(__dirname, '..');
/** A case that says nothing else must be over by then. */
const SECONDS = 120;

/** All cases of the areas: one file each, which exports a function that names its cases. */
function load(areas) {
  const cases = [];
  const files = fs.readdirSync(FOLDER).filter((file) => file.endsWith('.js')).map((file) => file.slice(0, -3)).sort();
  for (const area of areas ?? files) {
    const add = (rows, name, run, options = {}) => cases.push({ area, rows: rows.split(' '), name, run, seconds: SECONDS, alone: false, ...options });
    require(path.join(FOLDER, `${area}.js`))(add);
  }
  return cases;
}

/** What a case has: names of its own, and what all share. */
class Case {
  constructor(world, number) {
    Object.assign(this, world);
    this.number = number;
    this.bridges = [];
    this.hooks = [];
  }

  /** A device id that no other case has. */
  id(name) {
    return `${name}-${this.number}`;
  }

  /** A receiver of events. Without answers it says 200 to each; the last answer goes on for ever. */
  hook(name, ...answers) {
    const hook = new Hook(`${this.number}-${name}`, answers);
    this.hooks.push(hook);
    return hook;
  }

  /** A bridge of its own, running; it ends with the case. */
  async own(name, options) {
    const bridge = new Bridge(`bridge-${this.number}-${name}`, options);
    this.bridges.push(bridge);
    this.logs.push(bridge);
    await bridge.start();
    return bridge;
  }

  async end() {
    for (const bridge of this.bridges) await bridge.end();
    for (const hook of this.hooks) hook.close();
  }
}

const output = new AsyncLocalStorage();
const print = console.log;
for (const name of ['log', 'error']) {
  const plain = console[name];
  console[name] = (...words) => {
    const lines = output.getStore();
    if (lines) lines.push(words.map((word) => (word instanceof Error ? word.stack : String(word))).join(' '));
    else plain(...words);
  };
}

/** Runs one; gives what went wrong, or null. */
async function runOne(one, world, number) {
  const context = new Case(world, number);
  const lines = [];
  const startMs = Date.now();
  let timer;
  const late = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no end after ${one.seconds} s`)), one.seconds * 1000);
  });
  let error = null;
  try {
    await output.run(lines, () => Promise.race([one.run(context), late]));
    for (const bridge of context.bridges) output.run(lines, () => bridge.check());
  } catch (caught) {
    error = caught;
  }
  clearTimeout(timer);
  await context.end();
  const seconds = ((Date.now() - startMs) / 1000).toFixed(1);
  print(`── ${one.area}: ${one.name} (${one.rows.join(' ')}; ${seconds} s)`);
  lines.forEach((line) => print(line));
  print(error === null ? '   ok' : `   FAILED: ${error.stack ?? error}`);
  return error;
}

/** Runs all: those for which nothing else may happen come last, one after the other. Gives those that failed. */
async function runAll(cases, world, atOnce) {
  const failed = [];
  const waiting = cases.map((one, number) => ({ one, number: number + 1 }));
  const take = async (queue) => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      const error = await runOne(next.one, world, next.number);
      if (error !== null) failed.push({ ...next.one, error });
    }
  };
  const together = waiting.filter(({ one }) => !one.alone).sort((a, b) => (b.one.long ?? 0) - (a.one.long ?? 0));
  await Promise.all(Array.from({ length: atOnce }, () => take(together)));
  await take(waiting.filter(({ one }) => one.alone));
  return failed;
}

module.exports = { load, runAll };
