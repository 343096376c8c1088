'use strict';
// Keys of a group's devices, and tokens.

const { createHmac } = require('node:crypto');

const hmac = (key, text) => createHmac('sha256', Buffer.from(key, 'base64')).update(text).digest('base64');

/** The key of a device of an enrollment group. */
const derived = (groupKey, id) => hmac(groupKey, id);

/** A token for a resource, good for two hours. */
function token(resource, key, policy) {
  const expiry = Math.floor(Date.now() / 1000) + 7_200;
  const encoded = encodeURIComponent(resource);
  const signature = encodeURIComponent(hmac(key, `${encoded}\n${expiry}`));
  return `SharedAccessSignature sr=${encoded}&sig=${signature}&se=${expiry}${policy ? `&skn=${policy}` : ''}`;
}

module.exports = { derived, token };
