"""Reads an exported journal plainly, and compares what it says with what a server answered: queries, activity, inventory, and the past.

Arguments: the entries of an export (one JSON object a line), and the answers (a JSON object). It shares no code with the broker.
"""

import json
import sys
from collections import Counter

DAY = 86_400
OPEN_FOR = 30 * DAY
NOISE = ("issued", "refused", "refusals")


def name_of(record):
    identity = record["id"]
    return identity if isinstance(identity, str) else f"{identity['partner']}/{identity['name']}"


def scopes_of(value):
    return value.split(" ") if isinstance(value, str) else list(value)


class Integration:
    def __init__(self):
        self.record = self.waiting = None
        self.due, self.asked = {}, {}
        self.suspensions = {}

    def review(self, environment):
        """When a review that nobody gives is late: none is given in this year."""
        return min([self.due[environment], *self.asked[environment]])


class House:
    """What is in force, entry by entry."""

    def __init__(self):
        self.all = {}
        self.verified = {}
        self.partners = {}
        self.production = {}
        self.elevations = {}
        self.refusing = {}

    def force(self, name, record, at):
        one = self.all[name]
        before = one.record["environments"] if one.record else {}
        for environment in record["environments"]:
            if environment not in before:
                one.due[environment] = at + record["review"]["every"]
                one.asked[environment] = []
        one.record = record

    def take(self, entry):
        kind, at = entry["kind"], entry["time"]
        get = lambda name: self.all.setdefault(name, Integration())
        if kind == "configuration.changed":
            for name, one in entry["environments"].items():
                self.production[name] = one.get("production", name == "production")
        elif kind == "partner.submitted":
            self.partners[entry["record"]["name"]] = entry["record"]
        elif kind == "partner.verified":
            self.verified[entry["partner"]] = self.partners[entry["partner"]]["verification"]["expires"]
        elif kind in ("integration.drafted", "integration.change-held"):
            get(name_of(entry["record"])).waiting = entry["record"]
        elif kind in ("integration.activated", "integration.changed"):
            self.force(entry["integration"], get(entry["integration"]).waiting, at)
        elif kind == "integration.narrowed":
            self.force(name_of(entry["record"]), entry["record"], at)
        elif kind == "integration.suspended":
            suspension = entry.get("id", f"entry-{entry['index']}")
            get(entry["integration"]).suspensions[suspension] = set(entry.get("environments") or [])
        elif kind == "integration.resumed":
            one = get(entry["integration"])
            for suspension in entry.get("suspensions") or list(one.suspensions):
                one.suspensions.pop(suspension, None)
        elif kind == "elevation.asked":
            self.elevations[entry["elevation"]["id"]] = {"asked": entry["elevation"], "approved": None, "ended": False}
        elif kind == "elevation.reviewed" and entry["verdict"] == "approve":
            self.elevations[entry["elevation"]]["approved"] = at
        elif kind == "elevation.ended":
            self.elevations[entry["elevation"]]["ended"] = True
        elif kind == "revocation.added" and not entry["tokensOnly" if "tokensOnly" in entry else "tokens_only"]:
            raise SystemExit(f"a revocation that refuses is not read here: {entry}")
        if kind == "revocation.added" and entry["cut"]["of"] == "binding":
            # An incident: somebody looks at that environment within 30 days.
            asked = get(entry["cut"]["client"]).asked
            if entry["cut"]["environment"] in asked:
                asked[entry["cut"]["environment"]].append(at + OPEN_FOR)

    def refuses(self, name, environment, now):
        one = self.all[name]
        record, access = one.record, one.record["environments"][environment]
        strict = record["review"]["onSilence"] == "suspend" or self.production[environment]
        ends = [record["contract"]["ends"], access.get("ends"), self.verified[name.split("/")[0]]]
        ends += [secret["ends"] for secret in record.get("exceptions", []) if secret.get("onPastDue", "refuse") == "refuse"]
        ends += [one.review(environment)] if strict else []
        suspended = any(not places or environment in places for places in one.suspensions.values())
        return suspended or any(end is not None and now >= end for end in ends)

    def running(self, name, environment, now):
        for identity, one in self.elevations.items():
            asked = one["asked"]
            if (asked["integration"], asked["environment"]) == (name, environment) and one["approved"] and not one["ended"]:
                if one["approved"] <= now < one["approved"] + asked["duration"]:
                    yield identity, one["approved"] + asked["duration"], scopes_of(asked["scopes"])

    def ends_next(self, name, environment, now):
        one = self.all[name]
        record = one.record
        ends = [(record["contract"]["ends"], "contract"), (self.verified[name.split("/")[0]], "verification")]
        ends += [(secret["ends"], "exception") for secret in record.get("exceptions", [])]
        access = record["environments"][environment]
        ends += [(access["ends"], "environment")] if "ends" in access else []
        strict = record["review"]["onSilence"] == "suspend" or self.production[environment]
        ends += [(one.review(environment), "review")] if strict else []
        return min((end for end in ends if end[0] > now), default=None)


def reach(access):
    return sorted((api, sorted(rule["scope"] for rule in rules)) for api, rules in access["scopes"].items() if rules)


def told_reach(value):
    return sorted((one["api"], sorted(one["scopes"])) for one in value)


def about(entries, partner):
    """The entries of a partner."""
    own = lambda name: name == partner or name.startswith(partner + "/")
    subjects, issuers = {partner}, set()
    for entry in entries:
        elevation = entry.get("elevation")
        if entry["kind"] == "elevation.asked" and own(elevation["integration"]):
            subjects.add(elevation["id"])
        if entry["kind"] == "revocation.added" and own(client_of(entry["cut"])):
            subjects.add(entry["id"])
        if "record" in entry and "environments" in entry["record"] and own(name_of(entry["record"])):
            for access in entry["record"]["environments"].values():
                issuers |= {one["admits"]["jwt"]["issuer"] for one in access["bindings"] if "jwt" in one["admits"]}
    for entry in entries:
        approval = entry.get("approval")
        if isinstance(approval, dict) and (own(approval["subject"]) or approval["subject"] in subjects):
            subjects.add(approval["id"])

    def holds(entry):
        subject = entry["subject"]
        if subject.startswith(partner + "/"):
            return True
        if entry["kind"] in NOISE:
            return False
        if subject in subjects or subject in issuers:
            return True
        if entry["kind"] in ("revocation.added", "tokens.cut") and own(client_of(entry["cut"])):
            return True
        if entry["kind"] == "dates.noticed":
            return any(own(item["date"].get("partner") or item["date"]["integration"]) for item in entry["items"])
        return False

    return holds


def client_of(cut):
    return cut.get("client") or cut.get("integration") or cut.get("partner") or ""


class Differences:
    def __init__(self):
        self.all, self.compared = [], Counter()

    def same(self, what, told, read):
        self.compared[what.split(" ")[0]] += 1
        if told != read:
            self.all.append(f"{what}: told {json.dumps(told, default=sorted)[:600]} read {json.dumps(read, default=sorted)[:600]}")


def queries(entries, answers, found):
    for query in answers["queries"]:
        holds = about(entries, query["partner"])
        wanted = [
            entry["index"]
            for entry in reversed(entries)
            if query["since"] <= entry["time"] < query["until"] and query["kind"] in (None, entry["kind"]) and holds(entry)
        ]
        what = f"query {query['partner']} {query['kind']}"
        found.same(what, query["found"], wanted)
        found.same(f"{what} more", query["more"], max(0, len(wanted) - query["limit"]))


def activities(entries, answers, found):
    for told in answers["activities"]:
        partner, since, until = told["partner"], told["since"], told["until"]
        within = [entry for entry in entries if since <= entry["time"] < until]
        own = [entry for entry in within if entry["subject"].startswith(partner + "/")]
        issued, last = Counter(), {}
        for entry in own:
            if entry["kind"] == "issued":
                place = (entry["subject"], entry["environment"], entry["api"], entry["binding"])
                issued[place] += 1
                last[place] = entry["time"]
        read = sorted([*place, count, last[place]] for place, count in issued.items())
        names = ("integration", "environment", "api", "binding", "count", "last")
        what = f"activity {partner} {until - since}"
        found.same(f"{what} issued", sorted([one[name] for name in names] for one in told["issued"]), read)
        refused = Counter()
        for entry in own:
            if entry["kind"] == "refused":
                refused[(entry["subject"], entry["environment"], entry["reason"])] += 1
            elif entry["kind"] == "refusals":
                for reason, count in entry["counts"].items():
                    refused[(entry["subject"], None, reason)] += count
        counted = Counter()
        for one in told["refused"]:
            counted[(one["integration"], one["environment"], one["reason"])] += one["count"]
        found.same(f"{what} refused", sorted(map(str, counted.items())), sorted(map(str, refused.items())))
        holds = about(entries, partner)
        changes = [entry["index"] for entry in reversed(within) if entry["kind"] not in NOISE and holds(entry)]
        found.same(f"{what} changes", told["items"], changes)


def pasts(entries, answers, found):
    for past in answers["pasts"]:
        house, now = House(), past["time"]
        for entry in entries:
            if entry["time"] <= now:
                house.take(entry)
        told = {one["id"]: one for one in past["integrations"]}
        found.same(f"past {now}", sorted(told), sorted(house.all))
        for name, one in told.items():
            places = {place["environment"]: place for place in (one["access"] or {"places": []})["places"]}
            record = house.all[name].record
            found.same(f"past {now} {name}", sorted(places), sorted(record["environments"] if record else []))
            for environment, place in places.items():
                what, access = f"past {now} {name} {environment}", record["environments"][environment]
                state = "refusing" if house.refuses(name, environment, now) else "granting"
                found.same(f"{what} state {place['causes']}", place["state"], state)
                found.same(f"{what} reach", told_reach(place["reach"]), reach(access))
                found.same(f"{what} bindings", [one["name"] for one in place["bindings"]], [one["name"] for one in access["bindings"]])
                running = sorted([identity, ends, scopes] for identity, ends, scopes in house.running(name, environment, now))
                shown = sorted([one["id"], one["ends"], one["scopes"]] for one in place["elevations"])
                found.same(f"{what} elevations", shown, running)


def inventory(entries, answers, found):
    house, now, last = House(), answers["now"], {}
    for entry in entries:
        house.take(entry)
        if entry["kind"] == "issued":
            last[(entry["subject"], entry["environment"], entry["binding"])] = entry["time"]
    wanted = {}
    for name, one in house.all.items():
        if not one.record:
            continue
        for environment, access in one.record["environments"].items():
            end = house.ends_next(name, environment, now)
            state = "refusing" if house.refuses(name, environment, now) else "granting"
            for binding in access["bindings"]:
                used = last.get((name, environment, binding["name"]))
                wanted[(name, environment, "binding", binding["name"])] = [state, used, end, reach(access)]
        for secret in one.record.get("exceptions", []):
            end = (secret["ends"], "exception") if secret["ends"] > now else None
            wanted[(name, "-", "exception", secret["what"])] = ["open" if end else "past-due", None, end, []]
    told = {}
    for row in answers["inventory"]:
        end = row["endsNext"] and (row["endsNext"]["at"], row["endsNext"]["what"])
        label = row["what"] if row["kind"] == "exception" else row["name"]
        key = (row["integration"], row["environment"] or "-", row["kind"], label)
        told[key] = [row["state"], row["lastUse"], end, told_reach(row["reach"])]
    found.same("inventory rows", len(answers["inventory"]), len(wanted))
    for key in sorted(set(told) | set(wanted)):
        found.same(f"inventory {key}", told.get(key), wanted.get(key))


def main(entries, answers):
    entries = [json.loads(line) for line in open(entries, encoding="utf-8")]
    answers, found = json.load(open(answers, encoding="utf-8")), Differences()
    # What a task of the server wrote after it was asked.
    entries = entries[: answers["size"]]
    for compare in (queries, activities, pasts, inventory):
        compare(entries, answers, found)
    for difference in found.all[:20]:
        print("differs:", difference)
    kinds = Counter(entry["kind"] for entry in entries)
    print(f"{len(entries)} entries ({kinds['issued']} issued, {kinds['refused']} refused), compared {dict(found.compared)}, {len(found.all)} differ")
    return 1 if found.all or min(found.compared.values(), default=0) == 0 or len(found.compared) < 4 else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
