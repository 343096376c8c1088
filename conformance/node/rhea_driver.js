'use strict';
// rhea as the connecting side of the peer protocol: `rhea_driver.js HOST:PORT`, exit 0 when the mirror did all that was asked.

const rhea = require('rhea');
const { run, same, holds } = require('./lib/check');
const peer = require('./lib/peer');

const container = rhea.create_container();
container.id = 'rhea-driver';

/** Resolves with the context of the next `event`, rejects on connection trouble. */
function once(emitter, event) {
  return new Promise((resolve) => emitter.once(event, resolve));
}

/** Sends messages with credit; resolves with the outcome of each, by its place. */
function sendAll(sender, messages) {
  const outcomes = new Array(messages.length);
  const places = new Map();
  let next = 0;
  let settled = 0;
  return new Promise((resolve) => {
    const pump = () => {
      while (next < messages.length && sender.sendable()) {
        places.set(sender.send(messages[next]).id, next);
        next += 1;
      }
    };
    for (const outcome of peer.OUTCOMES) {
      sender.on(outcome, ({ delivery }) => {
        outcomes[places.get(delivery.id)] = peer.judge(outcome, delivery.remote_state ?? {});
        settled += 1;
        if (settled === messages.length) resolve(outcomes);
        pump();
      });
    }
    sender.on('sendable', pump);
    pump();
  });
}

/** Receives `total` messages, settles each as `outcome(i)` says. */
function receiveAll(receiver, total, outcome) {
  const messages = [];
  return new Promise((resolve) => {
    receiver.on('message', ({ message, delivery }) => {
      peer.settle(delivery, outcome(messages.length));
      messages.push(message);
      if (messages.length === total) resolve(messages);
    });
  });
}

async function judge(session) {
  const asked = Array.from({ length: 80 }, (_, i) => peer.OUTCOMES[i % 4]);
  const sender = session.open_sender({ target: { address: 'judge' }, treat_modified_as_released: false });
  const messages = asked.map((outcome, i) => ({ message_id: `j-${i}`, application_properties: { outcome }, body: rhea.message.data_section(peer.body(i, 100)) }));
  same(await sendAll(sender, messages), asked, 'outcomes as asked');
  sender.close();
  await once(sender, 'sender_close');
}

async function counted(session, total, size, outcome) {
  const receiver = session.open_receiver({ source: { address: `count/${total}/${size}` }, autoaccept: false, credit_window: 10 });
  const messages = await receiveAll(receiver, total, outcome);
  same(messages.map((message) => message.message_id), Array.from({ length: total }, (_, i) => `m-${i}`), 'message ids');
  same(messages.map((message) => Number(message.application_properties.index)), Array.from({ length: total }, (_, i) => i), 'indexes');
  holds(messages.every((message, i) => Buffer.from(message.body.content).equals(peer.body(i, size))), `${total} bodies of ${size} bytes are exact`);
  await peer.settled();
  receiver.close();
  await once(receiver, 'receiver_close');
}

async function tally(session, expected) {
  const receiver = session.open_receiver({ source: { address: 'tally' }, autoaccept: false });
  const [message] = await receiveAll(receiver, 1, () => 'accepted');
  const seen = Object.entries(message.application_properties).map(([name, number]) => [name, Number(number)]);
  same(Object.fromEntries(seen), expected, 'tally of the mirror');
  receiver.close();
}

/** A pair of links on which what is sent comes back. */
function echo(session) {
  const receiver = session.open_receiver({ name: 'echo-in', source: { address: 'echo' }, target: { address: 'here' }, autoaccept: false, credit_window: 10 });
  const sender = session.open_sender({ name: 'echo-out', target: { address: 'echo' }, source: { address: 'here' } });
  return async (id, size) => {
    const back = receiveAll(receiver, 1, () => 'accepted');
    same(await sendAll(sender, [{ message_id: id, body: rhea.message.data_section(peer.body(7, size)) }]), ['accepted'], `${id} of ${size} bytes`);
    const [message] = await back;
    same(message.correlation_id, id, 'correlation id of the echo');
    holds(Buffer.from(message.body.content).equals(peer.body(7, size)), 'the echo is exact');
    receiver.removeAllListeners('message');
    for (const event of [...peer.OUTCOMES, 'sendable']) sender.removeAllListeners(event);
  };
}

async function refused(session) {
  const sender = session.open_sender({ target: { address: 'missing' } });
  same((await once(sender, 'sender_error')).sender.error.condition, 'amqp:not-found', 'missing target');
  const receiver = session.open_receiver({ source: { address: 'missing' } });
  same((await once(receiver, 'receiver_error')).receiver.error.condition, 'amqp:not-found', 'missing source');
}

async function detached(session) {
  const sender = session.open_sender({ target: { address: 'detach' } });
  const error = once(sender, 'sender_error');
  same(await sendAll(sender, [{ body: 'last' }]), ['accepted'], 'last message before the detach');
  const { condition, description } = (await error).sender.error;
  same([condition, description], ['amqp:link:detach-forced', 'as asked'], 'detach');
}

async function ended(connection) {
  const session = connection.create_session();
  session.begin();
  const error = once(session, 'session_error');
  session.open_sender({ target: { address: 'end' } }).on('sender_error', () => {});
  const { condition, description } = (await error).session.error;
  same([condition, description], ['amqp:resource-limit-exceeded', 'as asked'], 'end of the second session');
}

run(async () => {
  const [port, host] = peer.address(process.argv[2]);
  const connection = container.connect(peer.options(port, host));
  let closing = false;
  for (const event of ['connection_error', 'protocol_error', 'disconnected']) {
    connection.on(event, (context) => {
      if (!closing) {
        console.error(`FAILED: ${event}:`, context.error ?? context.connection?.error ?? context);
        process.exit(1);
      }
    });
  }
  await once(connection, 'connection_open');
  holds(connection.idle_time_out > 0, `the mirror announces an idle time-out of ${connection.idle_time_out} ms`);
  const session = connection.create_session();
  session.begin();
  await judge(session);
  await counted(session, 40, 10, (i) => peer.OUTCOMES[i % 4]);
  await tally(session, { accepted: 10, rejected: 10, released: 10, modified: 10 });
  await counted(session, 10, 300000, () => 'accepted');
  const ping = echo(session);
  await ping('small', 10);
  await ping('large', 300000);
  await refused(session);
  await detached(session);
  await ended(connection);
  await ping('after the other session ended', 10);
  console.log('  silent for three times the idle time-out');
  await new Promise((resolve) => setTimeout(resolve, 3 * peer.IDLE_MS));
  await ping('after the silence', 10);
  closing = true;
  connection.close();
  await once(connection, 'connection_close');
  holds(!connection.error, 'closed without an error');
});
