// SPDX-License-Identifier: MIT
// ws.mjs CERTIFICATE KEY - the `raw` dialect (bench/load/dialect_raw.c) on ws: the first
// message names the room, all others go to the others in it. Prints `listening PORT`; ends
// with its input.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { WebSocketServer } from 'ws';

const [cert, key] = process.argv.slice(2).map((name) => readFileSync(name));
const https = createServer({ cert, key });
const server = new WebSocketServer({ server: https });
const rooms = new Map();

server.on('connection', (socket) => {
  let room;
  socket.on('message', (data, isBinary) => {
    if (!room) {
      const name = data.toString();
      if (!rooms.has(name)) rooms.set(name, new Set());
      room = rooms.get(name).add(socket);
      socket.send('joined');
      return;
    }
    for (const other of room) {
      if (other !== socket) other.send(data, { binary: isBinary });
    }
  });
  socket.on('close', () => room?.delete(socket));
  socket.on('error', () => {});
});
https.listen(0, '127.0.0.1', () => console.log(`listening ${https.address().port}`));
process.stdin.on('end', () => process.exit(0)).resume();
