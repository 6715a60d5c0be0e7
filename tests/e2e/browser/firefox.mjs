// SPDX-License-Identifier: MIT
// Firefox, headless, over WebDriver BiDi: as much of it as the tests of the two engines
// need. It speaks the protocol itself (--remote-debugging-port); no driver is between.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import WebSocket from 'ws';

import { within } from './support.mjs';

// It makes no connection of its own accord.
const PREFERENCES = {
    'app.normandy.enabled': false,
    'app.update.disabledForTesting': true,
    'browser.region.update.enabled': false,
    'browser.safebrowsing.downloads.enabled': false,
    'browser.safebrowsing.malware.enabled': false,
    'browser.safebrowsing.phishing.enabled': false,
    'browser.search.update': false,
    'browser.shell.checkDefaultBrowser': false,
    'browser.startup.homepage_override.mstone': 'ignore',
    'browser.startup.page': 0,
    'datareporting.policy.dataSubmissionEnabled': false,
    'extensions.systemAddon.update.enabled': false,
    'extensions.update.enabled': false,
    'media.gmp-manager.updateEnabled': false,
    'network.captive-portal-service.enabled': false,
    'network.connectivity-service.enabled': false,
    'privacy.trackingprotection.enabled': false,
    'services.settings.server': 'data:,#none',
    'toolkit.telemetry.enabled': false,
    'toolkit.telemetry.server': 'data:,',
};

export function firefoxPath() {
    return ['/usr/bin/firefox-esr', '/usr/bin/firefox'].find(existsSync);
}

/** One WebDriver BiDi conversation: commands and their answers. */
class Conversation {
    #last = 0;
    #waiting = new Map();

    constructor(socket) {
        this.socket = socket;
        socket.on('message', (text) => {
            const message = JSON.parse(text);
            const waiting = this.#waiting.get(message.id);
            if (waiting && message.type !== 'event') {
                this.#waiting.delete(message.id);
                if (message.type === 'success') {
                    waiting.resolve(message.result);
                } else {
                    waiting.reject(new Error(`${message.error}: ${message.message}`));
                }
            }
        });
        socket.on('close', () => {
            for (const waiting of this.#waiting.values()) {
                waiting.reject(new Error('Firefox ended the conversation'));
            }
        });
    }

    send(method, params) {
        const id = ++this.#last;
        const answer = new Promise((resolve, reject) => {
            this.#waiting.set(id, { resolve, reject });
        });
        this.socket.send(JSON.stringify({ id, method, params }));
        return answer;
    }
}

class Page {
    constructor(talk, context) {
        this.talk = talk;
        this.context = context;
    }

    /** What `globalThis[name](...args)` gives in the page; plain values only. */
    async call(name, ...args) {
        const answer = await this.talk.send('script.callFunction', {
            functionDeclaration:
                '(name, args) => (async () => JSON.stringify(' +
                'await globalThis[name](...JSON.parse(args)) ?? null))()',
            arguments: [
                { type: 'string', value: name },
                { type: 'string', value: JSON.stringify(args) },
            ],
            awaitPromise: true,
            target: { context: this.context },
        });
        if (answer.type === 'exception') {
            throw new Error(answer.exceptionDetails.text);
        }
        return JSON.parse(answer.result.value);
    }

    close() {
        return this.talk.send('browsingContext.close', { context: this.context });
    }
}

export async function startFirefox() {
    const profile = mkdtempSync(join(tmpdir(), 'yomo-firefox-'));
    writeFileSync(
        join(profile, 'user.js'),
        Object.entries(PREFERENCES)
            .map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`)
            .join(''),
    );
    const child = spawn(
        firefoxPath(),
        ['--headless', '--no-remote', '--remote-debugging-port', '0', '--profile', profile],
        { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, HOME: profile } },
    );
    const exited = once(child, 'exit');
    const lines = createInterface({ input: child.stderr });
    const address = await within(
        new Promise((resolve, reject) => {
            lines.on('line', (line) => {
                const found = /WebDriver BiDi listening on (ws:\S+)/.exec(line);
                if (found) {
                    resolve(found[1]);
                }
            });
            child.on('exit', () => reject(new Error('Firefox ended at its start')));
        }),
        'Firefox listens for WebDriver BiDi',
        60_000,
    );
    const socket = new WebSocket(`${address}/session`);
    await once(socket, 'open');
    const talk = new Conversation(socket);
    const { capabilities } = await talk.send('session.new', {
        capabilities: { alwaysMatch: { acceptInsecureCerts: true } },
    });
    return {
        name: 'Firefox',
        version: capabilities.browserVersion,
        async open(url) {
            const { context } = await talk.send('browsingContext.create', { type: 'tab' });
            await within(
                talk.send('browsingContext.navigate', { context, url, wait: 'complete' }),
                url,
            );
            return new Page(talk, context);
        },
        async close() {
            // It may end before it has answered.
            await talk.send('browser.close', {}).catch(() => {});
            await within(exited, 'the end of Firefox', 15_000).catch(() => {
                child.kill('SIGKILL');
                return exited;
            });
            rmSync(profile, { recursive: true, force: true, maxRetries: 10 });
        },
    };
}
