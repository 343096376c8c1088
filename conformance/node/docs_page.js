'use strict';
// The page at /docs, in Debian's Chromium (or CHROMIUM=path): what it shows, what it sends, and that it asks nobody else.

const { chromium } = require('playwright-core');
const { run, env, same, holds } = require('./lib/check');

const FLAGS = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

/** A page whose every request and complaint is written down. */
async function open(browser, options, seen) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.on('console', (message) => message.type() === 'error' && seen.complaints.push(message.text()));
  page.on('pageerror', (error) => seen.complaints.push(error.message));
  page.on('request', (request) => request.url().startsWith('data:') || seen.origins.add(new URL(request.url()).origin));
  await page.goto(`${env('BRIDGE_URL')}/`);
  await page.waitForSelector('#SendMessage');
  return page;
}

async function answer(page, id) {
  await page.locator(`#${id} button`).click();
  const status = page.locator(`#${id} .answer strong`);
  await status.waitFor({ timeout: 30_000 });
  return status.textContent();
}

async function tries(page) {
  await page.locator('#GetHealth summary').first().click();
  same(await answer(page, 'GetHealth'), '200 OK', 'GetHealth, without a key');
  await page.locator('#ListDevices summary').first().click();
  same(await answer(page, 'ListDevices'), '401 Unauthorized', 'ListDevices, without a key');
  await page.fill('#key', env('BRIDGE_API_KEY'));
  await page.locator('#ListDevices button').click();
  await page.locator('#ListDevices .answer strong.ok').waitFor();
  const body = JSON.parse(await page.locator('#ListDevices .answer pre').first().textContent());
  holds(Array.isArray(body.devices), 'ListDevices, with the key, answers a list');
  const command = await page.locator('#ListDevices .answer').textContent();
  holds(!command.includes(env('BRIDGE_API_KEY')), 'the command names the key and does not show it');
  const kept = await page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie]);
  same(kept, [0, 0, ''], 'what the browser keeps');
  await page.reload();
  await page.waitForSelector('#SendMessage');
  same(await page.inputValue('#key'), '', 'the key after a reload');
  same(new URL(page.url()).hash, '#ListDevices', 'the operation that the address names after a reload');
  holds(await page.locator('#ListDevices').evaluate((details) => details.open), 'ListDevices is open after a reload');
  await page.evaluate(() => { location.hash = '#GetHealth'; });
  await page.locator('#GetHealth[open]').waitFor();
}

run(async () => {
  const description = await (await fetch(`${env('BRIDGE_URL')}/openapi.json`)).json();
  const operations = Object.values(description.paths).flatMap((item) => Object.values(item).map((one) => one.operationId));
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: FLAGS });
  const seen = { complaints: [], origins: new Set() };
  const page = await open(browser, { viewport: { width: 1200, height: 900 } }, seen);
  for (const id of operations) holds(await page.locator(`#${id}`).count() === 1, `${id} is shown`);
  await page.fill('#find', 'twin reported');
  same(await page.locator('details.op:visible').count(), 1, 'operations found for "twin reported"');
  await page.fill('#find', '');
  await tries(page);
  const complaints = seen.complaints.filter((text) => !text.includes('401'));
  same(complaints, [], 'complaints of the browser');
  for (const colorScheme of ['light', 'dark']) {
    const phone = await open(browser, { viewport: { width: 360, height: 740 }, colorScheme }, seen);
    for (const id of operations) await phone.evaluate((name) => { document.getElementById(name).open = true; }, id);
    const wide = await phone.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    same(wide, 0, `pixels beyond a phone's screen with everything open, ${colorScheme}`);
    await phone.context().close();
  }
  same([...seen.origins], [env('BRIDGE_URL')], 'origins that were asked');
  await browser.close();
}, 180);
