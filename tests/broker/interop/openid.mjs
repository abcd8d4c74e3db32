// The same, by the OpenID-certified client library that most Node services use (npm openid-client), as its documentation says: no
// code of ours between it and the broker.
//
//     node openid.mjs jwt ISSUER CLIENT FILE AUDIENCE          private_key_jwt, the key that `client.mjs key` made
//     node openid.mjs mtls ISSUER CLIENT FOLDER AUDIENCE       tls_client_auth by the aliases of the metadata: one.pem, one.key, ca.pem
// Each takes a plain token and one with DPoP, asks about both, revokes the first and asks again.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { take } from './packages.mjs';

const client = await take('openid-client');
const undici = await take('undici');

const [verb, name, id, place, audience] = process.argv.slice(2);
const options = { execute: [client.allowInsecureRequests], algorithm: 'oauth2' };

async function jwt() {
  const { kid, ...jwk } = JSON.parse(readFileSync(place));
  const key = await crypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
  return client.discovery(new URL(name), id, undefined, client.PrivateKeyJwt({ key, kid }), options);
}

async function mtls() {
  const config = await client.discovery(new URL(name), id, { use_mtls_endpoint_aliases: true }, client.TlsClientAuth(), options);
  const file = (its) => readFileSync(join(place, its));
  const dispatcher = new undici.Agent({ connect: { cert: file('one.pem'), key: file('one.key'), ca: file('ca.pem') } });
  config[client.customFetch] = (url, rest) => undici.fetch(url, { ...rest, dispatcher });
  return config;
}

const config = await { jwt, mtls }[verb]();
const form = { resource: audience, scope: 'orders:read' };
const claims = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
const plain = await client.clientCredentialsGrant(config, form);
const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'));
const bound = await client.clientCredentialsGrant(config, form, { DPoP });
const ask = async (granted) => client.tokenIntrospection(config, granted.access_token);
const told = {
  plain: { type: plain.token_type, scope: plain.scope, claims: claims(plain.access_token), seen: await ask(plain) },
  bound: { type: bound.token_type, claims: claims(bound.access_token), thumbprint: await DPoP.calculateThumbprint(), seen: await ask(bound) },
};
await client.tokenRevocation(config, plain.access_token);
console.log(JSON.stringify({ ...told, after: await ask(plain) }));
process.exit(0);
