#!/usr/bin/env python3
"""A partner's workload in Python, standard library only: exchanges its platform's JWT for a token (RFC 8693) and calls an API.

    CARNET_ISSUER=https://sts.acme.example/production CARNET_API=orders-api CARNET_SCOPE=orders:read \\
    CARNET_ASSERTION_FILE=/var/run/secrets/carnet/token  workload.py https://orders.acme.example/v1/orders
"""

import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

TIMEOUT = 10  # seconds


class Refused(Exception):
    """The broker said no, and why: `reason` has a page (`carnet explain REASON`), `request_id` finds the decision."""


class Broker:
    """Tokens for one API. Keeps the token it has until shortly before its end: one exchange serves many calls."""

    def __init__(self, issuer: str, api: str, scope: str, assertion_file: str):
        with urllib.request.urlopen(f"{issuer}/.well-known/oauth-authorization-server", timeout=TIMEOUT) as answer:
            metadata = json.load(answer)
        # RFC 8414 section 3.3: a document that speaks for another issuer is somebody else's.
        if metadata["issuer"] != issuer:
            raise Refused(f"metadata of {metadata['issuer']}, wanted {issuer}")
        self.endpoint = metadata["token_endpoint"]
        self.api, self.scope, self.assertion_file = api, scope, assertion_file
        self.kept, self.until = "", 0.0

    def token(self) -> str:
        if time.monotonic() < self.until:
            return self.kept
        # Read anew each time: the platform replaces the file before the assertion in it expires.
        with open(self.assertion_file, encoding="ascii") as file:
            assertion = file.read().strip()
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": assertion,
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "audience": self.api,
            "scope": self.scope,
        }
        asked = time.monotonic()
        request = urllib.request.Request(self.endpoint, urllib.parse.urlencode(form).encode())
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
                told = json.load(answer)
        except urllib.error.HTTPError as refusal:
            raise Refused(f"{refusal.code} {refusal.read().decode()}") from None
        self.kept, self.until = told["access_token"], asked + told["expires_in"] - 30
        return self.kept

    def forget(self) -> None:
        self.until = 0.0


def call(broker: Broker, url: str) -> str:
    """GET `url`. After a 401 the kept token is not used again: it may have been revoked."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {broker.token()}"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as refusal:
        if refusal.code == 401:
            broker.forget()
        raise


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: workload.py URL", file=sys.stderr)
        return 2
    try:
        broker = Broker(*(os.environ[f"CARNET_{name}"] for name in ("ISSUER", "API", "SCOPE", "ASSERTION_FILE")))
        print(call(broker, sys.argv[1]))
    except KeyError as missing:
        print(f"{missing.args[0]} is not set", file=sys.stderr)
        return 2
    except Refused as refusal:
        print(f"refused: {refusal}", file=sys.stderr)
        return 3
    except OSError as fault:  # urllib's errors are OSErrors
        print(f"failed: {fault}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
