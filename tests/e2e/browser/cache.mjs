// SPDX-License-Identifier: MIT
// The back-forward cache: a page with a session is left, and come back to. The page goes
// there and back by itself (behaviours/cached.mjs) and tells what it found.

import { within } from './support.mjs';

async function leaveAndReturn({ engine, pages, base, hash }, session, noStore = false) {
    const query = new URLSearchParams({ session, base, hash, ...(noStore && { 'no-store': '' }) });
    const told = pages.told();
    const page = await engine.open(`${pages.origin}/behaviours/cached.html?${query}`);
    const found = await within(told, 'word from the page that was left');
    await page.close();
    if (found.error) {
        throw new Error(found.error);
    }
    return found;
}

const outcome = (ok, found) => ({ ok, why: JSON.stringify(found) });

/** With Cache-Control: no-store. Where the browser never keeps such a page, there is nothing
 *  to see of WebTransport. */
const withNoStore = (session) => async (there) => {
    const plain = await leaveAndReturn(there, 'none', true);
    if (!plain.kept) {
        return { moot: 'it keeps no page with Cache-Control: no-store' };
    }
    const found = await leaveAndReturn(there, session, true);
    return outcome(!found.kept, found);
};

export const tryCache = [{
    file: 'back-forward-cache-with-open-webtransport-connection',
    title: 'the page comes back as it was, its session has failed',
    run: async (there) => {
        const found = await leaveAndReturn(there, 'open');
        return {
            ...outcome(found.kept && found.end === 'failed: session', found),
            known: { Firefox: 'it keeps no page with an open session' }[there.engine.name],
        };
    },
}, {
    file: 'back-forward-cache-with-closed-webtransport-connection',
    title: 'the page comes back as it was',
    run: async (there) => {
        const found = await leaveAndReturn(there, 'closed');
        return outcome(found.kept, found);
    },
}, {
    file: 'back-forward-cache-with-open-webtransport-connection-ccns',
    title: 'with no-store, a page that had a session is loaded again',
    run: withNoStore('open'),
}, {
    file: 'back-forward-cache-with-closed-webtransport-connection-ccns',
    title: 'with no-store, a page that had a session is loaded again',
    run: withNoStore('closed'),
}];
