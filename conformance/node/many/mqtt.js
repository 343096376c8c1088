'use strict';
// Many devices over MQTT, a connection each, with sessions that go on.

const mqtt = require('mqtt');
const { token } = require('./keys');

const SUBSCRIBED = 'devices/+/messages/devicebound/#';

/** One device. What it sends stays with the client until the hub has acknowledged it, whatever happens to the connection. */
class MqttDevice {
  constructor(host, id, key, ca, spreadMs) {
    Object.assign(this, { host, id, key, ca, spreadMs, sent: 0, acknowledged: [], received: [], resumed: 0, first: true });
  }

  /** Connects; from then on it connects again by itself. Only the first time it subscribes. */
  async connect() {
    const { host, id, key, ca, spreadMs } = this;
    this.client = mqtt.connect({
      protocol: 'mqtts', host: '127.0.0.1', port: 8883, servername: host, ca, clientId: id, clean: false, resubscribe: false, keepalive: 300,
      // Spread, so that not all come back in the same instant.
      reconnectPeriod: 1_000 + Math.floor(Math.random() * spreadMs), connectTimeout: 60_000,
      username: `${host}/${id}/?api-version=2021-04-12`, password: token(`${host}/devices/${id}`, key), queueQoSZero: false,
    });
    this.client.on('connect', ({ sessionPresent }) => {
      if (!this.first && sessionPresent) this.resumed += 1;
      this.first = false;
    });
    this.client.on('message', (topic, payload) => this.received.push(payload.toString('utf8')));
    // Refused connections while the hub is away.
    this.client.on('error', () => {});
    await new Promise((resolve) => this.client.once('connect', resolve));
    const granted = await new Promise((resolve, reject) => this.client.subscribe(SUBSCRIBED, { qos: 1 }, (error, answer) => (error ? reject(error) : resolve(answer))));
    if (granted[0].qos !== 1) throw new Error(`${id} was granted ${granted[0].qos}`);
  }

  get connected() {
    return this.client.connected;
  }

  /** Sends one more message; resolves when the hub has acknowledged it. */
  send() {
    const body = `${this.id}/${(this.sent += 1)}`;
    return new Promise((resolve) => this.client.publish(`devices/${this.id}/messages/events/`, body, { qos: 1 }, (error) => {
      if (!error) this.acknowledged.push(body);
      resolve();
    }));
  }
}

module.exports = { MqttDevice };
