'use strict';
// The unmodified Event Hubs client reads everything that the ledger lists, with exact bodies, properties and annotations.

const fs = require('node:fs');
const { EventHubConsumerClient, earliestEventPosition } = require('@azure/event-hubs');
const { run, env, same, holds, refused } = require('./lib/check');
const { checkEvent } = require('./lib/event');
const { overWebSocket } = require('./lib/transport');

const noRetries = {
  retryOptions: { maxRetries: 0, timeoutInMs: 15000 },
  ...(overWebSocket && { webSocketOptions: { webSocket: require('ws') } }),
};

function consumer(group, connectionString = env('EVENT_HUB_CONNECTION_STRING')) {
  return new EventHubConsumerClient(group, connectionString, noRetries);
}

/** Reads one partition from `startPosition` up to the event with the sequence number `last`. */
function readPartition(client, partition, startPosition, last) {
  return new Promise((resolve, reject) => {
    const events = [];
    const subscription = client.subscribe(
      partition,
      {
        processEvents: async (batch) => {
          events.push(...batch);
          if (batch.length > 0 && batch[batch.length - 1].sequenceNumber >= last) {
            subscription.close().then(() => resolve(events), reject);
          }
        },
        processError: async (error) => {
          await subscription.close().catch(() => {});
          reject(error);
        },
      },
      { startPosition, maxWaitTimeInSeconds: 1, skipParsingBodyAsJson: true },
    );
  });
}

async function describe(client, ledger) {
  const hub = await client.getEventHubProperties();
  same(hub.name, env('EVENT_HUB_NAME'), 'event hub name');
  same(hub.partitionIds, ['0', '1', '2', '3'], 'partition ids');
  holds(hub.createdOn instanceof Date && hub.createdOn.getTime() <= Date.now(), `created on ${hub.createdOn.toISOString()}`);
  const partitions = [];
  for (const id of hub.partitionIds) {
    const partition = await client.getPartitionProperties(id);
    same([partition.eventHubName, partition.partitionId], [hub.name, id], 'partition');
    const count = partition.lastEnqueuedSequenceNumber - partition.beginningSequenceNumber + 1;
    same(partition.isEmpty, count === 0, `partition ${id} holds ${count} events; isEmpty`);
    same(typeof partition.lastEnqueuedOffset, 'string', `last offset ${partition.lastEnqueuedOffset}: type`);
    if (!partition.isEmpty) {
      const time = partition.lastEnqueuedOnUtc.getTime();
      holds(time >= ledger.startMs - 1000 && time <= ledger.endMs + 1000, `last enqueued on ${partition.lastEnqueuedOnUtc.toISOString()}`);
    }
    partitions.push({ ...partition, count });
  }
  return partitions;
}

/** Every event of a partition, its numbering checked. */
async function readAll(client, partition) {
  const events = await readPartition(client, partition.partitionId, earliestEventPosition, partition.lastEnqueuedSequenceNumber);
  same(
    events.map((event) => event.sequenceNumber),
    Array.from({ length: partition.count }, (_, i) => partition.beginningSequenceNumber + i),
    `sequence numbers of partition ${partition.partitionId}`,
  );
  same(events.at(-1).offset, partition.lastEnqueuedOffset, 'offset of the last event');
  same(new Set(events.map((event) => event.offset)).size, events.length, 'different offsets');
  return events;
}

/** Starting after or at a sequence number or offset, and after a time, gives exactly the rest. */
async function positions(client, partition, all) {
  const numbers = (events) => events.map((event) => event.sequenceNumber);
  const last = partition.lastEnqueuedSequenceNumber;
  const check = async (position, expected, what) => {
    same(numbers(await readPartition(client, partition.partitionId, position, last)), numbers(expected), `from ${what}`);
  };
  // Something must be left after it, or there would be nothing to wait for.
  const index = Math.min(1, all.length - 2);
  const at = all[index];
  await check({ sequenceNumber: at.sequenceNumber }, all.slice(index + 1), `after sequence number ${at.sequenceNumber}`);
  await check({ sequenceNumber: at.sequenceNumber, isInclusive: true }, all.slice(index), `sequence number ${at.sequenceNumber}`);
  await check({ offset: at.offset }, all.slice(index + 1), `after offset ${at.offset}`);
  await check({ offset: at.offset, isInclusive: true }, all.slice(index), `offset ${at.offset}`);
  const lastTime = all.at(-1).enqueuedTimeUtc.getTime();
  // Two events may share a millisecond: take the latest time after which something is left.
  const time = Math.max(...all.map((event) => event.enqueuedTimeUtc.getTime()).filter((ms) => ms < lastTime), all[0].enqueuedTimeUtc.getTime() - 1);
  const later = all.filter((event) => event.enqueuedTimeUtc.getTime() > time);
  await check({ enqueuedOn: time }, later, `after time ${time}`);
}

async function refusals() {
  const stranger = consumer('no-such-group');
  const group = await refused(readPartition(stranger, '0', earliestEventPosition, 0), 'unknown consumer group');
  same(group.code, 'MessagingEntityNotFoundError', 'code');
  await stranger.close();
  const wrong = env('EVENT_HUB_CONNECTION_STRING').replace(/SharedAccessKey=[^;]*/, `SharedAccessKey=${Buffer.from('not the key of this policy').toString('base64')}`);
  const thief = consumer('$Default', wrong);
  const key = await refused(thief.getEventHubProperties(), 'wrong key');
  same(key.code, 'UnauthorizedError', 'code');
  await thief.close();
}

run(async () => {
  const ledger = JSON.parse(fs.readFileSync(env('LEDGER'), 'utf8'));
  const client = consumer('$Default');
  const partitions = await describe(client, ledger);
  same(partitions.reduce((sum, partition) => sum + partition.count, 0), ledger.entries.length, 'events in all partitions');
  const events = [];
  let fullest;
  for (const partition of partitions.filter((candidate) => candidate.count > 0)) {
    const all = await readAll(client, partition);
    events.push(...all.map((event) => ({ event, partition: partition.partitionId })));
    if (!fullest || all.length > fullest.all.length) fullest = { partition, all };
  }
  for (const device of new Set(ledger.entries.map((entry) => entry.device))) {
    const expected = ledger.entries.filter((entry) => entry.device === device);
    const seen = events.filter(({ event }) => event.systemProperties['iothub-connection-device-id'] === device);
    same(seen.length, expected.length, `events of ${device}`);
    same(new Set(seen.map(({ partition }) => partition)).size, 1, `partitions of ${device}`);
    seen.forEach(({ event }, i) => checkEvent(event, expected[i], ledger));
  }
  await positions(client, fullest.partition, fullest.all);
  await client.close();
  await refusals();
  for (const capability of ledger.capabilities ?? []) console.log(capability);
}, 120);
