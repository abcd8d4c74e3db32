"""Prints the JSON Schema of each OCSF class that is named in sys.argv[2:], by its number, for the version sys.argv[1]."""

import json
import sys

from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(sys.argv[1]))
names = {uid: schema.lookup_class_name_from_uid(int(uid)) for uid in sys.argv[2:]}
print(json.dumps({uid: schema.get_class_schema(name) for uid, name in names.items()}))
