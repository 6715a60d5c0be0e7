// SPDX-License-Identifier: MIT
// WebTransport behaviour by behaviour in one browser (YOMO_ENGINE), in a page and in workers
// of all kinds, against a server on the public API with the handlers of the
// web-platform-tests: what is the server's duty must hold; what is the browser's is written
// down, and docs/interop.md says what it was.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { tryCache } from './cache.mjs';
import { needEngine, startEngine } from './engines.mjs';
import { cell, keep, PLACES, said } from './findings.mjs';
import { Program, spkiOf, startPages, within } from './support.mjs';

const WORKERS_DEADLINE = 150_000;

needEngine(process.env.YOMO_ENGINE);
const stateDir = mkdtempSync(join(tmpdir(), 'yomo-state-'));
const server = new Program(['0', stateDir], process.env.YOMO_HANDLERS, 'pipe');
const listening = JSON.parse(await server.logLine('listening '));
const engine = await startEngine(process.env.YOMO_ENGINE,
    { spki: spkiOf(stateDir), port: listening.port });
const pages = await startPages();
const base = `https://localhost:${listening.port}/webtransport/handlers`;
const hash = listening.certificate_sha256;
const where = (place) => ({ engine: engine.name, place, base, hash });
const page = await engine.open(`${pages.origin}/behaviours/page.html`);
const list = await page.call('listBehaviours');
const findings = list.map(({ file, title }) => ({ file, title, cells: {} }));

after(async () => {
    await engine.close();
    await pages.stop();
    server.child.stdin.end();
    assert.equal(await within(server.exited, 'the end of the server'), 0, server.log.join('\n'));
    rmSync(stateDir, { recursive: true });
    keep(engine, findings);
});

/** Note an outcome, and hold it against what must be. */
function judge(t, finding, place, duty, outcome) {
    finding.cells[place] = cell(outcome);
    if (outcome.lacks) {
        t.skip(`${engine.name} has no ${outcome.lacks}`);
    } else if (outcome.moot) {
        t.skip(`${engine.name}: ${outcome.moot}`);
    } else if (outcome.known && !outcome.ok) {
        t.skip(`${engine.name}: ${outcome.known}`);
    } else if (duty === 'server') {
        assert.ok(outcome.ok, outcome.why);
    } else if (!outcome.ok) {
        t.diagnostic(`${engine.name}: ${outcome.why}`);
    }
    if (duty === 'server') {
        assert.equal(said(engine.name, place, finding.file, finding.title),
            cell(outcome).replace(/:.*/, ''),
            'docs/interop.md says something else ("make interop" writes it)');
    }
}

for (const [i, { file, title, duty }] of list.entries()) {
    test(`${file}: ${title}`, async (t) => {
        const outcome = await within(page.call('runBehaviour', where('page'), file, title),
            title, 30_000);
        judge(t, findings[i], 'page', duty, outcome);
    });
}

/** All behaviours in a worker of a page of its own. */
async function runInWorker(place, behaviours) {
    const page = await engine.open(`${pages.origin}/behaviours/page.html`);
    const outcomes = await within(page.call('runInWorker', where(place),
        behaviours.map(({ file, title }) => ({ file, title }))), place, WORKERS_DEADLINE);
    await page.close();
    return outcomes;
}

const inWorkers = PLACES.slice(1).map((place) => ({
    place,
    there: list.flatMap((behaviour, i) =>
        behaviour.places?.includes(place) ?? true ? [{ ...behaviour, finding: findings[i] }] : []),
}));
let runs; // all workers are at it together, from when the first is asked for

for (const [number, { place, there }] of inWorkers.entries()) {
    test(`in a ${place} worker`, async (t) => {
        runs ??= Promise.allSettled(inWorkers.map(({ place, there }) => runInWorker(place, there)));
        const { reason, value: outcomes } = (await runs)[number];
        assert.ifError(reason);
        for (const [i, { file, title, duty, finding }] of there.entries()) {
            await t.test(`${file}: ${title} (${place} worker)`, (t) =>
                judge(t, finding, place, duty, outcomes[i]));
        }
    });
}

for (const behaviour of tryCache) {
    const finding = { file: behaviour.file, title: behaviour.title, cells: {} };
    findings.push(finding);
    test(`${behaviour.file}: ${behaviour.title}`, async (t) => {
        const outcome = await behaviour.run({ engine, pages, base, hash });
        judge(t, finding, 'page', 'browser', outcome);
    });
}
