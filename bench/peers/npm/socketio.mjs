// SPDX-License-Identifier: MIT
// socketio.mjs CERTIFICATE KEY - rooms on Socket.IO as its manual shows them. Prints
// `listening PORT`; ends with its input.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { Server } from 'socket.io';

const [cert, key] = process.argv.slice(2).map((name) => readFileSync(name));
const https = createServer({ cert, key });
const server = new Server(https);

server.on('connection', (socket) => {
  let room;
  socket.on('join', (name, done) => {
    room = name;
    socket.join(name);
    done();
  });
  socket.on('m', (data) => socket.to(room).emit('m', data));
});
https.listen(0, '127.0.0.1', () => console.log(`listening ${https.address().port}`));
process.stdin.on('end', () => process.exit(0)).resume();
