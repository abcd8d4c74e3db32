// Verifies tokens of ours with npm jose, knowing nothing but the issuer's name and what an API knows of itself.
//
//     node verify.mjs ISSUER     one {"token", "audience", "typ", "alg"} per line in, one {"claims"} or {"refused"} per line out;
//                                "jwks" in a line names another key set than discovery does
import { createInterface } from 'node:readline';

import { take } from './packages.mjs';

const { createRemoteJWKSet, jwtVerify } = await take('jose');

const [issuer] = process.argv.slice(2);
// RFC 8414 section 3.1: the well-known part goes between host and path.
const { origin, pathname } = new URL(issuer);
const metadata = await (await fetch(`${origin}/.well-known/oauth-authorization-server${pathname}`)).json();
if (metadata.issuer !== issuer) throw new Error(`${metadata.issuer} is not ${issuer}`);
const discovered = createRemoteJWKSet(new URL(metadata.jwks_uri));

for await (const line of createInterface({ input: process.stdin })) {
  const { token, audience, typ, alg, jwks } = JSON.parse(line);
  const keys = jwks ? createRemoteJWKSet(new URL(jwks)) : discovered;
  try {
    const options = { issuer, audience, typ, algorithms: [alg], requiredClaims: ['sub', 'client_id', 'jti', 'exp', 'iat'] };
    console.log(JSON.stringify({ claims: (await jwtVerify(token, keys, options)).payload }));
  } catch (fault) {
    console.log(JSON.stringify({ refused: fault.code }));
  }
}
