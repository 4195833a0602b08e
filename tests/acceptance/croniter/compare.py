"""Compares `novascale schedule --cron` with croniter on random expressions in many zones.

    python compare.py NOVASCALE [COUNT [SEED]]

Both are asked for the next instants of each expression. Where their answers differ, croniter is
asked again for what novascale's rule means, with as few of the rewritings below as will do, and
then the answers must be the same. So each difference has a name, which follows from the
expression and the zone, and a reason; one that has none fails the comparison. What only one of
the two can read needs a name as well.
"""

import calendar
import collections
import itertools
import json
import multiprocessing
import random
import re
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo

from croniter import croniter
from croniter.croniter import CroniterError

INSTANTS = 6
# North and south, changes at midnight, of half an hour, in winter, on a Friday, around Ramadan,
# and none.
ZONES = [
    "UTC", "Europe/Paris", "Europe/London", "Europe/Dublin", "Europe/Lisbon", "Atlantic/Azores",
    "America/New_York", "America/Los_Angeles", "America/St_Johns", "America/Havana",
    "America/Santiago", "America/Asuncion", "Africa/Casablanca", "Asia/Beirut", "Asia/Jerusalem",
    "Asia/Kolkata", "Australia/Sydney", "Australia/Lord_Howe", "Pacific/Auckland",
    "Pacific/Chatham",
]
FIRST, LAST = datetime(2020, 1, 1, tzinfo=timezone.utc), datetime(2030, 1, 1, tzinfo=timezone.utc)

MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()
WEEKDAYS = "SUN MON TUE WED THU FRI SAT".split()
NAMED = ["@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"]
# A range of one value, a start with a step, a range that ends before it begins.
SAME = re.compile(r"^(\w+)-\1(/\d+)?$", re.I)
STEPPED = re.compile(r"^\w+/\d+$")
RANGE = re.compile(r"^(\w+)-(\w+)(/\d+)?$")

# Longer than clocks were moved at once in these years.
SHIFT_MOST = timedelta(hours=3)


# What is compared.

@lru_cache(maxsize=None)
def changes(zone):
    """The instants at which the zone's clocks change."""
    zone, found, at = ZoneInfo(zone), [], FIRST
    offset = lambda instant: instant.astimezone(zone).utcoffset()
    while at < LAST:
        low, high = at, at + timedelta(days=1)
        while offset(low) != offset(high) and high - low > timedelta(seconds=1):
            middle = (low + (high - low) / 2).replace(microsecond=0)
            low, high = (middle, high) if offset(middle) == offset(low) else (low, middle)
        if offset(low) != offset(high):
            found.append(high)
        at += timedelta(days=1)
    return found


def single(dice, low, high, names):
    n = dice.randint(low, high)
    return dice.choice(names)[:3] if names and dice.random() < 0.4 else str(n)


def ranged(dice, low, high, names):
    one, other = sorted((dice.randint(low, high), dice.randint(low, high)))
    if names and other - low < len(names) and dice.random() < 0.4:
        one, other = names[one - low], names[other - low]
    if dice.random() < 0.02:
        one, other = other, one
    return f"{one}-{other}"


def item(dice, low, high, names=()):
    form = dice.random()
    if form < 0.5:
        return single(dice, low, high, names)
    if form < 0.75:
        return ranged(dice, low, high, names)
    if form < 0.99:
        start = "*" if dice.random() < 0.6 else ranged(dice, low, high, names)
        return f"{start}/{dice.randint(1, max(2, (high - low) // 2))}"
    return f"{dice.randint(low, high)}/{dice.randint(1, 9)}"


def field(dice, any_share, low, high, names=()):
    if dice.random() < any_share:
        return "*"
    return ",".join(item(dice, low, high, names) for _ in range(dice.choice([1, 1, 1, 2, 3])))


def day_of_month(dice):
    special = dice.random()
    if special < 0.05:
        return "L"
    if special < 0.1:
        return f"{dice.randint(1, 31)}W"
    if special < 0.12:
        return f"{dice.randint(1, 28)},{dice.choice(['L', '15W', '1W'])}"
    return field(dice, 0.6, 1, 31)


def day_of_week(dice):
    special = dice.random()
    if special < 0.08:
        return f"{single(dice, 0, 7, WEEKDAYS)}#{dice.randint(1, 5)}"
    if special < 0.11:
        return f"{dice.randint(0, 7)}L"
    if special < 0.13:
        return f"{dice.randint(0, 3)},{dice.randint(4, 6)}#{dice.randint(1, 5)}"
    return field(dice, 0.6, 0, dice.choice([6, 7]), WEEKDAYS)


def drawn(dice):
    """An expression, a zone, and an instant, of which half lie shortly before a change of clocks."""
    zone = dice.choice(ZONES)
    start = FIRST + timedelta(seconds=dice.randrange(int((LAST - FIRST).total_seconds())))
    if changes(zone) and dice.random() < 0.5:
        before = timedelta(seconds=dice.randrange(3 * 86400 if dice.random() < 0.5 else 7200))
        start = dice.choice(changes(zone)) - before
    if dice.random() < 0.02:
        return dice.choice(NAMED), zone, start
    minute, hour = field(dice, 0.25, 0, 59), field(dice, 0.25, 0, 23)
    if dice.random() < 0.25:
        # Where clocks change.
        hour = dice.choice(["0", "1", "2", "3", "23", "0-3", "1,2", "1-3/2"])
    month = field(dice, 0.7, 1, 12, MONTHS)
    fields = [minute, hour, day_of_month(dice), month, day_of_week(dice)]
    if dice.random() < 0.15:
        fields.insert(0, field(dice, 0.2, 0, 59))
    return " ".join(fields), zone, start


# The two that are asked. An answer is a list of instants, as seconds since 1970, or None where the
# expression is refused or no date fits.

def novascale(program, expression, zone, start):
    words = ["schedule", "--cron", expression, "--timezone", zone, "--from", start.isoformat(),
             "--count", str(INSTANTS), "--output", "json"]
    ended = subprocess.run([program, *words], capture_output=True, text=True)
    if ended.returncode != 0 and "is no cron expression" in ended.stderr:
        return None
    if ended.returncode != 0:
        raise RuntimeError(f"{words}: {ended.stderr}")
    return [int(datetime.fromisoformat(text).timestamp()) for text in json.loads(ended.stdout)]


def asked(expression, start):
    """croniter writes the last Friday L5, where novascale has 5L. A `!` is of our own: months
    that have not the day are left out."""
    theirs = re.sub(r"\b([0-7])L\b", r"L\1", expression).replace("!", "")
    each = croniter(theirs, start, ret_type=datetime, second_at_beginning=True)
    day = int(([*re.findall(r"(\d+)W!", expression), 0])[0])
    last = start.year
    while True:
        at = each.get_next()
        if day <= calendar.monthrange(at.year, at.month)[1]:
            last = at.year
            yield at
        elif at.year > last + 9:
            # No leap year is that far.
            return


def with_its_own_zones(expressions, zone, start):
    """What croniter says by itself; of several expressions, whichever fires."""
    found = set()
    for expression in expressions:
        try:
            each = asked(expression, start.astimezone(ZoneInfo(zone)))
            found.update(int(at.timestamp()) for at in itertools.islice(each, INSTANTS))
        except CroniterError:
            if len(expressions) == 1:
                return None
    return sorted(found)[:INSTANTS] or None


def with_our_rule(expressions, zone, start):
    """croniter's calendar without a zone, and novascale's rule of what its local times mean."""
    found = [instants(expression, ZoneInfo(zone), start) for expression in expressions]
    if found == [None]:
        return None
    return sorted({at for some in found for at in some or []})[:INSTANTS] or None


def instants(expression, zone, start):
    hours = expression.split(" ")[-4:][0]
    meant = passing if hours in ("*", "*/1", "@hourly") else once
    found, local = set(), start.astimezone(zone).replace(tzinfo=None) - SHIFT_MOST
    try:
        each = asked(expression, local)
        # Beyond the last that is needed until no later local time can come before it.
        until = None
        while until is None or local < until:
            local = next(each)
            found |= {at for at in meant(local, zone) if at > start}
            if until is None and len(found) >= INSTANTS:
                until = local + SHIFT_MOST
    except (CroniterError, StopIteration):
        if not found:
            return None
    return sorted(int(at.timestamp()) for at in found)[:INSTANTS]


def passing(local, zone):
    """Hours are counted as they pass: each instant at which clocks show it."""
    both = [local.replace(tzinfo=zone, fold=fold).astimezone(timezone.utc) for fold in (0, 1)]
    return {at for at in both if at.astimezone(zone).replace(tzinfo=None) == local}


def once(local, zone):
    """A repeated time at its first pass, a skipped one right after the gap."""
    at = local.replace(tzinfo=zone, fold=0).astimezone(timezone.utc)
    if at.astimezone(zone).replace(tzinfo=None) == local:
        return {at}
    return {max(change for change in changes(str(zone)) if change <= at)}


# Why the answers may differ: each has a test of the expression and the zone, and what to ask
# croniter in its place. All take and give a list of expressions, any of which may fire.

def fields_of(expression):
    return [] if expression.startswith("@") else expression.split(" ")


def items_of(expression):
    return [item for field in fields_of(expression) for item in field.split(",")]


def equal_ranges(expressions):
    """`5-5` is 5, as in crontab(5); to croniter it is the whole field, `FRI-FRI` too."""
    rewrite = lambda item: SAME.sub(r"\1", item)
    return [" ".join(",".join(map(rewrite, field.split(","))) for field in e.split(" "))
            for e in expressions]


def days_apart(expressions):
    """Where both fields of days are set a day that fits either counts, as in crontab(5). croniter
    means both at once where `#` or `W` is among them, or refuses them; and `*/1` beside another
    field that begins with a star is to it as if it were not set."""
    apart = []
    for expression in expressions:
        *before, day, month, weekday = expression.split(" ")
        if "*" in (day, weekday):
            apart.append(expression)
        else:
            apart.append(" ".join([*before, day, month, "*"]))
            apart.append(" ".join([*before, "*", month, weekday]))
    return apart


def items_apart(expressions):
    """croniter refuses lists in which `W`, `#` or a last weekday stands beside other days."""
    apart = []
    for expression in expressions:
        *before, day, month, weekday = expression.split(" ")
        for one, other in itertools.product(day.split(","), weekday.split(",")):
            apart.append(" ".join([*before, one, month, other]))
    return apart


def days_there(expressions):
    """`31W` is of months that have 31 days, as in Quartz, where it comes from; croniter takes the
    last day for it in the others."""
    return [re.sub(r"\b(29|30|31)W\b", r"\1W!", expression) for expression in expressions]


def clocks_change(zone, start, answers):
    """A skipped local time happens right after the gap and a repeated one once; where the hour is
    `*`, hours are counted as they pass. croniter keeps the seconds of a skipped time or leaves it
    out, and lets a repeated one happen twice."""
    ends = [answer[-1] for answer in answers if answer]
    until = datetime.fromtimestamp(max(ends), timezone.utc) if ends else start
    return any(start - SHIFT_MOST <= at <= until + SHIFT_MOST for at in changes(zone))


def reasons(expression, zone, start, answers):
    """The rewritings that this expression and zone allow."""
    found = []
    if any(SAME.match(item) for item in items_of(expression)):
        found.append("a range of one value")
    days = fields_of(expression)[-3::2]
    if days and "*" not in days:
        found.append("both fields of days")
    if any("," in days and re.search(r"[W#L]", days) for days in days):
        found.append("a special day in a list")
    if any(re.fullmatch("(29|30|31)W", item) for item in items_of(expression)):
        found.append("a weekday near a day that some months have not")
    if clocks_change(zone, start, answers):
        found.append("clocks change")
    return found


REWRITINGS = {
    "a range of one value": equal_ranges,
    "both fields of days": days_apart,
    "a special day in a list": items_apart,
    "a weekday near a day that some months have not": days_there,
}


def refused_by_us(expression):
    """What croniter alone can read, and crontab(5) has not."""
    items = items_of(expression)
    if any(STEPPED.match(item) for item in items):
        return "a start with a step and no end, as 5/15"
    if any(RANGE.match(item) and backwards(item) for item in items):
        return "a range that ends before it begins"
    return None


def backwards(item):
    low, high, _ = RANGE.match(item).groups()
    place = lambda name: next(
        (names.index(name) for names in (MONTHS, WEEKDAYS) if name in names), name)
    return int(place(low)) > int(place(high))


def compared(task):
    """The names of the difference, or what was answered where it has none."""
    program, expression, zone, start = task
    ours = novascale(program, expression, zone, start)
    theirs = with_its_own_zones([expression], zone, start)
    if ours == theirs:
        return "the same" if ours else "no date, or refused by both", None
    if ours is None and (why := refused_by_us(expression)):
        return f"only croniter reads it: {why}", None
    possible = reasons(expression, zone, start, (ours, theirs))
    for n in range(1, len(possible) + 1):
        for why in itertools.combinations(possible, n):
            expressions = [expression]
            for name in why:
                expressions = REWRITINGS.get(name, list)(expressions)
            ask = with_our_rule if "clocks change" in why else with_its_own_zones
            if ask(expressions, zone, start) == ours:
                return "explained: " + ", ".join(why), None
    local = lambda answer: answer and [
        datetime.fromtimestamp(at, ZoneInfo(zone)).isoformat() for at in answer]
    said = f"{expression!r} in {zone} after {start.isoformat()}\n" \
           f"    novascale {local(ours)}\n    croniter  {local(theirs)}"
    return "NOT EXPLAINED", said


def main():
    program, *numbers = sys.argv[1:]
    count, seed = [*map(int, numbers), *[12000, 1][len(numbers):]]
    dice = random.Random(seed)
    tasks = [(program, *drawn(dice)) for _ in range(count)]
    counts, unexplained = collections.Counter(), []
    with multiprocessing.Pool(2) as pool:
        for name, said in pool.imap(compared, tasks, chunksize=50):
            counts[name] += 1
            unexplained.extend(filter(None, [said]))
    print(f"{count} expressions, seed {seed}, {len(ZONES)} zones, {INSTANTS} instants of each")
    for name, n in counts.most_common():
        print(f"{n:7}  {name}")
    for said in unexplained[:20]:
        print(said)
    if unexplained or counts["the same"] < count / 2:
        sys.exit(1)


if __name__ == "__main__":
    main()
