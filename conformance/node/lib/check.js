'use strict';
// Assertions that print what they saw, and the frame of every script: exit 0 when all held, 1 otherwise.

const assert = require('node:assert/strict');

/** Runs `main`, bounds it in time, and turns its outcome into the exit status. */
function run(main, seconds = 60) {
  const timer = setTimeout(() => {
    console.error(`FAILED: no end after ${seconds} s`);
    process.exit(1);
  }, seconds * 1000);
  Promise.resolve()
    .then(main)
    .then(
      () => {
        clearTimeout(timer);
        console.log('ok');
        // Some SDKs leave timers behind; what had to hold has held.
        process.exit(0);
      },
      (error) => {
        console.error('FAILED:', error && error.stack ? error.stack : error);
        process.exit(1);
      },
    );
}

/** A required environment variable. */
function env(name) {
  const value = process.env[name];
  if (!value) throw new Error(`environment variable ${name} is not set; start this through cargo xtask conformance`);
  return value;
}

/** Strict deep equality, printed when it holds. */
function same(actual, expected, what) {
  assert.deepStrictEqual(actual, expected, `${what}: saw ${show(actual)}, expected ${show(expected)}`);
  console.log(`  ${what} = ${show(actual)}`);
}

/** A condition, printed when it holds. */
function holds(condition, what) {
  assert.ok(condition, what);
  console.log(`  ${what}`);
}

/** Awaits a rejection and returns the error. */
async function refused(promise, what) {
  let value;
  try {
    value = await promise;
  } catch (error) {
    console.log(`  ${what}: ${error.name}: ${error.message}`);
    return error;
  }
  throw new Error(`${what}: expected a refusal, saw ${show(value)}`);
}

function show(value) {
  const text = typeof value === 'string' ? JSON.stringify(value) : require('node:util').inspect(value, { breakLength: Infinity, compact: true });
  return text.length > 200 ? `${text.slice(0, 200)}… (${text.length} characters)` : text;
}

module.exports = { run, env, same, holds, refused, show };
