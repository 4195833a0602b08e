"""Where the lab lives, which ports it takes, and the secrets it drew for itself."""

import os
import pathlib
import secrets

ROOT = pathlib.Path(os.environ.get("OPENSTACK_LAB") or "/var/tmp/openstack-lab")
SOURCE = pathlib.Path(__file__).resolve().parent.parent

# Raised whenever an older state could no longer be brought up by this code: `up` then
# throws that state away, as it holds nothing but test data.
FORMAT = "novascale-lab 1"

PORTS = {
    "keystone": 5000,
    "oidc": 5556,
    "oidc_tls": 5557,
    "nova": 8774,
    "placement": 8778,
    "glance": 9292,
    "neutron": 9696,
    "mariadb": 13306,
    "memcached": 13211,
    "epmd": 13369,
    "rabbitmq": 13672,
    "rabbitmq_dist": 13673,
}

KEYSTONE = "http://127.0.0.1:5000/v3"
ISSUER = "http://127.0.0.1:5556/auth"
ENDPOINTS = {
    "compute": "http://127.0.0.1:8774/v2.1",
    "placement": "http://127.0.0.1:8778",
    "network": "http://127.0.0.1:9696",
    "image": "http://127.0.0.1:9292",
}
SERVICE_OF = {"compute": "nova", "placement": "placement", "network": "neutron", "image": "glance"}

REGION = os.environ.get("OPENSTACK_LAB_REGION") or "US-EAST-VA-1"
API_WORKERS = os.environ.get("OPENSTACK_LAB_API_WORKERS") or "2"
# How long `up` waits for any one thing. Large, because a machine that compiles at the same
# time is slow, and a daemon that dies is noticed at once anyway.
PATIENCE = int(os.environ.get("OPENSTACK_LAB_PATIENCE") or 300)

IDENTITY_PROVIDER = "ovhcloud-emea"
PROTOCOL = "openid"
PROJECT = "lab"
HOSTS = ("a", "b")

# The service accounts, and the Keystone role that each one's claims are mapped to.
SERVICE_ACCOUNTS = {
    "admin-sa": {"secret": "SA_ADMIN_PW", "role": "member"},
    "reader-sa": {"secret": "SA_READER_PW", "role": "reader"},
    "disabled-sa": {"secret": "SA_DISABLED_PW", "role": "member", "enabled": False},
    "norole-sa": {"secret": "SA_NOROLE_PW", "role": ""},
}

SECRETS = ("DB_PW", "MQ_PW", "ADMIN_PW", "SERVICE_PW", "OPS_PW") + tuple(
    account["secret"] for account in SERVICE_ACCOUNTS.values()
)


def clean_environment():
    """What the lab's own processes see: nothing of the caller's OS_*, PYTHON* or proxies,
    any of which would send them elsewhere."""
    return {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C.UTF-8",
        "HOME": str(ROOT),
        "OPENSTACK_LAB": str(ROOT),
        "PYTHONPATH": str(ROOT / "lib"),
        "PYTHONWARNINGS": "ignore",
    }


def draw_secrets():
    path = ROOT / "secrets"
    if not path.exists():
        write(path, "".join(f"{name}={secrets.token_hex(16)}\n" for name in SECRETS), 0o600)


def read_secrets():
    lines = (ROOT / "secrets").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def database_url(name):
    password = read_secrets()["DB_PW"]
    return f"mysql+pymysql://lab:{password}@127.0.0.1:{PORTS['mariadb']}/{name}?charset=utf8"


def write(path, text, mode=0o644, group=None):
    """Replaces the file in one step, so that a reader sees the old text or the new."""
    new = path.with_name(path.name + ".new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
        os.fchmod(file.fileno(), mode)
        if group is not None:
            os.fchown(file.fileno(), -1, group)
        file.write(text)
    new.rename(path)
