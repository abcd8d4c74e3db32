"""Changes each byte of a bundle, and sees that examples/verify_dossier.py refuses every one: as it is, and put into a sound archive again.

    dossier.py VKEY FILE.zip    prints how many bytes it changed
"""

import importlib.util
import json
import pathlib
import sys

place = pathlib.Path(__file__).parents[3] / "examples" / "verify_dossier.py"
spec = importlib.util.spec_from_file_location("verify_dossier", place)
dossier = importlib.util.module_from_spec(spec)
spec.loader.exec_module(dossier)

key = dossier.Key(sys.argv[1])
bundle = pathlib.Path(sys.argv[2]).read_bytes()
dossier.verify(bundle, key)
files, stamp = dossier.read_archive(bundle)
assert dossier.archive_of(files, stamp) == bundle


def bent(content):
    for at in range(len(content)):
        yield at, content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def refused(data, where, names):
    try:
        dossier.verify(data, key)
    except dossier.Fault as fault:
        assert names is None or fault.name in names, (where, fault)
        return 1
    raise AssertionError(f"{where} holds")


counted = {"bytes": 0, "remade": 0}
for at, data in bent(bundle):
    counted["bytes"] += refused(data, at, None)
for name in sorted(set(files) - {"README.html"}):
    # A checkpoint is in every proof too, so another one may be told by any of them.
    is_alone = not name.endswith(".proof") and name not in ("journal/closing.json", "journal/checkpoint")
    for at, content in bent(files[name]):
        data = dossier.archive_of({**files, name: content}, stamp)
        counted["remade"] += refused(data, (name, at), [name] if is_alone else None)
print(json.dumps(counted))
