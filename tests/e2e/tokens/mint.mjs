// SPDX-License-Identifier: MIT
// mint.mjs FOLDER - keys and tokens, made by jose.
//
// Writes jwks.json (one key of each kind, by name), rs256.pem and secret into FOLDER, and
// prints one JSON object: tokens by name. All claims but those of `good` are wrong in the
// way that their name says.
import {writeFileSync} from 'node:fs'
import {join} from 'node:path'
import * as jose from 'jose'

const folder = process.argv[2]
const now = Math.floor(Date.now() / 1000)
const claims = {sub: 'alice', aud: 'canvas', iss: 'https://login.example', exp: now + 600}
const rooms = {yomo: {rooms: {'doc-*': ['join', 'send', 'presence'], 'look': ['join']}}}

const tokens = {}
const keys = []
const pairs = {}

async function sign(payload, header, key) {
  return new jose.SignJWT(payload).setProtectedHeader(header).sign(key)
}

for (const alg of ['RS256', 'ES256', 'EdDSA']) {
  const pair = await jose.generateKeyPair(alg, {extractable: true})
  const kid = `key-${alg}`
  keys.push({...await jose.exportJWK(pair.publicKey), kid, alg, use: 'sig'})
  pairs[alg] = pair
  tokens[`good-${alg}`] = await sign({...claims, ...rooms}, {alg, kid}, pair.privateKey)
}
const secret = new TextEncoder().encode('a secret of more than thirty-two bytes, for HS256')
keys.push({kty: 'oct', k: jose.base64url.encode(secret), kid: 'key-HS256', alg: 'HS256'})
tokens['good-HS256'] = await sign({...claims, ...rooms}, {alg: 'HS256', kid: 'key-HS256'}, secret)

const es = {alg: 'ES256', kid: 'key-ES256'}
const bad = (change) => sign({...claims, ...rooms, ...change}, es, pairs.ES256.privateKey)
const stranger = await jose.generateKeyPair('ES256')
tokens['bad-expired'] = await bad({exp: now - 3600})
tokens['bad-not-yet'] = await bad({nbf: now + 3600})
tokens['bad-audience'] = await bad({aud: 'somebody else'})
tokens['bad-issuer'] = await bad({iss: 'https://evil.example'})
tokens['bad-no-exp'] = await bad({exp: undefined})
tokens['bad-signature'] = await sign({...claims, ...rooms}, es, stranger.privateKey)
tokens['bad-none'] = new jose.UnsecuredJWT({...claims, ...rooms}).encode()
// RFC 8725 2.1: the public key, taken for a secret.
tokens['bad-confused'] = await sign({...claims, ...rooms}, {alg: 'HS256', kid: 'key-RS256'},
  new TextEncoder().encode(JSON.stringify(keys[0])))

writeFileSync(join(folder, 'jwks.json'), JSON.stringify({keys}))
writeFileSync(join(folder, 'rs256.pem'), await jose.exportSPKI(pairs.RS256.publicKey))
writeFileSync(join(folder, 'secret'), secret)
console.log(JSON.stringify(tokens))
