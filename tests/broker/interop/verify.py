"""Verifies tokens of ours with PyJWT, knowing nothing but the issuer's name and what an API knows of itself.

    verify.py ISSUER     one {"token", "audience", "typ", "alg"} per line in, one {"claims"} or {"refused"} per line out;
                         "jwks" in a line names another key set than discovery does
"""

import json
import sys
import urllib.request

import jwt

issuer = sys.argv[1]
with urllib.request.urlopen(f"{issuer}/.well-known/openid-configuration", timeout=10) as answer:
    metadata = json.load(answer)
assert metadata["issuer"] == issuer, metadata["issuer"]
discovered = jwt.PyJWKClient(metadata["jwks_uri"])

for line in sys.stdin:
    ask = json.loads(line)
    keys = jwt.PyJWKClient(ask["jwks"]) if "jwks" in ask else discovered
    try:
        key = keys.get_signing_key_from_jwt(ask["token"])
        whole = jwt.decode_complete(
            ask["token"],
            key,
            algorithms=[ask["alg"]],
            issuer=issuer,
            audience=ask["audience"],
            options={"require": ["iss", "sub", "aud", "exp", "iat", "jti", "client_id"]},
        )
        # PyJWT does not look at the type: an API that forgets this takes any JWT of its issuer for an access token.
        if whole["header"].get("typ") != ask["typ"]:
            raise jwt.InvalidTokenError("another type")
        print(json.dumps({"claims": whole["payload"]}), flush=True)
    except jwt.PyJWTError as fault:
        print(json.dumps({"refused": type(fault).__name__}), flush=True)
