'use strict';
// Waiting for levels, with a bound: never for time to pass.

const POLL_MS = 10;
/** Enough for a busy machine; what holds is seen long before. */
const SECONDS = 30;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Looks again and again until `look` finds something, which it returns. `what` may be a function that says what is seen instead. */
async function eventually(look, what, seconds = SECONDS) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`${typeof what === 'function' ? what() : what}: not within ${seconds} s`);
    await pause(POLL_MS);
  }
}

module.exports = { eventually, pause };
