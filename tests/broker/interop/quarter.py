"""Replays an exported journal plainly, and compares what it says of each integration with what a server said at the time.

Arguments: the entries of an export (one JSON object a line), and the observations (a JSON list). It shares no code with the broker.
"""

import json
import sys

DAY = 86_400
OPEN_FOR = 30 * DAY
GRACE = 14 * DAY
OFFBOARDS_AFTER = 14 * DAY


class Integration:
    def __init__(self):
        self.record = None
        self.waiting = None
        self.owners = {}
        self.owners_waiting = {}
        self.places = {}
        self.suspensions = []
        self.offboards = False

    def force(self, record, at, owners=None):
        before = self.record["environments"] if self.record else {}
        for name, access in record["environments"].items():
            if name not in before:
                self.places[name] = {"due": at + record["review"]["every"], "asked": []}
        self.record = record
        if owners is not None:
            self.owners = {who: at for who in owners.values()}


def ask(known, at, environment=None, due=None):
    for name, place in known.places.items():
        if environment in (None, name):
            place["asked"].append(at + OPEN_FOR if due is None else due)


class House:
    def __init__(self):
        self.all = {}
        self.gone = {}
        self.verified = {}
        self.partners = {}
        self.production = {}

    def take(self, entry):
        kind, at = entry["kind"], entry.get("time")
        get = lambda name: self.all.setdefault(name, Integration())
        if kind == "configuration.changed":
            for name, one in entry["environments"].items():
                self.production[name] = one.get("production", name == "production")
        elif kind == "partner.submitted":
            self.partners[entry["record"]["name"]] = entry["record"]
        elif kind == "partner.verified":
            self.verified[entry["partner"]] = self.partners[entry["partner"]]["verification"]["expires"]
        elif kind in ("integration.drafted", "integration.change-held"):
            one = get(name_of(entry["record"]))
            one.waiting, one.owners_waiting = entry["record"], entry.get("owners")
        elif kind == "integration.submitted":
            get(entry["integration"]).owners_waiting = entry.get("owners")
        elif kind in ("integration.activated", "integration.changed"):
            one = get(entry["integration"])
            one.force(one.waiting, at, entry.get("owners") or one.owners_waiting)
        elif kind == "owner.resolved":
            for name, ids in entry["inForce"].items():
                for who in ids.values():
                    get(name).owners.setdefault(who, at)
        elif kind == "owner.left":
            self.gone.setdefault(entry["person"], at)
            for one in self.all.values():
                if entry["person"] in one.owners and one.record:
                    ask(one, at)
        elif kind == "owner.returned":
            self.gone.pop(entry["person"], None)
        elif kind == "integration.unused":
            ask(get(entry["integration"]), at, entry["environment"])
        elif kind == "integration.suspended":
            # Non-use says what an exchange is told; a decision leaves it out.
            reason = entry.get("cause", "integration.suspended")
            get(entry["integration"]).suspensions.append((reason, entry.get("environments") or None))
        elif kind == "signal.received" and entry["says"] != "owner-left":
            one = get(entry["about"])
            one.suspensions.append(("signal." + entry["says"], None))
            ask(one, at)
        elif kind == "review.decided" and "record" in entry:
            get(name_of(entry["record"])).force(entry["record"], at)
        elif kind == "review.completed":
            partner, name, environment, _ = entry["review"].removeprefix("rev_").split(".")
            one = get(f"{partner}/{name}")
            one.places[environment] = {"due": at + one.record["review"]["every"], "asked": []}

        elif kind == "offboarding.started":
            one = get(entry["about"])
            # Nobody starts one here: each begins by itself, long after the contract, and never before that.
            one.offboards = at >= due(one.record)

    def judge(self, name, environment, now):
        one = self.all[name]
        record, access = one.record, one.record["environments"].get(environment)
        if one.offboards:
            return "integration.offboarding"
        for reason, environments in one.suspensions:
            if environments is None or environment in environments:
                return reason
        if now < record["contract"]["starts"]:
            return "contract.not-started"
        if now >= record["contract"]["ends"]:
            return "contract.ended"
        if access and "ends" in access and now >= access["ends"]:
            return "environment.ended"
        if now >= self.verified[name.split("/")[0]]:
            return "partner.verification-expired"
        strict = record["review"]["onSilence"] == "suspend" or self.production[environment]
        place = one.places[environment]
        if strict and now >= min([place["due"], *place["asked"]]):
            return "review.overdue"
        ends = [max(self.gone[who], since) + GRACE for who, since in one.owners.items() if who in self.gone]
        if ends and now >= min(ends):
            return "owner.gone"
        return None


def due(record):
    by_itself = record["offboarding"]["trigger"] == "contract-end"
    return record["contract"]["ends"] + OFFBOARDS_AFTER if by_itself else float("inf")


def name_of(record):
    identity = record["id"]
    return identity if isinstance(identity, str) else f"{identity['partner']}/{identity['name']}"


def main(entries, observed):
    observed = json.load(open(observed, encoding="utf-8"))
    house, at, wrong = House(), 0, []
    lines = [json.loads(line) for line in open(entries, encoding="utf-8")]
    for seen in observed:
        # What was observed at a second followed every entry that the server had written by then.
        while at < len(lines) and lines[at].get("index", at) < seen["until"]:
            house.take(lines[at])
            at += 1
        if seen["environment"] not in house.all[seen["integration"]].record["environments"]:
            continue
        expected = house.judge(seen["integration"], seen["environment"], seen["time"])
        if expected != seen["reason"]:
            wrong.append((seen, expected))
    # The broker begins them in its next round, and the clock of the quarter moves by up to a week at once.
    last = max(seen["time"] for seen in observed)
    late = [name for name, one in house.all.items() if one.record and not one.offboards and last >= due(one.record) + 8 * DAY]
    wrong += [(name, "integration.offboarding") for name in late]
    for seen, expected in wrong[:20]:
        print("differs:", json.dumps(seen), "replayed:", expected)
    print(f"{len(observed)} observations over {at} entries, {len(wrong)} differ")
    return 1 if wrong or not observed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
