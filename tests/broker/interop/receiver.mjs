// A receiver of webhooks as its author would write it, by a stock library (npm standardwebhooks): what does not verify is answered 401;
// what does is written to a file before it is answered 200.
//
//     node receiver.mjs PORT SECRET FILE [anytime]
// `anytime` is for a sender whose clock a test has moved: the library's check of the time is then against the sender's own.
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';

import { take } from './packages.mjs';

const { Webhook } = await take('standardwebhooks');

const [port, secret, file, anytime] = process.argv.slice(2);
const webhook = new Webhook(secret);

const server = createServer(async (request, response) => {
  let body = '';
  for await (const chunk of request) body += chunk;
  if (anytime) Date.now = () => Number(request.headers['webhook-timestamp']) * 1000;
  try {
    const event = webhook.verify(body, request.headers);
    appendFileSync(file, `${JSON.stringify({ id: request.headers['webhook-id'], event })}\n`);
    response.writeHead(200).end();
  } catch {
    appendFileSync(file, 'forged\n');
    response.writeHead(401).end();
  }
});
server.listen(Number(port), '127.0.0.1', () => console.log('listening'));
