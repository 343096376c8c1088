'use strict';
// Which transport a script's devices use: AMQP, or what the script is started with: `ws` (AMQP in a WebSocket), `mqtt`, `mqtt-ws`, `http`.

const { Amqp, AmqpWs } = require('azure-iot-device-amqp');
const { Http } = require('azure-iot-device-http');
const { Mqtt, MqttWs } = require('azure-iot-device-mqtt');

const TRANSPORTS = { amqp: Amqp, ws: AmqpWs, mqtt: Mqtt, 'mqtt-ws': MqttWs, http: Http };

const name = process.argv.slice(2).find((argument) => argument in TRANSPORTS) ?? 'amqp';

module.exports = {
  name,
  overWebSocket: name === 'ws' || name === 'mqtt-ws',
  overMqtt: name === 'mqtt' || name === 'mqtt-ws',
  Transport: TRANSPORTS[name],
  TRANSPORTS,
};
