// What a workload of the partner does at its own provider.
//
//     node tokens.mjs id-token             ISSUER CLIENT   (CLIENT_SECRET in the environment)
//     node tokens.mjs access-token AUDIENCE ISSUER CLIENT
import { createHash, randomBytes } from 'node:crypto';

const [kind, ...rest] = process.argv.slice(2);
const [issuer, client] = rest.slice(-2);
const basic = `Basic ${Buffer.from(`${client}:${process.env.CLIENT_SECRET}`).toString('base64')}`;
const metadata = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json();

async function token(form) {
  const response = await fetch(metadata.token_endpoint, {
    method: 'POST', headers: { authorization: basic }, body: new URLSearchParams(form),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(JSON.stringify(answer));
  return answer;
}

// The authorization code flow with PKCE, followed from redirect to redirect with the cookies that were set.
async function idToken() {
  const verifier = randomBytes(32).toString('base64url');
  const redirect = 'http://127.0.0.1/callback';
  const query = new URLSearchParams({
    client_id: client, response_type: 'code', scope: 'openid', redirect_uri: redirect,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'), code_challenge_method: 'S256',
  });
  const cookies = new Map();
  let next = new URL(`${metadata.authorization_endpoint}?${query}`);
  for (let steps = 0; !next.href.startsWith(redirect); steps += 1) {
    if (steps > 10) throw new Error(`no end at ${next}`);
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(next, { redirect: 'manual', headers: { cookie } });
    if (response.status >= 400) throw new Error(await response.text());
    for (const set of response.headers.getSetCookie()) {
      const [name, ...value] = set.split(';')[0].split('=');
      cookies.set(name, value.join('='));
    }
    next = new URL(response.headers.get('location'), next);
  }
  const code = next.searchParams.get('code');
  if (!code) throw new Error(next.search);
  return (await token({ grant_type: 'authorization_code', code, redirect_uri: redirect, code_verifier: verifier })).id_token;
}

if (kind === 'id-token') console.log(await idToken());
else console.log((await token({ grant_type: 'client_credentials', scope: 'exchange', resource: rest[0] })).access_token);
