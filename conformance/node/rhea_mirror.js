'use strict';
// rhea as the listening side of the peer protocol: `rhea_mirror.js HOST:PORT`, runs until it is ended.

const rhea = require('rhea');
const peer = require('./lib/peer');

const container = rhea.create_container();
container.id = 'rhea-mirror';

/** How the deliveries of `count` on a connection ended, and how many are still open. */
function tally(connection) {
  connection.tally ??= { open: 0, seen: Object.fromEntries(peer.OUTCOMES.map((outcome) => [outcome, 0])) };
  return connection.tally;
}

/** Answers a waiting `tally` link once nothing is open any more: its attach may overtake the last dispositions. */
function report(connection) {
  const { open, seen, link } = tally(connection);
  if (open > 0 || !link) return;
  connection.tally.link = undefined;
  const longs = Object.entries(seen).map(([name, number]) => [name, rhea.types.wrap_long(number)]);
  link.queue = [() => ({ application_properties: Object.fromEntries(longs) })];
  pump(link);
}

/** Sends what is due on a sender while it has credit. */
function pump(sender) {
  const queue = sender.queue ?? [];
  while (queue.length > 0 && sender.sendable()) sender.send(queue.shift()());
}

const count = (total, size) =>
  Array.from({ length: total }, (_, i) => () => ({
    message_id: `m-${i}`,
    application_properties: { index: rhea.types.wrap_long(i) },
    body: rhea.message.data_section(peer.body(i, size)),
  }));

container.on('sender_open', ({ sender, connection }) => {
  const address = sender.source.address ?? '';
  sender.set_source({ address });
  sender.set_target(sender.target);
  const counted = /^count\/(\d+)\/(\d+)$/.exec(address);
  if (counted) {
    sender.queue = count(Number(counted[1]), Number(counted[2]));
    tally(connection).open += sender.queue.length;
  } else if (address === 'tally') {
    tally(connection).link = sender;
    report(connection);
  } else if (address === 'echo') sender.session.echo = sender;
  else sender.close({ condition: 'amqp:not-found', description: 'no such node' });
  sender.tallied = counted !== null;
});

container.on('receiver_open', ({ receiver, session }) => {
  const address = receiver.target.address;
  receiver.set_target({ address });
  receiver.set_source(receiver.source);
  if (address === 'end') session.close({ condition: 'amqp:resource-limit-exceeded', description: 'as asked' });
  else if (!['judge', 'echo', 'detach'].includes(address)) receiver.close({ condition: 'amqp:not-found', description: 'no such node' });
});

container.on('message', ({ message, delivery, receiver, session }) => {
  switch (receiver.target.address) {
    case 'judge':
      return peer.settle(delivery, message.application_properties.outcome);
    case 'echo':
      delivery.accept();
      session.echo.queue ??= [];
      session.echo.queue.push(() => ({ correlation_id: message.message_id, body: rhea.message.data_section(message.body.content) }));
      return pump(session.echo);
    default:
      delivery.accept();
      return receiver.close({ condition: 'amqp:link:detach-forced', description: 'as asked' });
  }
});

// When attach and flow arrive together, rhea 3.0.5 would write transfers before its own attach: one turn later is safe.
container.on('sendable', ({ sender }) => setImmediate(pump, sender));
for (const outcome of peer.OUTCOMES) {
  container.on(outcome, ({ delivery, sender, connection }) => {
    if (!sender.tallied) return;
    const { seen } = tally(connection);
    const name = peer.judge(outcome, delivery.remote_state ?? {});
    seen[name] = (seen[name] ?? 0) + 1;
    connection.tally.open -= 1;
    report(connection);
  });
}
for (const quiet of ['sender_error', 'receiver_error', 'session_error', 'disconnected']) container.on(quiet, () => {});
container.on('connection_error', ({ error, connection }) => console.error('connection error:', error ?? connection.error));
container.on('protocol_error', (error) => console.error('protocol error:', error));
container.on('error', (error) => console.error('error:', error));

const [port, host] = peer.address(process.argv[2]);
container.listen(peer.options(port, host)).on('listening', () => console.log('ready'));
