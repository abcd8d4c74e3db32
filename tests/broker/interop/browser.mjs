// A real browser (Debian's Chromium, headless) that does what it is told, one JSON line each: ["verb", ...arguments] in, {"ok": …} or
// {"error": …} out. Passkeys are those of Chromium's own virtual authenticator (WebDriver, WebAuthn section 11).
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

import { take } from './packages.mjs';

const { default: puppeteer } = await take('puppeteer-core');
const require = createRequire(`${process.env.CARNET_NODE_PACKAGES}/`);
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  // Nothing but this machine can be reached; the sandbox needs what containers do not give.
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--lang=en-GB',
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1'],
});
const page = await browser.newPage();
page.setDefaultTimeout(15_000);
const devtools = await page.createCDPSession();

// What a page must never do: run what is not ours, or complain about it.
const seen = [];
let status = 0;
page.on('dialog', (dialog) => { seen.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
page.on('pageerror', (error) => seen.push(`script: ${error.message}`));
page.on('console', (line) => {
  // A page that says no has a status of its own, which Chromium notes; and no page of ours has an icon.
  if (line.type() === 'error' && !line.text().startsWith('Failed to load resource')) seen.push(line.text());
});
page.on('response', (response) => {
  if (response.request().isNavigationRequest() && response.frame() === page.mainFrame()) status = response.status();
});

let authenticator;
let others;
const leads = async (act) => {
  await Promise.all([page.waitForNavigation({ waitUntil: 'load' }), act()]);
  return status;
};

const verbs = {
  goto: async (url) => { await page.goto(url, { waitUntil: 'load' }); return status; },
  // A click that leads to another page; its status.
  follow: (selector) => leads(() => page.click(selector)),
  click: (selector) => page.click(selector),
  fill: async (selector, text) => {
    await page.$eval(selector, (field) => { field.value = ''; });
    await page.type(selector, text);
  },
  press: (key) => page.keyboard.press(key),
  type: (text) => page.keyboard.type(text),
  enter: (key) => leads(() => page.keyboard.press(key)),
  focused: () => page.evaluate(() => {
    const { tagName, name, value, textContent } = document.activeElement;
    return `${tagName} ${name ?? ''} ${value || textContent.trim()}`;
  }),
  text: () => page.evaluate(() => document.body.innerText),
  html: () => page.content(),
  url: () => page.url(),
  value: (selector) => page.$eval(selector, (field) => field.value),
  set: (selector, value) => page.$eval(selector, (field, text) => { field.value = text; }, value),
  // What describes a field that is marked as wrong.
  describes: (selector) => page.$eval(selector, (field) => (field.getAttribute('aria-invalid') === 'true'
    ? document.getElementById(field.getAttribute('aria-describedby')).textContent : null)),
  buttons: () => page.$$eval('button', (all) => all.map(({ textContent }) => textContent.trim())),
  checked: () => page.$$eval('input[type=checkbox]:checked', (fields) => fields.map(({ value }) => value)),
  attribute: (selector, name, value) => page.$eval(selector, (element, of, text) => element.setAttribute(of, text), name, value),
  // Sends a form elsewhere, with another version.
  retarget: (selector, action, version) => page.$eval(selector, (form, to, seen) => {
    form.action = to;
    form.elements.version.value = seen;
  }, action, version),
  await: (selector) => page.waitForSelector(selector).then(() => null),
  cookies: async () => (await browser.cookies()).map(({ name, value, httpOnly, sameSite }) => ({ name, value, httpOnly, sameSite })),
  forget: async () => { for (const cookie of await browser.cookies()) await browser.deleteCookie(cookie); },
  seen: () => seen.splice(0),
  axe: async () => {
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => window.axe.run());
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
  },
  authenticator: async () => {
    await devtools.send('WebAuthn.enable');
    const options = {
      protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true,
      automaticPresenceSimulation: true,
    };
    ({ authenticatorId: authenticator } = await devtools.send('WebAuthn.addVirtualAuthenticator', { options }));
  },
  verified: (isUserVerified) => devtools.send('WebAuthn.setUserVerified', { authenticatorId: authenticator, isUserVerified }),
  remove: () => devtools.send('WebAuthn.removeVirtualAuthenticator', { authenticatorId: authenticator }),
  // Another authenticator with the same keys, as if it had been copied when it was new.
  copy: async () => {
    const { credentials } = await devtools.send('WebAuthn.getCredentials', { authenticatorId: authenticator });
    await devtools.send('WebAuthn.removeVirtualAuthenticator', { authenticatorId: authenticator });
    await verbs.authenticator();
    for (const credential of credentials) {
      await devtools.send('WebAuthn.addCredential', { authenticatorId: authenticator, credential: { ...credential, signCount: 1 } });
    }
  },
  credentials: async () => (await devtools.send('WebAuthn.getCredentials', { authenticatorId: authenticator })).credentials.length,
  // A page of another site (another host than the console's), which does what its author likes.
  elsewhere: async (html) => {
    others?.close();
    others = createServer((_, response) => response.setHeader('content-type', 'text/html').end(html));
    await new Promise((resolve) => others.listen(0, '127.0.0.1', resolve));
    await page.goto(`http://127.0.0.1:${others.address().port}/`, { waitUntil: 'load' });
  },
};

console.log('ready');
for await (const line of createInterface({ input: process.stdin })) {
  const [verb, ...rest] = JSON.parse(line);
  let answer;
  try {
    answer = { ok: await verbs[verb](...rest) ?? null };
  } catch (error) {
    answer = { error: `${verb} ${rest.join(' ')}: ${error.message} at ${page.url()}` };
  }
  console.log(JSON.stringify(answer));
}
await browser.close();
process.exit(0);
