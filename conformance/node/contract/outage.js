'use strict';
// The hub itself is killed and comes back: nobody else runs meanwhile.

const { same } = require('../lib/check');

module.exports = (add) => {
  add('E4 C6 D14', 'the emulator is killed and started again: every change is told in order, and all is in effect again', async (t) => {
    const ids = Array.from({ length: 10 }, (_, n) => t.id(`outage-${n}`));
    const devices = await Promise.all(ids.map(async (id) => {
      const [status, methods, c2d] = [t.hook('status'), t.hook('methods'), t.hook('c2d')];
      await t.bridge.subscribe(id, 'ConnectionStatus', status.url);
      await t.bridge.running(id, { Methods: methods, C2DMessages: c2d });
      await status.have(1);
      return { id, status, c2d };
    }));
    await t.emulator.end('SIGKILL');
    for (const { id, status } of devices) {
      same(await t.bridge.connection(id, 'Disconnected_Retrying'), { status: 'Disconnected_Retrying', reason: 'Communication_Error' }, `status of ${id}`);
      await status.have(2);
      same((await t.bridge.subscription(id, 'Methods')).json.status, 'Starting', 'its subscription');
    }
    const late = t.bridge.device(ids[0], 'POST', '/messages/events', { data: {} });
    await t.emulator.start();
    await t.cloud.open();
    same((await late).status, 200, 'a message that was sent during the outage');
    for (const { id, status, c2d } of devices) {
      await t.bridge.is(id, 'Methods', 'Running', 60);
      same((await t.cloud.invoke(id, 'x', 1)).status, 200, 'a method');
      await t.cloud.send(id, {});
      await c2d.have(1);
      await status.have(3);
      same(status.events.map((event) => `${event.status}/${event.reason}`), ['Connected/Connection_Ok', 'Disconnected_Retrying/Communication_Error', 'Connected/Connection_Ok'], 'all that was told');
    }
  }, { alone: true });
};
