// Proves: the page at `/` shows databases, position and log in a real browser without loading anything from elsewhere, follows what
// happens, asks for a token where one is needed, and shows names of databases as text.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createToken } from '@batondb/service/tokens/manage';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { createClient } from '@libsql/client';
import puppeteer, { type Browser, type Page } from 'puppeteer-core';
import { serveNode } from './support/served-node.ts';

let browser: Browser;
before(async () => {
  // Root has no sandbox in Chromium; the page is ours.
  browser = await puppeteer.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
});
after(() => browser.close());

/** A page, and what it asked for and complained of. */
async function open(url: string): Promise<{ page: Page; requested: string[]; complaints: string[] }> {
  const page = await browser.newPage();
  const requested: string[] = [];
  const complaints: string[] = [];
  page.on('request', (request) => requested.push(request.url()));
  page.on('console', (message) => complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(url);
  return { page, requested, complaints };
}

async function textOf(page: Page, selector: string): Promise<string> {
  return (await page.evaluate(`document.querySelector('${selector}').textContent`)) as string;
}

async function waitForText(page: Page, selector: string, pattern: RegExp): Promise<string> {
  const text = (): Promise<string> => textOf(page, selector);
  for (let left = 100; left > 0 && !pattern.test(await text()); left--)
    await new Promise((resolve) => setTimeout(resolve, 100));
  assert.match(await text(), pattern);
  return await text();
}

test('databases, position and log are shown and followed, with nothing from elsewhere', async () => {
  await using served = await serveNode();
  const client = createClient({ url: served.url('', 'http') });
  await client.execute('CREATE TABLE t (x)');
  const { page, requested, complaints } = await open(served.url('/', 'http'));
  await waitForText(page, '#state', /^serving$/);
  const before = await waitForText(page, '#databases', /main.*4\.0 KiB/s);
  await client.execute('INSERT INTO t VALUES (zeroblob(100000))');
  await waitForText(page, '#databases', /main.*1\d\d\.\d KiB/s);
  assert.notEqual(await textOf(page, '#databases'), before);
  await waitForText(page, '#facts', /Position\d+\.\d+.*Log on disk\d/s);
  client.close();
  assert.deepEqual(complaints, []);
  const origin = served.url('/', 'http');
  assert.deepEqual(
    requested.filter((url) => !url.startsWith(origin) && !url.startsWith('data:')),
    [],
  );
  await page.close();
});

test('where a token is needed the page asks for it, and shows nothing before', async () => {
  const sandbox = makeSandbox();
  const tokenPath = sandbox.join('tokens');
  const token = createToken(tokenPath, 'reader', ['read']);
  await using served = await serveNode(sandbox, { tokenPath });
  const { page } = await open(served.url('/', 'http'));
  await waitForText(page, '#state', /^token needed$/);
  assert.equal(await page.evaluate(`document.querySelector('#content').hidden`), true);
  await page.type('#token', `${token}x`);
  await page.click('button');
  await waitForText(page, '#state', /^token refused$/);
  await page.type('#token', token);
  await page.click('button');
  await waitForText(page, '#state', /^serving$/);
  await page.close();
});

test('a page of another origin does not get to put ours into a frame, and ours runs no script but its own', async () => {
  await using served = await serveNode();
  const response = await fetch(served.url('/', 'http'));
  const policy = response.headers.get('content-security-policy') ?? '';
  assert.match(policy, /frame-ancestors 'none'/);
  assert.match(policy, /script-src 'sha256-[^']+';/);
  const { page, complaints } = await open(served.url('/', 'http'));
  await page.evaluate(`document.body.insertAdjacentHTML('beforeend', '<img src=x onerror="document.title=1">')`);
  await waitForText(page, '#state', /^serving$/);
  assert.equal(await page.title(), 'baton sqlite');
  assert.ok(complaints.some((text) => /Content Security Policy/.test(text)));
  await page.close();
});
