// SPDX-License-Identifier: MIT
// WebTransport behaviour by behaviour in one browser (YOMO_ENGINE), against a server on the
// public API with the handlers of the web-platform-tests: what is the server's duty must
// hold; what is the browser's is written down, and docs/interop.md says what it was.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { startEngine } from './engines.mjs';
import { cell, keep, said } from './findings.mjs';
import { Program, startPages, within } from './support.mjs';

const engine = await startEngine(process.env.YOMO_ENGINE);
const stateDir = mkdtempSync(join(tmpdir(), 'yomo-state-'));
const server = new Program(['0', stateDir], process.env.YOMO_HANDLERS, 'pipe');
const listening = JSON.parse(await server.logLine('listening '));
const pages = await startPages();
const page = await engine.open(`${pages.origin}/behaviours/page.html`);
const base = `https://localhost:${listening.port}/webtransport/handlers`;
const findings = [];

after(async () => {
    await engine.close();
    await pages.stop();
    server.child.stdin.end();
    assert.equal(await within(server.exited, 'the end of the server'), 0, server.log.join('\n'));
    rmSync(stateDir, { recursive: true });
    keep(engine, findings);
});

for (const { file, title, duty, known } of await page.call('listBehaviours')) {
    test(`${file}: ${title}`, async (t) => {
        const outcome = await within(
            page.call('runBehaviour', engine.name, file, title, base,
                listening.certificate_sha256),
            title, 30_000);
        const finding = { file, title, known: known?.[engine.name], ...outcome };
        findings.push(finding);
        if (finding.lacks) {
            t.skip(`${engine.name} has no ${finding.lacks}`);
        } else if (finding.known && !finding.ok) {
            t.skip(`${engine.name}: ${finding.known}`);
        } else if (duty === 'server') {
            assert.ok(finding.ok, finding.why);
        } else if (!finding.ok) {
            t.diagnostic(`${engine.name}: ${finding.why}`);
        }
        if (duty === 'server') {
            assert.equal(said(engine.name, file, title), cell(finding).replace(/:.*/, ''),
                'docs/interop.md says something else ("make interop" writes it)');
        }
    });
}
