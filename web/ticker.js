// SPDX-License-Identifier: MIT
// A clock that goes on while its page is in the background: a page's own timers are slowed
// down there to one a minute, and the server would take it for gone.
setInterval(() => postMessage('tick'), 1000);
