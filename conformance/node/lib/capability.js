'use strict';
// What a script has shown, for the table of docs/compatibility.md. `cargo xtask conformance --table` reads these lines.

/** Columns of the table, by what a script is started with. */
const COLUMNS = { amqp: 'node-amqp', ws: 'node-amqp-ws', mqtt: 'node-mqtt', 'mqtt-ws': 'node-mqtt-ws', http: 'node-http' };

/** The line for what was asserted before: that it works, or the class of the error that the client raised. */
function line(column, capability, error) {
  return `capability: ${column}: ${capability}${error === undefined ? '' : `: ${error}`}`;
}

/** Says that something was asserted over a transport of the Node SDK. */
function capability(transport, name, error) {
  console.log(line(COLUMNS[transport], name, error));
}

module.exports = { COLUMNS, line, capability };
