'use strict';
// Many devices over few AMQP connections, a session each; and a service's side, by rhea.

const rhea = require('rhea');
const { token } = require('./keys');

/** Sessions of a connection besides that of CBS: tokens of a connection are limited to 1,000. */
const DEVICES_MAX = 990;
/** Before a connection that was lost is tried again. */
const PAUSE_MS = 500;

const next = (emitter, name) => new Promise((resolve) => emitter.once(name, resolve));
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A connection on which tokens are put. */
class Connection {
  constructor(host, ca) {
    Object.assign(this, { host, ca, open: false, tokens: 0 });
  }

  async connect() {
    const connection = rhea.create_container().connect({
      transport: 'tls', host: '127.0.0.1', port: 5671, servername: this.host, hostname: this.host, ca: this.ca,
      idle_time_out: 120_000, channel_max: 8_191, reconnect: false,
    });
    this.connection = connection;
    this.lost = new Promise((resolve) => ['disconnected', 'connection_close', 'error'].forEach((name) => connection.on(name, resolve)));
    connection.on('disconnected', () => (this.open = false));
    // Links that end with their connection.
    ['sender_error', 'receiver_error', 'session_error', 'sender_close', 'receiver_close', 'session_close'].forEach((name) => connection.on(name, () => {}));
    const opened = await Promise.race([next(connection, 'connection_open').then(() => true), this.lost.then(() => false)]);
    if (!opened) throw new Error('no connection');
    const session = await this.session();
    this.answers = new Map();
    const replies = session.open_receiver({ source: '$cbs', snd_settle_mode: 1, credit_window: 100 });
    replies.on('message', ({ message }) => this.answers.get(message.correlation_id)?.(message.application_properties['status-code']));
    this.cbs = session.open_sender({ target: '$cbs', snd_settle_mode: 1 });
    await this.orLost(next(this.cbs, 'sendable'));
    this.open = true;
  }

  /** What comes, unless the connection is lost first. */
  orLost(promise) {
    return Promise.race([promise, this.lost.then(() => { throw new Error('the connection was lost'); })]);
  }

  async session() {
    const session = this.connection.create_session();
    session.begin();
    await this.orLost(next(session, 'session_open'));
    return session;
  }

  async put(name, value) {
    const id = `token-${(this.tokens += 1)}`;
    const status = new Promise((resolve) => this.answers.set(id, resolve));
    this.cbs.send({ message_id: id, to: '$cbs', body: value, application_properties: { operation: 'put-token', type: 'azure-devices.net:sastoken', name } });
    const code = await this.orLost(status);
    this.answers.delete(id);
    if (code !== 200) throw new Error(`a token for ${name} was answered ${code}`);
  }
}

/** Devices that share a connection, which comes back by itself with all of them. */
class Pool {
  constructor(host, devices, ca) {
    Object.assign(this, { host, ca, ready: 0 });
    this.devices = devices.map(({ id, key }) => ({ id, key, sent: 0, acknowledged: [], sender: null }));
    if (devices.length > DEVICES_MAX) throw new Error('too many for one connection');
  }

  /** Keeps all devices attached until the process ends. */
  async run() {
    for (;;) {
      this.ready = 0;
      this.shared = new Connection(this.host, this.ca);
      try {
        await this.shared.connect();
        for (const device of this.devices) {
          await this.attach(device);
          this.ready += 1;
        }
        await this.shared.lost;
      } catch {
        // The hub is away.
      }
      for (const device of this.devices) device.sender = null;
      await pause(PAUSE_MS);
    }
  }

  async attach(device) {
    const resource = `${this.host}/devices/${device.id}`;
    await this.shared.put(resource, token(resource, device.key));
    const session = await this.shared.session();
    const sender = session.open_sender({ name: 'telemetry', target: `/devices/${device.id}/messages/events` });
    await this.shared.orLost(next(sender, 'sendable'));
    device.sender = sender;
  }

  /** Sends one more message of a device; resolves when the hub has accepted it, or the connection is lost. */
  async send(device) {
    if (device.sender === null) return;
    const body = `${device.id}/${(device.sent += 1)}`;
    const accepted = next(device.sender, 'accepted').then(() => device.acknowledged.push(body));
    device.sender.send({ body: rhea.message.data_section(Buffer.from(body)) });
    await this.shared.orLost(accepted).catch(() => {});
  }
}

/** A connection with the rights of a policy. */
async function service(host, key, ca) {
  const connection = new Connection(host, ca);
  await connection.connect();
  await connection.put(host, token(host, key, 'iothubowner'));
  return connection;
}

/** Sends a message to a device; resolves when the hub has queued it. */
async function sendTo(connection, id, body) {
  connection.outgoing ??= (await connection.session()).open_sender({ target: '/messages/devicebound' });
  const sender = connection.outgoing;
  if (!sender.sendable()) await next(sender, 'sendable');
  const accepted = next(sender, 'accepted');
  sender.send({ to: `/devices/${id}/messages/devicebound`, body: rhea.message.data_section(Buffer.from(body)) });
  await accepted;
}

/** The bodies of all events of a hub, from the oldest on. */
async function events(connection, partitions) {
  const bodies = new Map();
  const session = await connection.session();
  const entity = connection.host.split('.')[0];
  let last = Date.now();
  for (let partition = 0; partition < partitions; partition += 1) {
    const receiver = session.open_receiver({ source: `${entity}/ConsumerGroups/$Default/Partitions/${partition}`, credit_window: 1_000, snd_settle_mode: 1 });
    receiver.on('message', ({ message }) => {
      const body = Buffer.from(message.body.content).toString('utf8');
      bodies.set(body, (bodies.get(body) ?? 0) + 1);
      last = Date.now();
    });
  }
  // All is there already: silence is the end.
  while (Date.now() - last < 3_000) await pause(200);
  return bodies;
}

module.exports = { Pool, service, sendTo, events, pause, DEVICES_MAX };
