"""The lab's directory: its layout, and every file that is made from conf/ and plugins/."""

import grp
import json
import shutil
import string

from settings import (
    API_WORKERS,
    FORMAT,
    HOSTS,
    IDENTITY_PROVIDER,
    PORTS,
    PROTOCOL,
    REGION,
    ROOT,
    SERVICE_ACCOUNTS,
    SERVICE_OF,
    SOURCE,
    database_url,
    draw_secrets,
    read_secrets,
    write,
)

FOLDERS = (
    "etc",
    "images",
    "keystone",
    "knobs",
    "lib",
    "locks",
    "log",
    "mysql",
    "nova/a",
    "nova/api",
    "nova/b",
    "rabbitmq",
    "run",
    "state",
)

KNOBS = {
    "spawn": {"delay": 0, "jitter": 0, "fail_rate": 0, "fault": "abort", "destroy_delay": 0},
    "oidc": {"ttl": 3600, "fail": 0, "delay": 0},
    "keystone": {"ttl": 3600},
}

ENTRY_POINTS = "[neutron.ml2.mechanism_drivers]\nlab = lab_ports:ImmediateBinding\n"
METADATA = "Metadata-Version: 2.1\nName: novascale-lab\nVersion: 1\n"


def knobs_file(name):
    return ROOT / "knobs" / f"{name}.json"


def read_knobs(name):
    return KNOBS[name] | json.loads(knobs_file(name).read_text())


def write_knobs(name, values):
    write(knobs_file(name), json.dumps(values) + "\n")


def prepare_folders():
    ROOT.mkdir(parents=True, exist_ok=True)
    ROOT.chmod(0o755)
    for folder in FOLDERS:
        (ROOT / folder).mkdir(parents=True, exist_ok=True)
    write(ROOT / "state" / "format", FORMAT + "\n")


def render(name, **more):
    values = {
        "ROOT": ROOT,
        "REGION": REGION,
        "API_WORKERS": API_WORKERS,
        "IDENTITY_PROVIDER": IDENTITY_PROVIDER,
        "PROTOCOL": PROTOCOL,
    }
    values |= read_secrets()
    values |= {"PORT_" + key.upper(): port for key, port in PORTS.items()}
    values |= more
    # Strict: a placeholder without a value is an error, not an empty string.
    return string.Template((SOURCE / "conf" / name).read_text()).substitute(values)


def service_parts():
    """What the services' files share: database addresses, accounts, Keystone's sections."""
    parts = {
        "COMMON": render("part-common"),
        "TRANSPORT": f"rabbit://openstack:{read_secrets()['MQ_PW']}@127.0.0.1:{PORTS['rabbitmq']}/",
    }
    for name in ("keystone", "placement", "glance", "neutron", "nova_api", "nova"):
        parts["DATABASE_" + name.upper()] = database_url(name)
    for service in SERVICE_OF.values():
        credentials = render("part-credentials", SERVICE=service)
        parts["CREDENTIALS_" + service.upper()] = credentials
        parts["TOKENS_" + service.upper()] = render("part-tokens", CREDENTIALS=credentials)
    return parts


def write_configuration():
    """Writes everything; says whether Keystone's file is another than it was."""
    draw_secrets()
    for name, values in KNOBS.items():
        if not knobs_file(name).exists():
            write_knobs(name, values)

    clients = {
        name: account | {"secret": read_secrets()[account["secret"]]}
        for name, account in SERVICE_ACCOUNTS.items()
    }
    write(ROOT / "etc" / "oidc-clients.json", json.dumps(clients, indent=1) + "\n", 0o600)

    # Keystone and Placement run as Apache's user; nobody else is to read the passwords.
    group = grp.getgrnam("www-data").gr_gid
    parts = service_parts() | {"KEYSTONE_TTL": read_knobs("keystone")["ttl"]}
    keystone = ROOT / "etc" / "keystone.conf"
    before = keystone.read_text() if keystone.exists() else None
    for source in sorted((SOURCE / "conf").iterdir()):
        if not source.name.startswith("part-") and source.name != "nova-compute-host.conf":
            write(ROOT / "etc" / source.name, render(source.name, **parts), 0o640, group)
    for host in HOSTS:
        text = render("nova-compute-host.conf", HOST=host)
        write(ROOT / "etc" / f"nova-compute-{host}.conf", text, 0o640, group)
    return keystone.read_text() != before


def install_plugins():
    """Copies, because Apache's user may not be able to enter the checkout."""
    for source in (SOURCE / "plugins").iterdir():
        if source.is_file():
            shutil.copyfile(source, ROOT / "lib" / source.name)
    # An entry point is how Neutron finds a mechanism driver; this is one without pip.
    package = ROOT / "lib" / "novascale_lab-1.dist-info"
    package.mkdir(exist_ok=True)
    (package / "METADATA").write_text(METADATA)
    (package / "entry_points.txt").write_text(ENTRY_POINTS)
