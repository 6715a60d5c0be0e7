// SPDX-License-Identifier: MIT
// A page that opens a session (?session=open, closed, or none), is left for another one, and
// tells the test's server whether it came back as it was, and what had become of the session.

const ask = new URLSearchParams(location.search);
const DEADLINE = 5000;

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

const tell = (words) => fetch('told', { method: 'POST', body: JSON.stringify(words) });

async function openSession() {
    const hash = Uint8Array.from(ask.get('hash').match(/../g), (byte) => parseInt(byte, 16));
    const session = new WebTransport(`${ask.get('base')}/echo`, {
        serverCertificateHashes: [{ algorithm: 'sha-256', value: hash }],
    });
    await session.ready;
    return session;
}

/** How it ended, if it did. */
const endOf = (session) => Promise.race([
    session.closed.then(() => 'closed', ({ source }) => `failed: ${source}`),
    pause(DEADLINE).then(() => 'open'),
]);

async function begin() {
    let session;
    if (ask.get('session') !== 'none') {
        session = await openSession();
        session.closed.catch(() => {});
    }
    if (ask.get('session') === 'closed') {
        session.close();
        await session.closed;
    }
    addEventListener('pageshow', async ({ persisted }) => {
        if (persisted) {
            await tell({ kept: true, end: session ? await endOf(session) : null });
        }
    });
    location.href = 'away.html';
}

const [entry] = performance.getEntriesByType('navigation');
if (entry.type === 'back_forward') {
    await tell({ kept: false, reasons: entry.notRestoredReasons?.reasons
        ?.map(({ reason }) => reason) ?? null });
} else if (document.readyState === 'complete') {
    await begin().catch((error) => tell({ error: String(error) }));
} else {
    addEventListener('load', () => setTimeout(() =>
        begin().catch((error) => tell({ error: String(error) })), 0));
}
