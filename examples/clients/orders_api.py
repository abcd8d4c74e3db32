#!/usr/bin/env python3
"""An internal API in Python that takes Carnet's tokens: PyJWT verifies them offline, by the issuer's JWKS.

    pip install 'pyjwt[crypto]'
    CARNET_ISSUER=https://sts.acme.example/production CARNET_AUDIENCE=https://orders.acme.example  orders_api.py [PORT]

What it checks, and who gets in if one check is left out:
  signature, alg   anybody who can write JSON
  iss              a sandbox token in production
  aud              a token that a partner got for another API, replayed by that API
  typ              any other kind of JWT that the issuer signs (PyJWT does not look: check it yourself)
  exp, iat         whoever finds an old log
  scope            a caller that may read, writing
  endpoints        a caller whose contract names three routes, on the fourth
  revocation       a partner whom security has just cut off, for the minutes that the token lives. Only with CARNET_REDIS, see
                   revocations.py; who has no Redis in reach asks `POST ISSUER/introspect`
"""

import json
import os
import re
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt

ORDERS = {"1001": "shipped"}
# What each route asks for. A route that is not here does not exist.
ROUTES = {
    "GET /v1/orders": "orders:read",
    "GET /v1/orders/{id}": "orders:read",
    "PATCH /v1/orders/{id}/status": "orders:write",
}


class Refused(Exception):
    """Status and challenge of RFC 6750 section 3."""

    def __init__(self, status: int, challenge: str):
        super().__init__(challenge)
        self.status, self.challenge = status, challenge


class Verifier:
    """Who is calling? Make one per process: it keeps the issuer's keys for five minutes."""

    def __init__(self, issuer: str, audience: str, revocations=None):
        with urllib.request.urlopen(f"{issuer}/.well-known/oauth-authorization-server", timeout=10) as answer:
            metadata = json.load(answer)
        if metadata["issuer"] != issuer:
            raise SystemExit(f"metadata of {metadata['issuer']}, wanted {issuer}")
        self.issuer, self.audience = issuer, audience
        self.keys = jwt.PyJWKClient(metadata["jwks_uri"], lifespan=300, timeout=10)
        self.revocations = revocations

    def claims(self, authorization: str | None) -> dict:
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refused(401, "Bearer")
        try:
            verified = jwt.decode_complete(
                token,
                self.keys.get_signing_key_from_jwt(token),
                algorithms=["ES256"],
                issuer=self.issuer,
                audience=self.audience,
                leeway=30,
                options={"require": ["iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope"]},
            )
        except jwt.PyJWKClientConnectionError:
            raise Refused(503, "") from None
        except jwt.PyJWTError:
            raise Refused(401, 'Bearer error="invalid_token"') from None
        header, claims = verified["header"], verified["payload"]
        # A token with cnf is bound to a key whose proof this API does not ask for.
        if header.get("typ") != "at+jwt" or "cnf" in claims:
            raise Refused(401, 'Bearer error="invalid_token"')
        try:
            if self.revocations and self.revocations.is_cut(header, claims):
                raise Refused(401, 'Bearer error="invalid_token"')
        except ConnectionError:  # the index does not know: not letting anybody in is the only safe answer
            raise Refused(503, "") from None
        return claims


def permit(claims: dict, scope: str, method: str, path: str, audience: str) -> None:
    """Scope, and the endpoint conditions where the token carries some. A detail of an unknown type changes nothing here."""
    if scope not in claims["scope"].split(" "):
        raise Refused(403, f'Bearer error="insufficient_scope", scope="{scope}"')
    details = [detail for detail in claims.get("authorization_details", []) if detail["type"] == "endpoints"]
    actions = [action for detail in details if audience in detail["locations"] for action in detail["actions"]]
    if details and not any(covers(action, method, path) for action in actions):
        raise Refused(403, f'Bearer error="insufficient_scope", scope="{scope}"')


def covers(action: str, method: str, path: str) -> bool:
    """`GET /v1/orders/{id}` covers GET of one more segment, whatever it is."""
    wanted, _, template = action.partition(" ")
    pattern = "/".join("[^/]+" if re.fullmatch(r"\{\w+\}", part) else re.escape(part) for part in template.split("/"))
    return wanted == method and re.fullmatch(pattern, path) is not None


class Orders(BaseHTTPRequestHandler):
    verifier: Verifier

    def do_GET(self):
        self.answer()

    def do_PATCH(self):
        self.answer()

    def answer(self):
        path = self.path.partition("?")[0]
        scope = next((scope for endpoint, scope in ROUTES.items() if covers(endpoint, self.command, path)), None)
        if scope is None:
            return self.respond(404, {})
        try:
            claims = self.verifier.claims(self.headers.get("Authorization"))
            permit(claims, scope, self.command, path, self.verifier.audience)
        except Refused as refusal:
            return self.respond(refusal.status, {}, refusal.challenge)
        return self.respond(200, {"orders": ORDERS, "client": claims["client_id"]})

    def respond(self, status: int, body: dict, challenge: str = ""):
        self.send_response(status)
        if challenge:
            self.send_header("WWW-Authenticate", challenge)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_):
        """Says nothing: the default writes request lines, and some callers put tokens there."""


def main():
    revocations = None
    if "CARNET_REDIS" in os.environ:
        from revocations import Index

        revocations = Index(os.environ["CARNET_REDIS"])
    Orders.verifier = Verifier(os.environ["CARNET_ISSUER"], os.environ["CARNET_AUDIENCE"], revocations)
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8080), Orders)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
