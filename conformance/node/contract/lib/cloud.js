'use strict';
// The cloud's side, by the unmodified official service SDK.

const iothub = require('azure-iothub');
const { Message } = require('azure-iot-common');
const { env } = require('../../lib/check');
const { eventually } = require('./wait');

/** In every payload, so that a log can be searched for it. */
const PAYLOAD_SECRET = 'p4yl04d-s3cr3t';

class Cloud {
  constructor() {
    this.registry = iothub.Registry.fromConnectionString(env('HUB_CONNECTION_STRING'));
    this.feedback = new Map();
    this.sent = 0;
  }

  /** Opens the links for messages to devices and for what became of them; again after the hub was away. */
  async open() {
    if (this.client) await this.client.close().catch(() => {});
    this.client = iothub.Client.fromConnectionString(env('HUB_CONNECTION_STRING'));
    await this.client.open();
    const receiver = (await this.client.getFeedbackReceiver()).result;
    receiver.on('error', (error) => console.error('feedback:', error.message));
    receiver.on('message', async (message) => {
      for (const record of JSON.parse(message.getData().toString('utf8'))) {
        const before = this.feedback.get(record.originalMessageId) ?? [];
        this.feedback.set(record.originalMessageId, [...before, record.statusCode]);
      }
      await receiver.complete(message).catch((error) => console.error('feedback:', error.message));
    });
  }

  /** Sends a message that asks for what becomes of it; gives its id. */
  async send(device, body, more = {}) {
    this.sent += 1;
    const message = new Message(Buffer.isBuffer(body) || typeof body === 'string' ? body : JSON.stringify(body));
    const { properties = {}, ...members } = more;
    Object.assign(message, { messageId: `${device}-${this.sent}`, ack: 'full' }, members);
    for (const [name, value] of Object.entries(properties)) message.properties.add(name, value);
    await this.client.send(device, message);
    return message.messageId;
  }

  /** Waits for what the hub says of a message. The hub gathers such news for 15 s. */
  async outcome(id, seconds = 60) {
    return (await eventually(() => this.feedback.get(id), `feedback on ${id}`, seconds))[0];
  }

  /** Messages that wait at the hub. */
  async waiting(device) {
    return (await this.registry.get(device)).responseBody.cloudToDeviceMessageCount;
  }

  /** Calls a method: what the device answered, or the refusal's status and name. */
  async invoke(device, methodName, payload, more = {}) {
    try {
      const { result } = await this.client.invokeDeviceMethod(device, { methodName, payload, responseTimeoutInSeconds: 20, ...more });
      return { status: result.status, payload: result.payload };
    } catch (error) {
      if (!error.response) throw error;
      return { refused: error.response.statusCode, code: error.response.headers['iothub-errorcode'] };
    }
  }

  /** Changes desired properties; gives their version. */
  async desire(device, desired) {
    const twin = (await this.registry.updateTwin(device, { properties: { desired } }, '*')).responseBody;
    return twin.properties.desired.$version;
  }

  async twin(device) {
    return (await this.registry.getTwin(device)).responseBody;
  }

  /** Enables or disables a device at the hub. */
  async allow(device, enabled) {
    const record = (await this.registry.get(device)).responseBody;
    await this.registry.update({ ...record, status: enabled ? 'enabled' : 'disabled' });
  }
}

/** Properties without what the hub adds to them. */
function own(section) {
  return Object.fromEntries(Object.entries(section).filter(([name]) => !name.startsWith('$')));
}

module.exports = { Cloud, own, PAYLOAD_SECRET };
