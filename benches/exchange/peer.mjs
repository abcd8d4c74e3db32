// A broker of the same kind for comparison (npm oidc-provider): client credentials by a private-key JWT (ES256), a JWT access token
// (RFC 9068, ES256) for a resource. It keeps what it must remember in memory, and records nothing.
//
//     node peer.mjs PUBLIC-KEY   PUBLIC-KEY: the client's, as a JWK
//                                prints {"issuer": …, "pid": …} once it listens; ends with its standard input
import { createServer } from 'node:http';

import { take } from '../../tests/broker/interop/packages.mjs';

const { default: Provider } = await take('oidc-provider');
const jose = await take('jose');

const { privateKey } = await jose.generateKeyPair('ES256', { extractable: true });
const own = { ...await jose.exportJWK(privateKey), alg: 'ES256', use: 'sig' };

const server = createServer();
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [{
    client_id: 'globex',
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: 'ES256',
    id_token_signed_response_alg: 'ES256',
    jwks: { keys: [JSON.parse(process.argv[2])] },
    grant_types: ['client_credentials'],
    response_types: [],
    redirect_uris: [],
  }],
  jwks: { keys: [own] },
  enabledJWA: { clientAuthSigningAlgValues: ['ES256'] },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource) => ({
        scope: 'orders:read', audience: resource, accessTokenFormat: 'jwt', accessTokenTTL: 300, jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
});

server.on('request', provider.callback());
console.log(JSON.stringify({ issuer, pid: process.pid }));
process.stdin.on('end', () => process.exit(0)).resume();
