#!/usr/bin/env python3
"""Verifies evidence bundles of Carnet (a dossier of an offboarding) with a verifier key, and nothing else.

    verify_dossier.py --key VKEY FILE.zip...

Needs Python 3.11 and the package `cryptography`. It shares no code with Carnet: docs/reference/bundle.md has the form.
One line for each file; exit 0 if all hold, 1 if one does not, 2 if it was used wrongly.

What is believed, in this order: the key verifies the checkpoint (C2SP signed note); the checkpoint proves the closing entry (RFC 6962); the
closing entry has the SHA-256 of manifest.json; that has the SHA-256 of each file, and each journal entry is proved in the checkpoint too.
"""

import argparse
import base64
import binascii
import hashlib
import json
import re
import struct
import sys
import time
import zlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MOST_BYTES = 64 << 20
MOST_FILES = 10_000
MANIFEST, TEXTS, README = "manifest.json", "texts.json", "README.html"
CLOSING, CHECKPOINT, SUCCESSIONS = "journal/closing.json", "journal/checkpoint", "journal/successions.json"
HEX = re.compile(r"[0-9a-f]{64}")
TEXT = re.compile(rb"text:([0-9a-f]{64})")


class Fault(Exception):
    """The first thing that does not hold: a file, and what is wrong with it."""

    def __init__(self, name, what):
        super().__init__(f"{ascii(name)[1:-1] or 'a file'}: {what}")
        self.name = name


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def utf8(name, content):
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise Fault(name, "it is not text") from None


def from_base64(text):
    """Padded base64 in its one spelling; None if it is another."""
    try:
        blob = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return blob if base64.b64encode(blob).decode() == text else None


def number(text):
    """A decimal number of 64 bits in its one spelling; None if it is another."""
    if not re.fullmatch(r"0|[1-9][0-9]{0,19}", text) or int(text) >= 1 << 64:
        return None
    return int(text)


# JSON


def once(pairs):
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is there twice")
    return members


def never(word):
    raise ValueError(f"{word} is no JSON")


def parsed(name, content):
    try:
        return json.loads(utf8(name, content), object_pairs_hook=once, parse_constant=never)
    except (ValueError, RecursionError) as error:
        raise Fault(name, f"it is not JSON: {error}") from None


def canonical(value):
    """The one spelling of a JSON value: no spaces, members by name, UTF-8. Nothing has it that is no text (a lone surrogate)."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode("utf-8", "replace")


# The archive


def check_names(names):
    lower = {}
    for name in names:
        parts = name.split("/")
        if not 0 < len(name) <= 200:
            raise Fault(name, "its name is empty or longer than 200 characters")
        if "\\" in name or name.startswith("/") or ".." in parts:
            raise Fault(name, "its name leads out of its folder (.., / or \\)")
        if not re.fullmatch(r"[A-Za-z0-9._/-]+", name) or any(not p or p[0] == "." or p[-1] == "." for p in parts):
            raise Fault(name, "its name is not one of a bundle")
        if name.lower() in lower:
            raise Fault(name, "another name differs from its own in upper and lower case alone")
        lower[name.lower()] = name
    for name in names:
        parts = name.lower().split("/")
        if any("/".join(parts[:at]) in lower for at in range(1, len(parts))):
            raise Fault(name, "a folder of its name is a file")


def archive_of(files, stamp):
    """The one archive of these files: stored, by name, one time for all, nothing else."""
    body, rows = bytearray(), bytearray()
    for name, content in sorted(files.items()):
        crc, size = zlib.crc32(content), len(content)
        facts = struct.pack("<HHHIIIIHH", 10, 0, 0, stamp, crc, size, size, len(name), 0)
        rows += b"PK\x01\x02" + struct.pack("<H", 10) + facts + bytes(10) + struct.pack("<I", len(body)) + name.encode()
        body += b"PK\x03\x04" + facts + name.encode() + content
    end = struct.pack("<HHHHIIH", 0, 0, len(files), len(files), len(rows), len(body), 0)
    return bytes(body + rows + b"PK\x05\x06" + end)


def read_archive(data):
    """The files of an archive and their time. The archive must be byte for byte the one that these files make."""
    if len(data) > MOST_BYTES:
        raise Fault("the archive", "it is longer than 64 MiB")
    files, stamp, at, last = {}, None, 0, ""
    while data[at : at + 4] == b"PK\x03\x04":
        if len(files) == MOST_FILES:
            raise Fault("the archive", "it has more than 10000 files")
        if len(data) < at + 30:
            raise Fault("the archive", "it is cut off")
        fields = struct.unpack_from("<HHHIIIIHH", data, at + 4)
        version, flags, method, when, crc, packed, size, named, extra = fields
        raw = data[at + 30 : at + 30 + named]
        if len(raw) != named:
            raise Fault("the archive", "it is cut off")
        name = utf8("a name in the archive", raw)
        if method:
            raise Fault(name, "it is compressed, and a bundle stores its files as they are")
        if flags or version != 10 or extra or packed != size:
            raise Fault(name, "its header is not one of a bundle (flags, version, extra fields or lengths)")
        begins = at + 30 + named
        content = data[begins : begins + size]
        if len(content) != size:
            raise Fault(name, "it is cut off, or its header says a wrong length")
        if zlib.crc32(content) != crc:
            raise Fault(name, "it is not the file that was put in: its checksum (CRC-32) is another one")
        if name in files:
            raise Fault(name, "it is there twice")
        if name < last:
            raise Fault(name, "it does not stand in the order of names")
        if stamp is not None and stamp != when:
            raise Fault(name, "it has another time than the first file")
        files[name], stamp, at, last = content, when, begins + size, name
    if not files:
        raise Fault("the archive", "this is not a bundle: expected a ZIP archive, and a file at its very beginning")
    check_names(files)
    wanted = archive_of(files, stamp)
    if data != wanted:
        if data.startswith(wanted):
            raise Fault("the archive", f"{len(data) - len(wanted)} bytes stand behind its end")
        raise Fault("the archive", "the central directory, at its end, is not that of the files before it")
    return files, stamp


def stamp_of(seconds):
    """The time of the files of an archive: MS-DOS, in two seconds, of UTC."""
    at = time.gmtime(max(seconds, 315_532_800))
    if at.tm_year > 2107:
        return 0xFF9F_BF7D
    date = (at.tm_year - 1980) << 9 | at.tm_mon << 5 | at.tm_mday
    return date << 16 | at.tm_hour << 11 | at.tm_min << 5 | at.tm_sec // 2


# Keys, notes and the tree


class Key:
    """A verifier key: NAME+ID+KEY (C2SP signed-note, Ed25519)."""

    def __init__(self, text):
        parts = text.split("+", 2)
        blob = from_base64(parts[2]) if len(parts) == 3 else None
        if not parts[0] or re.search(r"[\s\x00-\x1f\x7f]", parts[0]) or blob is None or len(blob) != 33 or blob[0] != 1:
            raise ValueError("not a verifier key: expected NAME+ID+KEY")
        self.name, self.text = parts[0], text
        self.id = sha256(self.name.encode(), b"\n", blob)[:4]
        if parts[1] != self.id.hex():
            raise ValueError("not a verifier key: its id is not that of its name and key")
        self.public = Ed25519PublicKey.from_public_bytes(blob[1:])

    def signed(self, note):
        """The text of a note if this key signed it; None if it did not. A wrong signature is a fault."""
        text, gap, lines = note.rpartition("\n\n")
        if not gap or not lines.endswith("\n"):
            raise ValueError("it is not a signed note")
        text, found = text + "\n", False
        for line in lines[:-1].split("\n"):
            match = re.fullmatch(r"\u2014 ([^\s+]+) (\S+)", line)
            blob = from_base64(match[2]) if match else None
            if blob is None or len(blob) < 5:
                raise ValueError("it is not a signed note")
            if match[1] != self.name or blob[:4] != self.id:
                continue
            try:
                self.public.verify(blob[4:], text.encode())
            except InvalidSignature:
                raise ValueError("a signature of the key is wrong") from None
            found = True
        return text if found else None


def statement(text):
    """The two keys of a succession: the old key names the new one, and both sign it."""
    lines = text.split("\n")
    if len(lines) < 3 or not lines[1].startswith("checkpoint key ") or not lines[2].startswith("succeeded by "):
        raise ValueError("it is not a statement of a succession")
    old, new = Key(lines[1][15:]), Key(lines[2][13:])
    wanted = f"{old.name}\ncheckpoint key {old.text}\nsucceeded by {new.text}\n"
    if old.name != new.name or old.text == new.text or old.signed(text) != wanted or new.signed(text) != wanted:
        raise ValueError("a statement is not signed by both keys that it names")
    return old, new


def root_of(leaf, index, size, path):
    """The root to which an inclusion path leads (RFC 9162 section 2.1.3.2); None if it is too long or too short."""
    if index >= size:
        return None
    node, last, root = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if node & 1 or node == last:
            root = sha256(b"\x01", sibling, root)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            root = sha256(b"\x01", root, sibling)
        node, last = node >> 1, last >> 1
    return root if last == 0 else None


# The bundle


def content(files, name):
    if name not in files:
        raise Fault(name, "it is missing")
    return files[name]


def read_checkpoint(files, key):
    """Size and root of the checkpoint, once `key` or a key that it leads to was found to have signed it."""
    keys = [key]
    if SUCCESSIONS in files:
        statements = parsed(SUCCESSIONS, files[SUCCESSIONS])
        is_list = isinstance(statements, list) and statements and all(isinstance(one, str) for one in statements)
        if not is_list or canonical(statements) != files[SUCCESSIONS]:
            raise Fault(SUCCESSIONS, "it is not written as a bundle writes it")
        for one in statements:
            try:
                old, new = statement(one)
            except ValueError as error:
                raise Fault(SUCCESSIONS, str(error)) from None
            if old.text == keys[-1].text:
                keys.append(new)
    note = utf8(CHECKPOINT, content(files, CHECKPOINT))
    try:
        text = next(filter(None, (one.signed(note) for one in keys)), None)
    except ValueError as error:
        raise Fault(CHECKPOINT, str(error)) from None
    if text is None:
        raise Fault(CHECKPOINT, "the key did not sign it, nor one that the bundle leads to from it")
    lines = text.split("\n")
    size = number(lines[1]) if len(lines) == 4 else None
    root = from_base64(lines[2]) if len(lines) == 4 else None
    if not size or root is None or len(root) != 32 or note.count("\n") != 5:
        raise Fault(CHECKPOINT, "it is not a checkpoint with one signature")
    if lines[0] != key.name:
        raise Fault(CHECKPOINT, f"it is of the log {lines[0]!a}, and the key of {key.name!a}")
    return note, size, root


def prove(files, name, index, checkpoint):
    """Proves that a file is the entry `index` of the log, by its proof (C2SP tlog-proof)."""
    note, size, root = checkpoint
    place = f"journal/{index}.proof"
    head, gap, rest = utf8(place, content(files, place)).partition("\n\n")
    lines = head.split("\n")
    path = [from_base64(line) for line in lines[2:]]
    is_form = lines[0] == "c2sp.org/tlog-proof@v1" and len(lines) > 1 and lines[1] == f"index {index}" and gap
    if not is_form or any(one is None or len(one) != 32 for one in path) or rest != note:
        raise Fault(place, "it is not a proof of this entry in journal/checkpoint")
    if root_of(sha256(b"\x00", content(files, name)), index, size, path) != root:
        raise Fault(name, f"it is not entry {index} of the log, or {place} is not its proof")


def read_closing(files, index):
    closing = parsed(CLOSING, files[CLOSING])
    is_closing = (
        isinstance(closing, dict)
        and closing.get("index") == index
        and isinstance(closing.get("kind"), str)
        and type(closing.get("time")) is int
        and 0 <= closing["time"] <= 253_402_207_200
        and isinstance(closing.get("manifest"), str)
        and HEX.fullmatch(closing["manifest"])
    )
    if not is_closing:
        raise Fault(CLOSING, "it closes no bundle: it has no digest of a manifest")
    return closing


def read_manifest(files, closing):
    text = content(files, MANIFEST)
    found, wanted = sha256(text).hex(), closing["manifest"]
    if found != wanted:
        raise Fault(MANIFEST, f"its SHA-256 is {found}, and entry {closing['index']} has {wanted}")
    manifest = parsed(MANIFEST, text)
    is_form = isinstance(manifest, dict) and set(manifest) == {"bundle", "files"} and isinstance(manifest["files"], dict)
    if not is_form or canonical(manifest) != text or not text.startswith(b'{"bundle":1,'):
        raise Fault(MANIFEST, "it is not written as a bundle writes it")
    return manifest["files"]


def read_texts(files, named):
    """The number of plain texts, each proved by its digest; None if they are left out."""
    if TEXTS not in files:
        return None
    texts = parsed(TEXTS, files[TEXTS])
    if not isinstance(texts, dict) or canonical(texts) != files[TEXTS]:
        raise Fault(TEXTS, "it is not written as a bundle writes it")
    for name, said in texts.items():
        is_form = isinstance(said, dict) and set(said) == {"salt", "text"} and all(isinstance(v, str) for v in said.values())
        if not is_form or not re.fullmatch(r"[0-9a-f]{32}", said["salt"]):
            raise Fault(TEXTS, f"{name} has no salt and text")
        if name != "text:" + sha256(bytes.fromhex(said["salt"]), said["text"].encode()).hex():
            raise Fault(TEXTS, f"salt and text of {name} do not have this digest")
        if name not in named:
            raise Fault(TEXTS, f"no file of the bundle names {name}")
    return len(texts)


def verify(data, key):
    """Proves a bundle. Raises Fault with the first file that does not hold; returns what was found."""
    files, stamp = read_archive(data)
    checkpoint = read_checkpoint(files, key)
    index = checkpoint[1] - 1
    prove(files, CLOSING, index, checkpoint) if CLOSING in files else content(files, CLOSING)
    closing = read_closing(files, index)
    manifest = read_manifest(files, closing)
    known = {MANIFEST, CLOSING, CHECKPOINT, SUCCESSIONS, TEXTS, README, f"journal/{index}.proof"}
    entries = 0
    for name, wanted in sorted(manifest.items()):
        found = sha256(content(files, name)).hex()
        if found != wanted:
            raise Fault(name, f"its SHA-256 is {found}, and the manifest has {wanted}")
        if name.startswith("journal/"):
            match = re.fullmatch(r"journal/([0-9]+)\.json", name)
            entry = number(match[1]) if match else None
            if entry is None or entry >= index:
                raise Fault(name, "its name is not that of an entry before the closing one")
            prove(files, name, entry, checkpoint)
            known.add(f"journal/{entry}.proof")
            entries += 1
        elif name in (MANIFEST, TEXTS, README):
            raise Fault(name, "the manifest has a file that a bundle makes itself")
    for name in files:
        if name not in manifest and name not in known:
            raise Fault(name, "the manifest does not have it")
    named = set()
    for name in [*manifest, CLOSING]:
        try:
            files[name].decode("utf-8")
        except UnicodeDecodeError:
            continue
        named |= {"text:" + digest.decode() for digest in TEXT.findall(files[name])}
    told = read_texts(files, named)
    if stamp != stamp_of(closing["time"]):
        raise Fault(CLOSING, "the files of the archive do not have the time of this entry")
    return {"files": len(manifest), "entries": entries, "closing": index, "kind": closing["kind"], "named": len(named), "told": told}


def main():
    parser = argparse.ArgumentParser(description="Verifies evidence bundles of Carnet.")
    parser.add_argument("--key", required=True, help="verifier key: NAME+ID+KEY")
    parser.add_argument("files", nargs="+", metavar="FILE.zip")
    arguments = parser.parse_args()
    try:
        key = Key(arguments.key)
    except ValueError as error:
        parser.error(str(error))
    code = 0
    for path in arguments.files:
        try:
            with open(path, "rb") as file:
                found = verify(file.read(MOST_BYTES + 1), key)
        except Fault as fault:
            print(f"{path}: does not hold: {fault}")
            code = 1
            continue
        except OSError as error:
            print(f"{path}: {error.strerror}")
            code = 1
            continue
        print(f"{path}: holds: {found['files']} files, {found['entries']} of them entries of {key.name},", end=" ")
        print(f"closed by entry {found['closing']} ({found['kind']!a})")
        if found["told"] is None:
            print(f"  not in it: names of people and free text ({found['named']} texts)")
        elif found["told"] < found["named"]:
            print(f"  not in it: {found['named'] - found['told']} of {found['named']} texts, erased or taken out")
        print("  not proved: README.html, whether other entries belong to the case, and whether the log goes on from here")
    return code


if __name__ == "__main__":
    sys.exit(main())
