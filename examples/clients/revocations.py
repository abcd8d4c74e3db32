"""What an API reads of Carnet's revocations: the live index in Redis, without asking the broker.

    pip install redis

    index = Index("redis://127.0.0.1:6379/0")
    index.is_cut(header, claims)      # of a token whose signature, issuer, audience and life were checked before
"""

import time

import redis

STALE_AFTER = 5  # seconds; a live node renews the marker every second


class Unknown(ConnectionError):
    """The index does not say. Whoever lets a token in now lets revoked ones in whenever Redis is down."""


class Index:
    """The index. The keys of an environment share a hash tag, so that they are always on one node of a cluster."""

    def __init__(self, url: str):
        self.redis = redis.Redis.from_url(url, decode_responses=True, socket_timeout=0.5, socket_connect_timeout=1)

    def is_cut(self, header: dict, claims: dict) -> bool:
        prefix = f"carnet:{{{claims['env']}}}"
        pipe = self.redis.pipeline(transaction=True)
        pipe.hget(f"{prefix}:complete", "time")
        pipe.zscore(f"{prefix}:revoked", claims["jti"])
        pipe.zmscore(f"{prefix}:before", members(header, claims))
        try:
            marker, revoked, before = pipe.execute()
        except redis.RedisError as fault:
            raise Unknown(str(fault)) from None
        if marker is None or abs(time.time() - int(marker)) > STALE_AFTER:
            raise Unknown("the marker is missing, old, or from the future")
        return revoked is not None or any(line is not None and claims["entry"] < line for line in before)


def members(header: dict, claims: dict) -> list[str]:
    """Everything that a line can cut this token by, as far as the token itself tells."""
    client, environment = claims["client_id"], claims["env"]
    details = claims.get("authorization_details", [])
    elevations = [f"elevation:{detail['id']}" for detail in details if detail["type"] == "jit_elevation"]
    return elevations + [
        f"partner:{client.partition('/')[0]}",
        f"integration:{client}",
        f"integration:{client}/{environment}",
        f"binding:{client}/{environment}/{claims['binding']}",
        f"environment:{environment}",
        f"key:{environment}/{header['kid']}",
    ]
