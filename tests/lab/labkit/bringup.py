"""`up`: from whatever state the machine is in to a lab that answers."""

import concurrent.futures
import contextlib
import datetime
import fcntl
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

import daemons
import files
from settings import (
    FORMAT,
    HOSTS,
    KEYSTONE,
    PATIENCE,
    PORTS,
    REGION,
    ROOT,
    SOURCE,
    clean_environment,
    database_url,
    read_secrets,
)

# The ports are fixed, so a machine has room for one lab; this file names it.
REGISTER = pathlib.Path("/run/lock/novascale-lab")
ETC, LOG, RUN = ROOT / "etc", ROOT / "log", ROOT / "run"
NOVA = ("--config-file", ETC / "nova.conf")
NOVA_WITH_DATABASE = (*NOVA, "--config-file", ETC / "nova-database.conf")
BEGAN = time.monotonic()


class Failure(Exception):
    """Something that ends `up` with a message, not with a traceback."""


def say(text):
    print(f"[{time.monotonic() - BEGAN:4.0f}s] {text}", flush=True)


@contextlib.contextmanager
def only_one():
    """Keeps a second `up` or `down` on this machine waiting, and opens the register."""
    REGISTER.parent.mkdir(parents=True, exist_ok=True)
    with open(REGISTER, "a+") as register:
        try:
            fcntl.flock(register, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another up or down is at work; waiting for it")
            fcntl.flock(register, fcntl.LOCK_EX)
        # Daemons must not inherit the lock; Python opens files close-on-exec.
        yield register


def registered(register):
    register.seek(0)
    text = register.read().strip()
    return pathlib.Path(text) if text else None


def enter(register, text):
    register.seek(0)
    register.truncate()
    register.write(text)
    register.flush()


def running_in(root):
    return [name for name in daemons.NAMES if daemons.leader(name, root / "run")]


# ------------------------------------------------------------------ waiting


def connects(port):
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def answers(url):
    try:
        urllib.request.urlopen(url, timeout=10)
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False
    return True


def wait_for(name, ready):
    end = time.monotonic() + PATIENCE
    while not ready():
        if daemons.leader(name) is None:
            raise Failure(f"{name} died; the end of its log:\n{daemons.tail(name)}")
        if time.monotonic() > end:
            raise Failure(
                f"{name} does not answer after {PATIENCE} s; the end of its log:\n"
                + daemons.tail(name)
            )
        time.sleep(0.2)


# ------------------------------------------------------------------ databases


class Steps:
    """Commands that set something up once, several at a time; the first failure ends all."""

    def __init__(self):
        self.running = set()
        self.lock = threading.Lock()
        self.pool = concurrent.futures.ThreadPoolExecutor(max_workers=4)
        self.futures = []
        self.ended = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with self.lock:
            self.ended = True
            for process in self.running:
                daemons.signal_group(process.pid, signal.SIGTERM)
        self.pool.shutdown(cancel_futures=True)

    def begin(self, name, step):
        future = self.pool.submit(self.once, name, step)
        self.futures.append(future)
        return future

    def finish(self):
        for future in concurrent.futures.as_completed(self.futures):
            future.result()

    def once(self, name, step):
        done = ROOT / "state" / name
        if not done.exists():
            step(lambda *command: self.command(name, *command))
            done.touch()

    def command(self, name, *command):
        with open(LOG / f"setup-{name}.log", "ab") as log:
            with self.lock:
                if self.ended:
                    raise Failure("stopped")
                process = subprocess.Popen(
                    [str(word) for word in command],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=ROOT,
                    env=clean_environment(),
                    start_new_session=True,
                )
                self.running.add(process)
            code = process.wait()
            with self.lock:
                self.running.discard(process)
        if code != 0:
            raise Failure(f"the step {name} failed:\n{daemons.tail('setup-' + name)}")


def service(name, *arguments):
    return ["/usr/bin/python3", ROOT / "lib" / "run_service.py", name, *arguments]


def sql(*statements):
    import pymysql

    connection = pymysql.connect(
        host="127.0.0.1",
        port=PORTS["mariadb"],
        user="lab",
        password=read_secrets()["DB_PW"],
        connect_timeout=5,
    )
    with connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def mariadb_ready():
    import pymysql

    try:
        sql("SELECT 1")
    except pymysql.err.OperationalError:
        return False
    return True


def empty_databases(*names):
    # A step that was cut short left half a schema, which no migration can continue.
    for name in names:
        sql(f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name} CHARACTER SET utf8mb3")


def make_keystone(run):
    manage = service("keystone-manage", "--config-file", ETC / "keystone.conf")
    owner = ["--keystone-user", "www-data", "--keystone-group", "www-data"]
    empty_databases("keystone")
    run(*manage, "db_sync")
    run(*manage, "fernet_setup", *owner)
    run(*manage, "credential_setup", *owner)
    run(
        *manage,
        "bootstrap",
        "--bootstrap-username=admin",
        f"--bootstrap-password={read_secrets()['ADMIN_PW']}",
        f"--bootstrap-region-id={REGION}",
        f"--bootstrap-public-url={KEYSTONE}",
    )


def make_nova(run):
    manage = service("nova-manage", *NOVA_WITH_DATABASE)
    empty_databases("nova_api", "nova", "nova_cell0")
    run(*manage, "api_db", "sync")
    cell0 = database_url("nova_cell0")
    run(*manage, "cell_v2", "map_cell0", "--database_connection", cell0)
    run(*manage, "db", "sync")
    run(*manage, "cell_v2", "create_cell", "--name", "cell1")


def make_neutron(run):
    empty_databases("neutron")
    manage = service("neutron-db-manage", "--config-file", ETC / "neutron.conf")
    run(*manage, "upgrade", "heads")


def make_placement(run):
    empty_databases("placement")
    manage = service("placement-manage", "--config-file", ETC / "placement.conf")
    run(*manage, "db", "sync")


def make_glance(run):
    empty_databases("glance")
    manage = service("glance-manage", "--config-file", ETC / "glance-api.conf")
    run(*manage, "db_sync")


# ------------------------------------------------------------------ daemons


def start(name, ports, command, **environment):
    """A port that someone else has would show only as a daemon that dies, or worse, as one
    that seems to answer."""
    if daemons.leader(name):
        return False
    daemons.clear_orphans(name)
    end = time.monotonic() + 5
    for port in ports:
        while connects(PORTS[port]):
            if time.monotonic() > end:
                raise Failure(
                    f"port {PORTS[port]}, which {name} needs, is taken by another program"
                )
            time.sleep(0.2)
    return daemons.start(name, command, **environment)


def start_base():
    start("epmd", ["epmd"], ["epmd"], ERL_EPMD_ADDRESS="127.0.0.1", ERL_EPMD_PORT=PORTS["epmd"])
    start_rabbitmq()
    start(
        "memcached",
        ["memcached"],
        f"memcached -u nobody -l 127.0.0.1 -p {PORTS['memcached']} -m 128 -c 4096".split(),
    )
    provider = [ROOT / "lib" / "oidc_provider.py", ROOT, PORTS["oidc"], PORTS["oidc_tls"]]
    start("oidc", ["oidc", "oidc_tls"], ["/usr/bin/python3", *provider])


def start_rabbitmq():
    # What it kept is of use to nobody once it has stopped, and can keep it from starting
    # after an unclean end.
    if not daemons.leader("rabbitmq"):
        daemons.clear_orphans("rabbitmq")
        shutil.rmtree(ROOT / "rabbitmq" / "mnesia", ignore_errors=True)
    start(
        "rabbitmq",
        ["rabbitmq", "rabbitmq_dist"],
        ["/usr/lib/rabbitmq/bin/rabbitmq-server"],
        HOME=ROOT / "rabbitmq",
        ERL_EPMD_ADDRESS="127.0.0.1",
        ERL_EPMD_PORT=PORTS["epmd"],
        RABBITMQ_NODENAME="lab@localhost",
        RABBITMQ_DIST_PORT=PORTS["rabbitmq_dist"],
        RABBITMQ_CONFIG_FILE=ETC / "rabbitmq.conf",
        RABBITMQ_ENABLED_PLUGINS_FILE=ETC / "rabbitmq-plugins",
        # Named so that the machine's own files in /etc/rabbitmq are not read; neither exists.
        RABBITMQ_ADVANCED_CONFIG_FILE=ETC / "no-advanced.config",
        RABBITMQ_CONF_ENV_FILE=ETC / "no-env.conf",
        RABBITMQ_MNESIA_BASE=ROOT / "rabbitmq" / "mnesia",
        RABBITMQ_LOG_BASE=LOG,
        RABBITMQ_PID_FILE=RUN / "rabbitmq.own",
        # Without the first three Erlang's idle schedulers spin, which two cores cannot spare.
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+sbwt none +sbwtdcpu none +sbwtdio none"
        " -kernel inet_dist_use_interface {127,0,0,1}",
    )


def start_mariadb(steps):
    settings = f"--defaults-file={ETC / 'mariadb.cnf'}"

    def install(run):
        for leftover in (ROOT / "mysql").iterdir():
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        own = "--auth-root-authentication-method=normal"
        run("mariadb-install-db", settings, "--user=root", "--skip-test-db", own)

    steps.begin("mariadb", install).result()
    start("mariadb", ["mariadb"], ["mariadbd", settings])
    wait_for("mariadb", mariadb_ready)


def start_apache(reload):
    command = ["apache2", "-f", ETC / "apache2.conf", "-DFOREGROUND"]
    if not start("apache", ["keystone", "placement"], command) and reload:
        os.kill(daemons.leader("apache"), signal.SIGUSR1)
    wait_for("apache", lambda: answers(KEYSTONE))


def start_services():
    """Says from when on a compute service's report counts: one that stopped less than a
    minute ago still reads "up"."""
    start("nova-conductor", [], service("nova-conductor", *NOVA_WITH_DATABASE))
    start("nova-api", ["nova"], service("nova-api", *NOVA_WITH_DATABASE))
    neutron = ["--config-file", ETC / "neutron.conf"]
    start("neutron-server", ["neutron"], service("neutron-server", *neutron))
    glance = ["--config-file", ETC / "glance-api.conf"]
    start("glance-api", ["glance"], service("glance-api", *glance))
    start("nova-scheduler", [], service("nova-scheduler", *NOVA_WITH_DATABASE))
    # A nova-compute that finds no conductor at work sleeps ten seconds before it asks again.
    conductor = daemons.leader("nova-conductor") or 0
    wait_for("nova-conductor", lambda: len(daemons.members(conductor)) > 1)
    since = ""
    for host in HOSTS:
        name = f"nova-compute-{host}"
        own = ["--config-file", ETC / f"{name}.conf"]
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")
        if start(name, [], service("nova-compute", *NOVA, *own)):
            since = now
    wait_for("apache", lambda: answers("http://127.0.0.1:8778/"))
    wait_for("glance-api", lambda: answers("http://127.0.0.1:9292/"))
    wait_for("neutron-server", lambda: answers("http://127.0.0.1:9696/"))
    wait_for("nova-api", lambda: answers("http://127.0.0.1:8774/"))
    return since


# ------------------------------------------------------------------ the whole


def clear_strange_state():
    """Leaves a directory that this code can work with, or none."""
    marker = ROOT / "state" / "format"
    if marker.exists():
        if marker.read_text().strip() != FORMAT:
            say("the state is of another version of the lab; starting anew")
            daemons.stop_all()
            shutil.rmtree(ROOT)
        return
    # `log` alone is what the installation of the packages left.
    if ROOT.exists() and any(entry.name != "log" for entry in ROOT.iterdir()):
        aside = ROOT.with_name(f"{ROOT.name}.aside-{int(time.time())}")
        ROOT.rename(aside)
        say(f"{ROOT} was not made by this lab; it is now {aside}")


def up():
    # Not at the top: `down` has to work where the packages were never installed.
    import seed

    with only_one() as register:
        other = registered(register)
        if other and other != ROOT and running_in(other):
            raise Failure(
                f"a lab runs from {other} already, and the ports allow one per machine; "
                f"stop it first: {SOURCE}/down --any"
            )
        clear_strange_state()
        files.prepare_folders()
        enter(register, f"{ROOT}\n")
        reload_keystone = files.write_configuration()
        files.install_plugins()
        for name in running_in(ROOT):
            daemons.signal_group(daemons.leader(name), signal.SIGCONT)

        fresh = not (ROOT / "state" / "seeded").exists()
        say("starting MariaDB, RabbitMQ, memcached and the OIDC provider")
        with Steps() as steps:
            start_base()
            start_mariadb(steps)
            if fresh:
                say("creating the databases")
            steps.begin("nova", make_nova)
            keystone = steps.begin("keystone", make_keystone)
            keystone.result()
            for name, make in (
                ("neutron", make_neutron),
                ("placement", make_placement),
                ("glance", make_glance),
            ):
                steps.begin(name, make)
            say("starting Keystone behind Apache and mod_auth_openidc")
            start_apache(reload_keystone)
            if fresh:
                seed.identity()
            steps.finish()
        wait_for("rabbitmq", lambda: connects(PORTS["rabbitmq"]))
        wait_for("oidc", lambda: connects(PORTS["oidc"]) and connects(PORTS["oidc_tls"]))
        say("starting Placement, Glance, Neutron and Nova")
        since = start_services()
        say("waiting for the compute services; networks, flavors, image, key pairs")
        seed.resources(since)
        (ROOT / "state" / "seeded").touch()
        say("up")
    print(
        f"""
OpenStack Zed runs on 127.0.0.1, region {REGION}; its state is in {ROOT}.
  export OS_CLIENT_CONFIG_FILE={ROOT}/clouds.yaml
  openstack --os-cloud ovhcloud server list
  {SOURCE}/lab help     status, quotas, failing builds, token lifetimes, frozen daemons
  {SOURCE}/down         stops it; down --purge deletes its state too"""
    )


def down(purge=False, whichever=False):
    with only_one() as register:
        root = (registered(register) or ROOT) if whichever else ROOT
        stopped = daemons.stop_all(root / "run")
        if registered(register) == root:
            enter(register, "")
        if purge and (root / "state" / "format").exists():
            shutil.rmtree(root)
        kept = f"the state stays in {root}" if root.exists() else f"nothing is left in {root}"
        print(f"stopped {stopped} daemons; {kept}")
