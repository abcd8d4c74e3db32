"""A mail server: listens on sys.argv[1], writes each mail that it takes to the file sys.argv[2], and does as the JSON in sys.argv[3] says.

tls: none, implicit or starttls, with cert and key; auth: [user, password]; refuse: its answer to every mail.
"""

import asyncio
import json
import logging
import ssl
import sys
import warnings

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

# It warns of a password without TLS, which is what a test asks for.
warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

port, log, wanted = int(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
mode = wanted.get("tls", "none")
context = None
if mode != "none":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(wanted["cert"], wanted["key"])


def write(line):
    with open(log, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def authenticate(server, session, envelope, mechanism, data):
    known = wanted.get("auth", [])
    given = [data.login.decode(), data.password.decode()] if isinstance(data, LoginPassword) else []
    if given == known:
        return AuthResult(success=True, auth_data=given[0])
    write({"wrong": given})
    return AuthResult(success=False, handled=False)


class Handler:
    async def handle_DATA(self, server, session, envelope):
        if "refuse" in wanted:
            return wanted["refuse"]
        secured = server.transport.get_extra_info("ssl_object") is not None
        content = envelope.original_content.decode("ascii")
        write({"from": envelope.mail_from, "to": envelope.rcpt_tos, "tls": secured, "user": session.auth_data, "mail": content})
        return "250 taken"


def protocol():
    starttls = mode == "starttls"
    return SMTP(
        Handler(),
        tls_context=context if starttls else None,
        require_starttls=starttls,
        authenticator=authenticate,
        auth_required="auth" in wanted,
        auth_require_tls=starttls,
    )


async def serve():
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", port, ssl=context if mode == "implicit" else None)
    print("listening", flush=True)
    await server.serve_forever()


asyncio.run(serve())
