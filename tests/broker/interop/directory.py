"""Asks a SCIM server, at sys.argv[1], all that scim2-tester knows to ask; the bearer token comes from stdin. Prints what it found, as JSON."""

import json
import sys

from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import check_server

token = sys.stdin.read().strip()
client = Client(base_url=sys.argv[1], headers={"Authorization": f"Bearer {token}"}, trust_env=False)
found = check_server(SyncSCIMClient(client))
print(json.dumps([{"status": one.status.name, "title": one.title, "reason": str(one.reason)} for one in found]))
