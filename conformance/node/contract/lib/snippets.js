'use strict';
// The functions that docs/webhooks.md shows for receivers, as they stand there.

const fs = require('node:fs');
const path = require('node:path');
const { execFile } = require('node:child_process');
const { holds } = require('../../lib/check');

const PAGE = path.join(__dirname, '../../../../docs/webhooks.md');
/** What a receiver in Python adds to it here: requests as JSON on stdin, what the function says of each on stdout. */
const PYTHON_END = `
import json, sys
asked = json.load(sys.stdin)
json.dump([is_genuine(one["secret"], one["headers"], base64.b64decode(one["body"])) for one in asked], sys.stdout)
`;

/** The one block of code in this language. */
function block(language) {
  const blocks = [...fs.readFileSync(PAGE, 'utf8').matchAll(/^```(\w+)\n(.*?)^```$/gms)].filter(([, name]) => name === language);
  holds(blocks.length === 1, `docs/webhooks.md shows one piece of ${language}`);
  return blocks[0][2];
}

/** By language: what its function says of each request. */
function judges() {
  const isGenuine = new Function('require', `${block('js')}\nreturn isGenuine;`)(require);
  const python = block('python') + PYTHON_END;
  return {
    'Node.js': async (requests) => requests.map(({ secret, headers, body }) => isGenuine(secret, headers, body)),
    Python: (requests) => inPython(python, requests.map((one) => ({ ...one, body: one.body.toString('base64') }))),
  };
}

function inPython(program, requests) {
  return new Promise((resolve, reject) => {
    const child = execFile('python3', ['-c', program], (error, stdout, stderr) => {
      if (error) reject(new Error(`python3: ${error.message} ${stderr}`));
      else resolve(JSON.parse(stdout));
    });
    child.stdin.on('error', () => {});
    child.stdin.end(JSON.stringify(requests));
  });
}

module.exports = { judges };
