'use strict';
// Which transport a script's devices use: AMQP, or AMQP in a WebSocket where the script is started with `ws`.

const { Amqp, AmqpWs } = require('azure-iot-device-amqp');

const overWebSocket = process.argv.slice(2).includes('ws');

module.exports = { overWebSocket, Transport: overWebSocket ? AmqpWs : Amqp };
