// An independent OpenID provider (npm oidc-provider), as a partner would run it: the code flow with PKCE gives a workload ID tokens
// (RS256), client credentials with a resource indicator give JWT access tokens (RFC 9068, ES256). Users sign in without a page, but for the console's client: there a person chooses who they are.
//
//     node provider.mjs [CONSOLE]   CONSOLE: where the console is, such as http://localhost:7401
//                           prints {"issuer": …, "client": …, "secret": …} once it listens; ends with its standard input
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';

import { take } from './packages.mjs';

const { default: Provider } = await take('oidc-provider');
const jose = await take('jose');

const client = 'warehouse';
const console_ = process.argv[2];
const secret = randomBytes(24).toString('base64url');

async function key(alg) {
  const { privateKey } = await jose.generateKeyPair(alg, { extractable: true });
  const jwk = await jose.exportJWK(privateKey);
  return { ...jwk, alg, use: 'sig', kid: await jose.calculateJwkThumbprint(jwk) };
}

const groups = {
  ann: ['owners'], olga: ['owners'], sven: ['security'], sara: ['security'], adam: ['admins'], alan: ['audit'], nobody: ['canteen'],
};

const server = createServer();
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [{
    client_id: client,
    client_secret: secret,
    grant_types: ['authorization_code', 'client_credentials'],
    response_types: ['code'],
    redirect_uris: ['http://127.0.0.1/callback'],
    id_token_signed_response_alg: 'RS256',
  }, {
    // The command line of the company's own staff: public, on whatever port of its own machine is free (RFC 8252).
    client_id: 'carnet-cli',
    application_type: 'native',
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code'],
    response_types: ['code'],
    redirect_uris: ['http://127.0.0.1/callback'],
    id_token_signed_response_alg: 'ES256',
  }, ...(console_ ? [{
    client_id: 'carnet-console',
    client_secret: secret,
    grant_types: ['authorization_code'],
    response_types: ['code'],
    redirect_uris: [`${console_}/console/callback`],
    id_token_signed_response_alg: 'ES256',
    require_auth_time: true,
  }] : [])],
  jwks: { keys: [await key('RS256'), await key('ES256')] },
  cookies: { keys: [randomBytes(24).toString('base64url')] },
  // A console's tests move its clock: what it is given must not be over by then.
  ttl: { IdToken: console_ ? 7200 : 600, ClientCredentials: 300 },
  findAccount: (_, sub) => ({
    accountId: sub, claims: () => ({ sub, groups: groups[sub] ?? ['security'], name: groups[sub] ? sub : 'Sven' }),
  }),
  claims: { openid: ['sub', 'groups'], profile: ['name'] },
  conformIdTokenClaims: false,
  interactions: { url: (_, interaction) => `/sign-in/${interaction.uid}` },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource) => ({
        scope: 'exchange', audience: resource, accessTokenFormat: 'jwt', accessTokenTTL: 300, jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
});

// The page that hardly is one: whoever comes is whom they choose, else the service account of the warehouse; and consents.
provider.use(async (ctx, next) => {
  if (!ctx.path.startsWith('/sign-in/')) return next();
  const { prompt, params, session } = await provider.interactionDetails(ctx.req, ctx.res);
  const person = new URL(ctx.href).searchParams.get('person');
  if (params.client_id === 'carnet-console' && prompt.name === 'login' && !person) {
    ctx.type = 'text/html';
    ctx.body = Object.keys(groups).map((name) => `<a id="${name}" href="?person=${name}">${name}</a>`).join(' ');
    return undefined;
  }
  let result = { login: { accountId: person ?? 'warehouse-sync' } };
  if (prompt.name === 'consent') {
    const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
    grant.addOIDCScope(params.scope);
    result = { consent: { grantId: await grant.save() } };
  }
  ctx.respond = false;
  return provider.interactionFinished(ctx.req, ctx.res, result, { mergeWithLastSubmission: true });
});

server.on('request', provider.callback());
console.log(JSON.stringify({ issuer, client, secret }));
process.stdin.on('end', () => process.exit(0)).resume();
