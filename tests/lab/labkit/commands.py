"""The commands of `up`, `down` and `lab`."""

import json
import os
import pathlib
import re
import signal
import sys
import time

import daemons
import files
from settings import ENDPOINTS, ROOT

HELP = """\
Looks after a running lab, and makes it misbehave.

  lab status                      the daemons, their memory, and what is not as after `up`
  lab quota N [CORES [RAM_MB]]    the project's quota; a create beyond it: 403 "Quota exceeded"
  lab quota none                  no limit again
  lab hosts off|on [a|b]          disable or enable hosts; with none on, builds end in ERROR
                                  ("No valid host")
  lab spawn [KNOB=VALUE ...]      builds and deletions: delay=S jitter=S fail_rate=0..1
                                  fault=abort|reschedule destroy_delay=S
  lab oidc [KNOB=VALUE ...]       the token endpoint: ttl=S (life of id_tokens) fail=STATUS
                                  delay=S
  lab keystone-ttl [S]            life of new Keystone tokens
  lab freeze|thaw DAEMON          a daemon's connections hang (SIGSTOP); go on
  lab kill DAEMON                 end a daemon at once (SIGKILL); `up` starts it again
  lab wipe                        delete every server of the project; ends when all are gone
  lab reset                       everything above back to what it is after `up`, and wipe
  lab help

Knobs that a command does not name go back to their defaults, so `lab spawn` alone makes
builds instant and sound again. They hold for what is under way too, and over a restart.
"""


class Usage(Exception):
    """The command line makes no sense."""


class Cloud:
    """The lab's own administrator, in the project of the tests."""

    def __init__(self):
        import seed

        self.client = seed.admin("lab")
        self.project = json.loads((ROOT / "ids.json").read_text())["project"]

    def nova(self, method, path, body=None, **options):
        url = ENDPOINTS["compute"] + path.format(project=self.project)
        return self.client.call(method, url, body, **options)


def status():
    by_group = {}
    for entry in os.listdir("/proc"):
        now = daemons.stat(entry) if entry.isdigit() else None
        if now and now[0] not in "ZX":
            by_group.setdefault(now[1], []).append((int(entry), now[0]))
    total, dead = 0, 0
    for name in daemons.NAMES:
        pid = daemons.leader(name)
        if pid is None:
            dead += 1
            print(f"{name:<16} not running")
            continue
        processes = by_group.get(pid, [])
        frozen = "   frozen" if any(state == "T" for _, state in processes) else ""
        memory = sum(proportional_memory(process) for process, _ in processes)
        total += memory
        print(f"{name:<16} pid {pid:<8} {len(processes):2} processes {memory:6} MiB{frozen}")
    print(f"{'together':<32} {'':12}{total:6} MiB (shared pages counted once)")
    for name, defaults in files.KNOBS.items():
        if files.knobs_file(name).exists():
            values = files.read_knobs(name)
            changed = [f"{key}={values[key]}" for key in defaults if values[key] != defaults[key]]
            if changed:
                print(f"changed: {name} {' '.join(changed)}")
    return 1 if dead else 0


def proportional_memory(pid):
    try:
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    found = re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)
    return int(found[1]) // 1024 if found else 0


def quota(*limits):
    if limits == ("none",):
        Cloud().nova("DELETE", "/os-quota-sets/{project}")
        return print("quota: none")
    if not 1 <= len(limits) <= 3:
        raise Usage("lab quota N [CORES [RAM_MB]], or lab quota none")
    wanted = {name: number(limit) for name, limit in zip(("instances", "cores", "ram"), limits)}
    Cloud().nova("PUT", "/os-quota-sets/{project}", {"quota_set": wanted})
    print("quota:", " ".join(f"{name}={limit}" for name, limit in wanted.items()))


def hosts(state="", letter=""):
    if state not in ("on", "off") or letter not in ("", "a", "b"):
        raise Usage("lab hosts off|on [a|b]")
    cloud = Cloud()
    # Before 2.53 a service has a number for an id, which this call does not take.
    version = {"microversion": "2.53"}
    for service in cloud.nova("GET", "/os-services?binary=nova-compute", **version)["services"]:
        if service["host"].endswith("-" + letter if letter else ""):
            wanted = {"status": {"on": "enabled", "off": "disabled"}[state]}
            cloud.nova("PUT", f"/os-services/{service['id']}", wanted, **version)
            print(service["host"], state)


def number(text):
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        raise Usage(f"'{text}' is not a number")


def turn(name, arguments):
    """Sets the knobs that the arguments name, and the others to their defaults."""
    values = dict(files.KNOBS[name])
    for argument in arguments:
        knob, equals, value = argument.partition("=")
        if knob not in values or not equals:
            raise Usage(f"'{argument}': expected KNOB=VALUE, the knobs being {', '.join(values)}")
        if knob != "fault":
            values[knob] = number(value)
        elif value in ("abort", "reschedule"):
            values[knob] = value
        else:
            raise Usage("fault is abort or reschedule")
    files.write_knobs(name, values)
    print(f"{name}:", " ".join(f"{knob}={value}" for knob, value in values.items()))


def keystone_ttl(seconds="3600"):
    import seed

    seconds = number(seconds)
    files.write_knobs("keystone", {"ttl": seconds})
    if not files.write_configuration():
        return print(f"Keystone tokens live {seconds} s already")
    os.kill(running("apache"), signal.SIGUSR1)
    # Old workers answer until they have ended; several good answers in a row are needed to
    # have met each of the new ones.
    good, end, client = 0, time.monotonic() + 120, seed.admin()
    while good < 8:
        life = client.token_life()
        good = good + 1 if life == seconds else 0
        if time.monotonic() > end:
            raise RuntimeError(f"Keystone still hands out tokens that live {life} s")
        time.sleep(0 if good else 0.3)
    print(f"Keystone tokens live {seconds} s")


def running(name):
    pid = daemons.leader(name)
    if pid is None:
        names = " ".join(filter(daemons.leader, daemons.NAMES))
        raise RuntimeError(f"no daemon '{name}' runs; those that do: {names or 'none'}")
    return pid


def send(number):
    return lambda name: daemons.signal_group(running(name), number)


def wipe():
    cloud, before, end = Cloud(), None, time.monotonic() + 900
    while True:
        listing = "/servers?all_tenants=1&project_id={project}"
        servers = cloud.nova("GET", listing)["servers"]
        if not servers:
            break
        if time.monotonic() > end:
            raise RuntimeError(f"{len(servers)} servers are still there after 15 minutes")
        if len(servers) != before:
            before = len(servers)
            print(f"{before} servers left", flush=True)
        for server in servers:
            # 404: gone since the listing. 409: on its way to somewhere else; the next round.
            cloud.nova("DELETE", f"/servers/{server['id']}", accept=(404, 409))
        time.sleep(2)
    print("no servers")


def reset():
    for name in filter(daemons.leader, daemons.NAMES):
        daemons.signal_group(running(name), signal.SIGCONT)
    turn("spawn", ())
    turn("oidc", ())
    keystone_ttl()
    hosts("on")
    quota("none")
    wipe()


def up():
    import bringup

    try:
        bringup.up()
    except bringup.Failure as failure:
        raise RuntimeError(failure)


def down(*options):
    import bringup

    if not set(options) <= {"--purge", "--any"}:
        raise Usage("down [--purge] [--any]")
    bringup.down(purge="--purge" in options, whichever="--any" in options)


COMMANDS = {
    "up": up,
    "down": down,
    "status": status,
    "quota": quota,
    "hosts": hosts,
    "spawn": lambda *knobs: turn("spawn", knobs),
    "oidc": lambda *knobs: turn("oidc", knobs),
    "keystone-ttl": keystone_ttl,
    "freeze": send(signal.SIGSTOP),
    "thaw": send(signal.SIGCONT),
    "kill": send(signal.SIGKILL),
    "wipe": wipe,
    "reset": reset,
}


def run(words):
    name, arguments = (words[0], words[1:]) if words else ("help", [])
    if name in ("help", "-h", "--help"):
        print(HELP, end="")
        return 0
    if name not in COMMANDS:
        print(f"lab: no command '{name}'\n\n{HELP}", end="", file=sys.stderr)
        return 2
    try:
        return COMMANDS[name](*arguments) or 0
    except (Usage, TypeError) as error:
        # A TypeError is a wrong number of arguments, unless it came from further inside.
        if isinstance(error, TypeError):
            if error.__traceback__.tb_next is not None:
                raise
            error = "wrong number of arguments; see `lab help`"
        print(f"lab {name}: {error}", file=sys.stderr)
        return 2
    except (RuntimeError, OSError, ImportError) as error:
        print(f"lab {name}: {error}", file=sys.stderr)
        return 1
