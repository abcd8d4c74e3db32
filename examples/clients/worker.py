#!/usr/bin/env python3
"""A worker that needs more than it has, once: it asks for an elevation with its own proof, waits until somebody has decided, and goes on.

    CARNET_ISSUER=https://sts.acme.example/production CARNET_API=orders-api CARNET_SCOPE=orders:write CARNET_FOR=15m \\
    CARNET_REASON="order 1001 hangs" CARNET_TICKET=INC-7 CARNET_ASSERTION_FILE=/var/run/secrets/carnet/token \\
        worker.py PATCH https://orders.acme.example/v1/orders/1001/status

Standard library only. Nobody has to be signed in beside it. Ends with 3 where somebody said no, with 7 where nobody answered.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

TIMEOUT = 10  # seconds
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT = "urn:ietf:params:oauth:token-type:jwt"


def send(request):
    """Status, headers and JSON of an answer, whatever it says."""
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            return answer.status, answer.headers, json.load(answer)
    except urllib.error.HTTPError as refusal:
        text = refusal.read()
        return refusal.code, refusal.headers, json.loads(text) if text[:1] == b"{" else {}


def proof():
    # Read anew each time: an assertion is good for one request, and the platform replaces the file.
    with open(os.environ["CARNET_ASSERTION_FILE"], encoding="ascii") as file:
        return file.read().strip()


def exchange(issuer):
    """A token with the scope, or the reason why there is none."""
    form = {"grant_type": EXCHANGE, "subject_token": proof(), "subject_token_type": JWT,
            "audience": os.environ["CARNET_API"], "scope": os.environ["CARNET_SCOPE"]}
    status, _, told = send(urllib.request.Request(f"{issuer}/token", urllib.parse.urlencode(form).encode()))
    return (told["access_token"], None) if status == 200 else (None, told.get("reason", told.get("error")))


def elevate(issuer):
    """Asks, and waits for people. Returns once the scope may be had."""
    wish = {"api": os.environ["CARNET_API"], "scopes": os.environ["CARNET_SCOPE"].split(),
            "duration": os.environ["CARNET_FOR"], "reason": os.environ["CARNET_REASON"]}
    if os.environ.get("CARNET_TICKET"):
        wish["ticket"] = os.environ["CARNET_TICKET"]
    headers = {"Authorization": f"Bearer {proof()}", "Content-Type": "application/json"}
    status, headers, told = send(urllib.request.Request(f"{issuer}/elevations", json.dumps(wish).encode(), headers))
    if status != 202:
        sys.exit(f"refused: {status} {json.dumps(told)}")
    print(f"asked: {told['id']}, waiting for an approval", file=sys.stderr)
    mine = {"Authorization": f"Bearer {told['pollToken']}"}
    while told["state"] in ("pending", "approved"):
        time.sleep(float(headers.get("Retry-After", 2)))
        status, headers, told = send(urllib.request.Request(f"{issuer}/elevations/{told['id']}", headers=mine))
        if status != 200:
            sys.exit(f"refused: {status} {json.dumps(told)}")
    if told["state"] != "active":
        print(f"the elevation is {told['state']}", file=sys.stderr)
        sys.exit(7 if told["state"] == "expired" else 3)


def main():
    method, url = sys.argv[1:3]
    issuer = os.environ["CARNET_ISSUER"]
    token, reason = exchange(issuer)
    if reason == "scope.needs-elevation":
        elevate(issuer)
        token, reason = exchange(issuer)
    if not token:
        sys.exit(f"refused: {reason}")
    status, _, told = send(urllib.request.Request(url, method=method, headers={"Authorization": f"Bearer {token}"}))
    print(json.dumps({"status": status, "answer": told}))
    return 0 if status < 300 else 1


if __name__ == "__main__":
    sys.exit(main())
