// SPDX-License-Identifier: MIT
// What the browser tests stand on: a backend of their own, C programs beside it, pages
// served from localhost, and Chromium. Everything is started here and ended here, by its
// own process; nothing waits for a length of time, only for an event with a deadline.

import { spawn } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, extname, join, normalize, sep } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { chromium } from 'playwright-core';

export const here = dirname(fileURLToPath(import.meta.url));
export const DEADLINE = 20_000;

const program = process.env.YOMO_PROGRAM;
const artefacts = process.env.YOMO_ARTEFACTS ?? join(tmpdir(), 'yomo-artefacts');

/** Where pictures go that a person may want to see after the run. */
export function artefact(name) {
    mkdirSync(artefacts, { recursive: true });
    return join(artefacts, name);
}

export function browserPath() {
    return ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
        existsSync,
    );
}

/** The promise's value, or an error that says what did not happen. */
export async function within(promise, what, milliseconds = DEADLINE) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => {
            reject(new Error(`not within ${milliseconds} ms: ${what}`));
        }, milliseconds);
    });
    try {
        return await Promise.race([promise, late]);
    } finally {
        clearTimeout(timer);
    }
}

/** One run of the yomo program, with what it prints as an ever-growing list. */
export class Program {
    constructor(args, file = program, stdin = 'ignore') {
        this.args = args;
        this.records = []; // stdout, one JSON object a line
        this.log = [];     // stderr, lines
        this.waiters = new Set();
        this.child = spawn(file, args, { stdio: [stdin, 'pipe', 'pipe'] });
        this.exited = once(this.child, 'exit').then(([code, signal]) => {
            this.ended = { code, signal };
            this.#look();
            return code;
        });
        createInterface({ input: this.child.stdout }).on('line', (line) => {
            this.records.push(JSON.parse(line));
            this.#look();
        });
        createInterface({ input: this.child.stderr }).on('line', (line) => {
            this.log.push(line);
            this.#look();
        });
    }

    #look() {
        for (const waiter of this.waiters) {
            waiter();
        }
    }

    async #until(find, what) {
        let waiter;
        const found = new Promise((resolve, reject) => {
            waiter = () => {
                const value = find();
                if (value !== undefined) {
                    resolve(value);
                } else if (this.ended) {
                    reject(
                        new Error(
                            `yomo ${this.args.join(' ')} ended (${JSON.stringify(this.ended)}) ` +
                                `before ${what}:\n${this.log.join('\n')}`,
                        ),
                    );
                }
            };
            this.waiters.add(waiter);
            waiter();
        });
        try {
            return await within(found, `${what} from yomo ${this.args.join(' ')}`);
        } finally {
            this.waiters.delete(waiter);
        }
    }

    /** The first printed object for which `test` holds. */
    record(what, test) {
        return this.#until(() => this.records.find(test), what);
    }

    /** The rest of the first line of the log that begins with `start`. */
    logLine(start) {
        return this.#until(
            () => this.log.find((line) => line.startsWith(start))?.slice(start.length),
            `"${start}"`,
        );
    }

    async stop() {
        if (!this.ended) {
            this.child.kill('SIGTERM');
        }
        return within(this.exited, `the end of yomo ${this.args.join(' ')}`, 15_000);
    }
}

/** Of the development certificate: what Chromium's list of trusted keys names it by. */
export function spkiOf(stateDir) {
    const pem = readFileSync(join(stateDir, 'dev-cert.pem'));
    const spki = new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' });
    return createHash('sha256').update(spki).digest('base64');
}

/** A backend on free ports, with a state directory of its own. */
export async function startBackend(...flags) {
    const stateDir = mkdtempSync(join(tmpdir(), 'yomo-state-'));
    const serve = new Program([
        'serve', '--port', '0', '--http-port', '0', '--state-dir', stateDir, ...flags,
    ]);
    const listening = JSON.parse(await serve.logLine('listening '));
    return {
        serve,
        stateDir,
        ...listening,
        url: `https://localhost:${listening.port}/v1`,
        spki: spkiOf(stateDir),
        /** Run another program, with the state directory as its last argument. */
        program: (file, ...args) => new Program([...args, stateDir], file),
        /** Run another command of the program against this backend. */
        run: (command, ...args) =>
            new Program([
                command, ...args, '--state-dir', stateDir,
            ]),
        async stop() {
            const code = await serve.stop();
            rmSync(stateDir, { recursive: true, force: true });
            return code;
        },
    };
}

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.mjs': 'text/javascript' };

/** The pages of this folder, on a free port of localhost; with `?no-store` a page says that
 *  it must not be kept. What pages POST, as JSON, comes out of `told`. */
export async function startPages() {
    const told = [];
    const waiting = [];
    const server = createServer(async (request, response) => {
        const { pathname, searchParams } = new URL(request.url, 'http://localhost');
        const path = normalize(pathname);
        if (request.method === 'POST') {
            const words = JSON.parse((await request.toArray()).join(''));
            response.writeHead(204).end();
            (waiting.shift() ?? ((value) => told.push(value)))(words);
            return;
        }
        const file = join(here, path);
        if (!file.startsWith(here + sep) || !existsSync(file)) {
            response.writeHead(404).end();
            return;
        }
        response.writeHead(200, {
            'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
            ...(searchParams.has('no-store') && { 'cache-control': 'no-store' }),
        });
        response.end(readFileSync(file));
    });
    server.listen(0, 'localhost');
    await once(server, 'listening');
    return {
        origin: `http://localhost:${server.address().port}`,
        told: () => (told.length > 0 ? Promise.resolve(told.shift())
            : new Promise((resolve) => { waiting.push(resolve); })),
        stop: () => new Promise((resolve) => server.close(resolve)),
    };
}

/** Chromium that makes no connection of its own accord. */
export async function startChromium(...flags) {
    return chromium.launch({
        executablePath: browserPath(),
        headless: true,
        ignoreDefaultArgs: ['--disable-back-forward-cache'],
        args: [
            '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
            '--disable-component-update', '--disable-sync', ...flags,
        ],
    });
}

/** Flags with which an unmodified page trusts the backend's development certificate. */
export function trust(backend, { quic }) {
    const flags = [`--ignore-certificate-errors-spki-list=${backend.spki}`];
    if (quic) {
        flags.push(`--origin-to-force-quic-on=localhost:${backend.port}`);
    }
    return flags;
}
