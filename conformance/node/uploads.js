'use strict';
// File uploads by the unmodified SDKs: azure-iot-device asks for a place, puts a file there by @azure/storage-blob and says how that
// ended; azure-iothub hears of it. Devices use AMQP, or what the script is started with: `ws`, `mqtt`, `mqtt-ws`, `http`.

const crypto = require('node:crypto');
const { Readable } = require('node:stream');
const iothub = require('azure-iothub');
const rhea = require('rhea');
const { Client } = require('azure-iot-device');
const { Http } = require('azure-iot-device-http');
const { ConnectionString, NoRetry, SharedAccessSignature } = require('azure-iot-common');
const { AnonymousCredential, BlockBlobClient, newPipeline } = require('@azure/storage-blob');
const { capability } = require('./lib/capability');
const { run, env, same, holds, refused } = require('./lib/check');
const hub = require('./lib/hub');
const { Transport } = require('./lib/transport');

const way = process.argv[2] ?? 'amqp';
const [FIRST, SECOND, FULL] = ['first', 'second', 'full'].map((name) => `${name}-${way}`);

async function open(record) {
  const transport = way === 'http' ? Http : Transport;
  const client = Client.fromConnectionString(hub.connectionString(record), transport);
  client.setRetryPolicy(new NoRetry());
  await client.open();
  return client;
}

/** News of files, one after the other. */
class Notifications {
  constructor() {
    this.arrived = [];
    this.waiting = [];
    this.more = () => {};
  }

  /** By the SDK, which completes whatever it gets before the program has it. */
  static async bySdk(service) {
    const all = new Notifications();
    const receiver = (await service.getFileNotificationReceiver()).result;
    receiver.on('error', (error) => console.error('  receiver error:', error.message));
    receiver.on('message', (message) => all.take({ contentType: message.contentType, body: message.getData() }));
    return all;
  }

  /** By rhea, which leaves the end of each to the program. */
  static byRhea() {
    const all = new Notifications();
    const { HostName: host, SharedAccessKeyName: policy, SharedAccessKey: key } = ConnectionString.parse(env('HUB_CONNECTION_STRING'));
    const expiry = Math.floor(Date.now() / 1000) + 600;
    const password = SharedAccessSignature.create(host, policy, key, expiry).toString();
    const username = `${policy}@sas.root.${host.split('.')[0]}`;
    all.connection = rhea.connect({ host, port: 5671, transport: 'tls', servername: host, username, password, reconnect: false });
    const source = '/messages/serviceBound/filenotifications';
    const receiver = all.connection.open_receiver({ source, autoaccept: false, credit_window: 0 });
    all.more = () => receiver.add_credit(1);
    receiver.on('message', ({ message, delivery }) => all.take({ contentType: message.content_type, body: message.body.content, delivery }));
    return all;
  }

  take(message) {
    const next = this.waiting.shift();
    if (next) next(message);
    else this.arrived.push(message);
  }

  async next() {
    this.more();
    const message = this.arrived.shift() ?? (await new Promise((resolve) => this.waiting.push(resolve)));
    same(message.contentType, 'application/vnd.microsoft.iothub.filenotification.json', 'content type of a notification');
    return { ...JSON.parse(message.body.toString('utf8')), delivery: message.delivery };
  }
}

/** The storage's client for what the hub answered, as the SDK makes it; `change` makes another URL of it. */
function blob(place, change = (url) => url) {
  const url = `https://${place.hostName}/${place.containerName}/${place.blobName}${place.sasToken}`;
  return new BlockBlobClient(change(url), newPipeline(new AnonymousCredential(), { retryOptions: { maxTries: 1 } }));
}

function status(error, expected, code, what) {
  same([error.statusCode, error.code], [expected, code], what);
}

/** The whole way, by the one call that the SDK has for it. */
async function whole(client, notifications, startMs) {
  const contents = crypto.randomBytes(9 * 1024 * 1024 + 17);
  // ASCII only: azure-iot-device 1.18 counts characters where Content-Length means bytes.
  const name = 'logs/size 1+1=2 & more.bin';
  await client.uploadToBlob(name, Readable.from([contents.subarray(0, 5_000_000), contents.subarray(5_000_000)], { objectMode: false }), contents.length);
  console.log(`  ${contents.length} bytes are uploaded`);
  const { delivery, ...news } = await notifications.next();
  same(delivery, undefined, 'delivery');
  same(Object.keys(news).sort(), ['blobName', 'blobSizeInBytes', 'blobUri', 'deviceId', 'enqueuedTimeUtc', 'lastUpdatedTime'], 'fields');
  same([news.deviceId, news.blobName, news.blobSizeInBytes], [FIRST, `${FIRST}/${name}`, contents.length], 'a file');
  same(decodeURIComponent(new URL(news.blobUri).pathname), `/uploads/${FIRST}/${name}`, 'path of its URI');
  for (const time of [news.enqueuedTimeUtc, news.lastUpdatedTime]) {
    holds(Date.parse(time) >= startMs - 1000 && Date.parse(time) <= Date.now() + 1000, `${time} is now`);
  }
  return [name, contents];
}

/** Reads a file back by the signature for its name. */
async function readBack(client, name, contents) {
  const place = await client.getBlobSharedAccessSignature(name);
  same([place.hostName, place.containerName, place.blobName], [env('HUB'), 'uploads', `${FIRST}/${name}`], 'a place');
  holds(/^\?sv=.*&sig=.*&se=.*&sp=rw$/.test(place.sasToken), 'a signature for reading and writing');
  const properties = await blob(place).getProperties();
  same([properties.contentLength, properties.blobType], [contents.length, 'BlockBlob'], 'properties');
  holds((await blob(place).downloadToBuffer()).equals(contents), 'the contents are exact, read in ranges');
  const part = await blob(place).downloadToBuffer(5, 7);
  holds(part.equals(contents.subarray(5, 12)), 'and so is a part');
  return place;
}

/** What a signature is not good for. */
async function signatures(place) {
  const elsewhere = (url) => url.replace('logs', 'other');
  status(await refused(blob(place, elsewhere).upload('x', 1), 'another blob'), 403, 'AuthenticationFailed', 'refused');
  const more = (url) => url.replace('sp=rw', 'sp=rwd');
  status(await refused(blob(place, more).delete(), 'a signature that was changed'), 403, 'AuthenticationFailed', 'refused');
  status(await refused(blob(place).delete(), 'deleting'), 403, 'AuthorizationPermissionMismatch', 'refused');
  const bare = (url) => url.split('?')[0];
  status(await refused(blob(place, bare).download(), 'no signature'), 401, 'NoAuthenticationInformation', 'refused');
  const conditions = { ifNoneMatch: '*' };
  status(await refused(blob(place).upload('x', 1, { conditions }), 'a blob that is there already'), 409, 'BlobAlreadyExists', 'refused');
  const wrong = { transactionalContentMD5: crypto.createHash('md5').update('y').digest() };
  status(await refused(blob(place).stageBlock('AAAA', 'x', 1, wrong), 'another MD5'), 400, 'Md5Mismatch', 'refused');
  status(await refused(blob(place).commitBlockList(['AAAB']), 'a block that is not there'), 400, 'InvalidBlockList', 'refused');
}

/** The SDK passes on no more than the status of a refused end, as text. */
function refusedAs(error, expected) {
  same([error.name, error.message], ['Error', expected], 'it is');
}

/** In steps, with ends of every kind. */
async function ends(client, other, notifications) {
  const place = await client.getBlobSharedAccessSignature('steps.txt');
  const early = await refused(client.notifyBlobUploadStatus(place.correlationId, true, 200, 'OK'), 'success without a blob');
  refusedAs(early, 'Bad Request');
  await blob(place).upload('0123456789', 10, { blobHTTPHeaders: { blobContentType: 'text/plain' }, metadata: { line: 'seven' } });
  const properties = await blob(place).getProperties();
  same([properties.contentType, properties.metadata], ['text/plain', { line: 'seven' }], 'type and metadata');
  const foreign = await refused(other.notifyBlobUploadStatus(place.correlationId, true, 200, 'OK'), "another device's upload");
  refusedAs(foreign, 'Bad Request');
  await client.notifyBlobUploadStatus(place.correlationId, true, 201, 'Created');
  const twice = await refused(client.notifyBlobUploadStatus(place.correlationId, true, 201, 'Created'), 'the same again');
  refusedAs(twice, 'Bad Request');

  const failed = await client.getBlobSharedAccessSignature('failed.txt');
  await client.notifyBlobUploadStatus(failed.correlationId, false, 500, 'disk full');
  const last = await other.getBlobSharedAccessSignature('last.txt');
  await blob(last).upload('', 0);
  await other.notifyBlobUploadStatus(last.correlationId, true, 201, 'Created');
  const steps = await notifications.next();
  same([steps.blobName, steps.blobSizeInBytes], [`${FIRST}/steps.txt`, 10], 'news');
  steps.delivery.release();
  const again = await notifications.next();
  same(again.blobName, steps.blobName, 'the same, given back');
  again.delivery.reject();
  const news = await notifications.next();
  same([news.blobName, news.blobSizeInBytes], [`${SECOND}/last.txt`, 0], 'news, and none of the upload that failed');
  news.delivery.accept();
  await refused(Promise.race([notifications.next(), soon()]), 'nothing else comes');
}

/** Rejects before long. */
function soon() {
  return new Promise((_, reject) => setTimeout(() => reject(new Error('nothing')), 500));
}

async function limits(client) {
  const places = [];
  for (let number = 1; number <= 10; number += 1) places.push(await client.getBlobSharedAccessSignature(`${number}.txt`));
  const eleventh = await refused(client.getBlobSharedAccessSignature('11.txt'), 'the 11th upload at a time');
  refusedAs(eleventh, 'Forbidden');
  holds(eleventh.responseBody.includes('ErrorCode:DeviceMaximumActiveFileUploadLimitExceeded;'), 'the body has its name');
  await client.notifyBlobUploadStatus(places[3].correlationId, false, 500, 'given up');
  await client.getBlobSharedAccessSignature('11.txt');
  const nameless = await refused(client.getBlobSharedAccessSignature('a/'), 'a name that no blob has');
  refusedAs(nameless, 'Bad Request');
}

run(async () => {
  const startMs = Date.now();
  const records = await hub.createDevices([FIRST, SECOND, FULL]);
  const service = iothub.Client.fromConnectionString(env('HUB_CONNECTION_STRING'));
  service.setRetryPolicy(new NoRetry());
  await service.open();
  const [first, second, full] = await Promise.all([FIRST, SECOND, FULL].map((id) => open(records.get(id))));
  const [name, contents] = await whole(first, await Notifications.bySdk(service), startMs);
  await service.close();
  const place = await readBack(first, name, contents);
  await signatures(place);
  const byRhea = Notifications.byRhea();
  await ends(first, second, byRhea);
  byRhea.connection.close();
  await limits(full);
  capability(way, 'file upload');
  for (const client of [first, second, full]) await client.close();
}, 120);
