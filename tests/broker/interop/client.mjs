// A partner's workload with a key pair of its own, by an OAuth client library that nobody here wrote (npm oauth4webapi): it checks
// what a server answers as strictly as the RFCs allow.
//
//     node client.mjs key FILE                         makes a key pair: private to FILE, public printed
//     node client.mjs story ISSUER CLIENT FILE AUDIENCE
//         discovery, client credentials by private_key_jwt, the token's check by RFC 9068, introspection, revocation, introspection
//     node client.mjs bound ISSUER CLIENT FILE AUDIENCE
//         the same grant with DPoP: the library is asked for a nonce, and sends the request again with it
import { readFileSync, writeFileSync } from 'node:fs';

import { take } from './packages.mjs';

const jose = await take('jose');
const oauth = await take('oauth4webapi');

const [verb, ...rest] = process.argv.slice(2);

async function key(file) {
  const { privateKey, publicKey } = await jose.generateKeyPair('ES256', { extractable: true });
  const kid = await jose.calculateJwkThumbprint(await jose.exportJWK(publicKey));
  writeFileSync(file, JSON.stringify({ ...(await jose.exportJWK(privateKey)), kid, alg: 'ES256' }), { mode: 0o600 });
  console.log(JSON.stringify({ ...(await jose.exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' }));
}

const here = { [oauth.allowInsecureRequests]: true };

async function meet(name, id, file) {
  const issuer = new URL(name);
  const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...here }));
  const { kid, ...jwk } = JSON.parse(readFileSync(file));
  const signer = await crypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
  return { as, client: { client_id: id }, proof: () => oauth.PrivateKeyJwt({ key: signer, kid }) };
}

async function bound(name, id, file, audience) {
  const { as, client, proof } = await meet(name, id, file);
  const DPoP = oauth.DPoP(client, await oauth.generateKeyPair('ES256'));
  const form = { resource: audience, scope: 'orders:read' };
  const ask = async () => oauth.processClientCredentialsResponse(
    as, client, await oauth.clientCredentialsGrantRequest(as, client, proof(), form, { DPoP, ...here }));
  let asked = 0;
  const granted = await ask().catch((error) => {
    if (!oauth.isDPoPNonceError(error)) throw error;
    asked += 1;
    return ask();
  });
  const seen = await oauth.processIntrospectionResponse(
    as, client, await oauth.introspectionRequest(as, client, proof(), granted.access_token, here));
  const { cnf } = jose.decodeJwt(granted.access_token);
  console.log(JSON.stringify({ asked, type: granted.token_type, cnf, thumbprint: await DPoP.calculateThumbprint(), seen }));
}

async function story(name, id, file, audience) {
  const { as, client, proof } = await meet(name, id, file);
  const form = { resource: audience, scope: 'orders:read' };
  const granted = await oauth.processClientCredentialsResponse(
    as, client, await oauth.clientCredentialsGrantRequest(as, client, proof(), form, here));
  const token = granted.access_token;
  const call = new Request(audience, { headers: { authorization: `Bearer ${token}` } });
  const claims = await oauth.validateJwtAccessToken(as, call, audience, here);
  const introspect = async () => oauth.processIntrospectionResponse(
    as, client, await oauth.introspectionRequest(as, client, proof(), token, here));
  const before = await introspect();
  await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, proof(), token, here));
  const after = await introspect();
  console.log(JSON.stringify({ granted: { ...granted, access_token: typeof token }, claims, before, after }));
}

await { bound, key, story }[verb](...rest);
