// SPDX-License-Identifier: MIT
// Every behaviour that is tried, by the file of the web-platform-tests that checks it;
// `round` is ours. A behaviour is [title, whose duty it is, function, what it needs, known
// faults by engine (or by engine and place)]: where it is the server's it must hold unless the browser is known to
// spoil it, where it is the browser's docs/interop.md says whether. A known fault that
// shows only now and then begins with "sometimes". A file with `places` is tried in those
// only; the others are in the page and in all workers (page.mjs).

import { behaviours as api } from './api.mjs';
import { connecting } from './connecting.mjs';
import { closing } from './closing.mjs';
import { datagrams } from './datagrams.mjs';
import { idl } from './idl.mjs';
import { priorities } from './priorities.mjs';
import { round } from './round.mjs';
import { streams } from './streams.mjs';

export const groups = [
    ...round, ...closing, ...streams, ...datagrams, ...connecting, ...priorities, ...api, ...idl,
];
