'use strict';
// What both rhea roles of the peer protocol share; see ../../README.md.

const OUTCOMES = ['accepted', 'rejected', 'released', 'modified'];
const AS_ASKED = { condition: 'amqp:precondition-failed', description: 'as asked' };
const IDLE_MS = 1000;

/** The body of message `index` of a `count` source: any lost, doubled or swapped frame shows. */
function body(index, size) {
  const bytes = Buffer.alloc(size);
  for (let i = 0; i < size; i += 1) bytes[i] = (index + i * 31) % 251;
  return bytes;
}

const due = [];

/**
 * Settles a delivery with the named outcome, one delivery per turn of the event loop: rhea 3.0.5 merges the first two
 * dispositions of a turn into one range even when their outcomes differ.
 */
function settle(delivery, outcome) {
  due.push(() => settleNow(delivery, outcome));
  if (due.length === 1) setImmediate(settleNext);
}

function settleNext() {
  due[0]();
  due.shift();
  if (due.length > 0) setImmediate(settleNext);
}

function settleNow(delivery, outcome) {
  switch (outcome) {
    case 'accepted':
      return delivery.accept();
    case 'rejected':
      return delivery.reject(AS_ASKED);
    case 'released':
      return delivery.release();
    case 'modified':
      return delivery.release({ delivery_failed: true, undeliverable_here: true });
    default:
      throw new Error(`no such outcome: ${outcome}`);
  }
}

/** Resolves once all that was to be settled is on its way: deliveries that a closed link leaves behind have no outcome. */
function settled() {
  return new Promise((resolve) => {
    const look = () => (due.length === 0 ? resolve() : setImmediate(look));
    look();
  });
}

/** The name of a remote outcome, or what is wrong with it. */
function judge(event, state) {
  if (event === 'rejected' && state.error?.condition !== AS_ASKED.condition) return `rejected with ${state.error?.condition}`;
  if (event === 'modified' && !(state.delivery_failed && state.undeliverable_here)) return 'modified without its flags';
  return event;
}

/** Connection options that the protocol asks of both sides. */
function options(port, host) {
  return {
    port,
    host,
    reconnect: false,
    idle_time_out: IDLE_MS,
    max_frame_size: 16384,
    receiver_options: { autoaccept: false, credit_window: 10 },
    sender_options: { treat_modified_as_released: false },
  };
}

function address(text) {
  const colon = text.lastIndexOf(':');
  return [Number(text.slice(colon + 1)), text.slice(0, colon)];
}

module.exports = { OUTCOMES, AS_ASKED, IDLE_MS, body, settle, settled, judge, options, address };
