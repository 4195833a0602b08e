"""Starting, finding and ending the lab's daemons, without systemd.

Each daemon leads a session and process group of its own, and `run/NAME.pid` records its
process id with the boot and the clock tick of its birth. A pid file that outlived its
process (a killed test run, a reboot, a copied directory) therefore never makes a stranger
who got the same number look like ours.
"""

import os
import pathlib
import signal
import subprocess
import time

from settings import ROOT, clean_environment

RUN, LOG = ROOT / "run", ROOT / "log"

# In the order of starting; stopping goes the other way round.
NAMES = (
    "epmd",
    "mariadb",
    "rabbitmq",
    "memcached",
    "oidc",
    "apache",
    "glance-api",
    "neutron-server",
    "nova-conductor",
    "nova-scheduler",
    "nova-api",
    "nova-compute-a",
    "nova-compute-b",
)


def boot_id():
    return pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def stat(pid):
    """(state, process group, clock tick of birth), or None for a process that is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the program's name, in parentheses, and may hold anything.
    fields = text[text.rindex(")") + 2 :].split()
    return fields[0], int(fields[2]), int(fields[19])


def recorded(name, directory=RUN):
    """(pid, tick of birth) as the pid file has it, or None if it is of another boot."""
    try:
        pid, boot, born = (directory / f"{name}.pid").read_text().split()
    except (FileNotFoundError, ValueError):
        return None
    return (int(pid), int(born)) if boot == boot_id() else None


def leader(name, directory=RUN):
    """The pid of the daemon if it runs."""
    record = recorded(name, directory)
    now = record and stat(record[0])
    # A zombie counts as gone: inside a container nobody may ever reap it.
    if now and now[0] not in "ZX" and now[2] == record[1]:
        return record[0]
    return None


def members(pid):
    """The living processes of a daemon's group."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            now = stat(int(entry))
            if now and now[1] == pid and now[0] not in "ZX":
                found.append(int(entry))
    return found


def signal_group(pid, number):
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        pass


def clear_orphans(name, directory=RUN):
    """Workers can outlive a killed leader and keep its port."""
    record = recorded(name, directory)
    if record is None or leader(name, directory):
        return
    now = stat(record[0])
    # As long as one process of the group lives, its number is given to no one else; the
    # tick tells a later group with that number from ours.
    ours = now[2] == record[1] if now else True
    births = [stat(pid) for pid in members(record[0])]
    if ours and births and all(born is None or born[2] >= record[1] for born in births):
        signal_group(record[0], signal.SIGKILL)


def start(name, command, **environment):
    """Starts the daemon unless it runs; says whether it did."""
    if leader(name):
        return False
    clear_orphans(name)
    with open(LOG / f"{name}.log", "ab") as log:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=ROOT,
            env=clean_environment() | {key: str(value) for key, value in environment.items()},
            start_new_session=True,
        )
    born = stat(process.pid)[2]
    (RUN / f"{name}.pid").write_text(f"{process.pid} {boot_id()} {born}\n")
    # `up` leaves its daemons behind on purpose; Python would warn of that.
    process.returncode = 0
    return True


def stop_all(directory=RUN, patience=30):
    """Asks every daemon to end, those that use others first, then insists."""
    stages = (
        [name for name in NAMES if name.startswith(("nova", "neutron", "glance"))],
        ["apache", "oidc", "memcached", "rabbitmq", "mariadb"],
        ["epmd"],
    )
    stopped = 0
    for name in NAMES:
        clear_orphans(name, directory)
        # A frozen process cannot hear SIGTERM, nor answer one that waits for it to end.
        if leader(name, directory):
            signal_group(leader(name, directory), signal.SIGCONT)
    for stage in stages:
        pids = {name: leader(name, directory) for name in stage}
        for pid in filter(None, pids.values()):
            stopped += 1
            os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + patience
        while any(leader(name, directory) for name in stage) and time.monotonic() < end:
            time.sleep(0.1)
        for name, pid in pids.items():
            if pid:
                signal_group(pid, signal.SIGKILL)
            (directory / f"{name}.pid").unlink(missing_ok=True)
    return stopped


def tail(name, lines=25):
    try:
        text = (LOG / f"{name}.log").read_text(errors="replace")
    except FileNotFoundError:
        return "(no log)"
    return "\n".join(text.splitlines()[-lines:])
