// SPDX-License-Identifier: MIT
// Every behaviour that is tried, by the file of the web-platform-tests that checks it;
// `round` is ours. A behaviour is [title, whose duty it is, function, what it needs, known
// faults by engine]: where it is the server's it must hold unless the browser is known to
// spoil it, where it is the browser's docs/interop.md says whether. A known fault that
// shows only now and then begins with "sometimes".

import { behaviours as api } from './api.mjs';
import { connecting } from './connecting.mjs';
import { closing } from './closing.mjs';
import { datagrams } from './datagrams.mjs';
import { priorities } from './priorities.mjs';
import { round } from './round.mjs';
import { streams } from './streams.mjs';

export const groups = [round, ...closing, ...streams, ...datagrams, ...connecting, ...priorities, ...api];
