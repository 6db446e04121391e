// The page for users is held against the registry of refusals.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { refusalCodes } from '@batondb/service/refusal';
import { defaultSettings } from '../src/server/settings.ts';

const page = readFileSync(new URL('../../../docs/sqlite-clients.md', import.meta.url), 'utf8');

// Proves: every code is on the page with its status and the registry's words, and the time limits are those that hold.
test('codes and limits are documented', () => {
  for (const [code, { status, meaning }] of Object.entries(refusalCodes))
    assert.ok(page.includes(`| \`${code}\` | ${status} | ${meaning} |`), code);
  for (const name of ['streamIdleMsMax', 'transactionMsMax'] as const)
    assert.ok(page.includes(`| \`${name}\` | ${defaultSettings[name] / 1000} s |`), name);
  assert.ok(page.includes(`| \`callMsMax\` | ${defaultSettings.callMsMax / 60_000} min |`));
});
