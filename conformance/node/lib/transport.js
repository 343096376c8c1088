'use strict';
// Which transport a script's devices use: AMQP, or what the script is started with: `ws` (AMQP in a WebSocket), `mqtt`, `mqtt-ws`.

const { Amqp, AmqpWs } = require('azure-iot-device-amqp');
const { Mqtt, MqttWs } = require('azure-iot-device-mqtt');

const TRANSPORTS = { amqp: Amqp, ws: AmqpWs, mqtt: Mqtt, 'mqtt-ws': MqttWs };

const name = process.argv.slice(2).find((argument) => argument in TRANSPORTS) ?? 'amqp';

module.exports = {
  overWebSocket: name === 'ws' || name === 'mqtt-ws',
  overMqtt: name === 'mqtt' || name === 'mqtt-ws',
  Transport: TRANSPORTS[name],
};
