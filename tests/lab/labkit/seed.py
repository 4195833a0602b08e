"""What a freshly made cloud lacks: accounts, federation, networks, flavors, an image; and
the files that a client needs. Everything is looked for before it is made."""

import json
import shlex
import time

import yaml
from keystoneauth1 import exceptions, loading
from keystoneauth1 import session as keystone_session

from settings import (
    ENDPOINTS,
    HOSTS,
    IDENTITY_PROVIDER,
    ISSUER,
    KEYSTONE,
    PATIENCE,
    PROJECT,
    PROTOCOL,
    REGION,
    ROOT,
    SERVICE_ACCOUNTS,
    SERVICE_OF,
    read_secrets,
    write,
)

NOVA = ENDPOINTS["compute"]
NEUTRON = ENDPOINTS["network"] + "/v2.0"
GLANCE = ENDPOINTS["image"] + "/v2"
FEDERATION = KEYSTONE + "/OS-FEDERATION"
IMAGE = "Debian 12"
KEY_PAIR = "ops"

# name, vCPUs, RAM in MiB, disk in GB
FLAVORS = (
    ("d2-2", 1, 2048, 25),
    ("d2-4", 2, 4096, 50),
    ("b3-8", 2, 8192, 50),
    ("b3-16", 4, 16384, 100),
)

# name, network, IP version, range
SUBNETS = (
    ("Ext-Net-v4", "Ext-Net", 4, "198.18.0.0/16"),
    ("Ext-Net-v6", "Ext-Net", 6, "2001:db8:1::/64"),
    ("private-v4", "private", 4, "10.0.0.0/16"),
)

# The service accounts' clouds; the other three are added where their parts are known.
CLOUD_OF_ACCOUNT = {
    "ovhcloud": "admin-sa",
    "ovhcloud-reader": "reader-sa",
    "ovhcloud-disabled": "disabled-sa",
    "ovhcloud-norole": "norole-sa",
}


class Client:
    """JSON over an authenticated session, ending in a readable error."""

    def __init__(self, auth_type, **auth):
        # The option of clouds.yaml has another name in the plugin.
        if "openid_scope" in auth:
            auth["scope"] = auth.pop("openid_scope")
        loader = loading.get_plugin_loader(auth_type)
        self.session = keystone_session.Session(
            loader.load_from_options(**({"auth_url": KEYSTONE} | auth))
        )

    def call(self, method, url, body=None, accept=(), microversion=None, **options):
        if body is not None:
            options["json"] = body
        if microversion:
            options["headers"] = {"OpenStack-API-Version": f"compute {microversion}"}
        try:
            answer = self.session.request(
                url, method, raise_exc=False, connect_retries=5, **options
            )
        except exceptions.ClientException as error:
            raise RuntimeError(f"{method} {url}: {error}") from None
        if answer.status_code >= 400 and answer.status_code not in accept:
            raise RuntimeError(f"{method} {url}: {answer.status_code} {answer.text[:500]}")
        is_json = "json" in answer.headers.get("Content-Type", "")
        return answer.json() if answer.text and is_json else None

    def token_life(self):
        """How long a new token of this client lives, in seconds; 0 while none is to be had."""
        self.session.invalidate()
        try:
            access = self.session.auth.get_access(self.session)
        except exceptions.ClientException:
            return 0
        return round((access.expires - access.issued).total_seconds())

    def ensure(self, url, kind, wanted, same=("name",)):
        """The object of the list at url that agrees with wanted in some keys, else a new one."""
        for found in self.call("GET", url)[kind + "s"]:
            # Key pairs are wrapped once more than the rest.
            found = found.get(kind, found)
            if all(found.get(key) == wanted[key] for key in same):
                return found
        return self.call("POST", url, {kind: wanted})[kind]


def admin(project="admin"):
    return Client(
        "password",
        username="admin",
        password=read_secrets()["ADMIN_PW"],
        project_name=project,
        user_domain_id="default",
        project_domain_id="default",
    )


def project_id(client):
    return client.call("GET", f"{KEYSTONE}/projects?name={PROJECT}")["projects"][0]["id"]


def identity():
    client = admin()
    # Of these Keystone's bootstrap in Zed makes all but `service`.
    roles = {
        name: client.ensure(KEYSTONE + "/roles", "role", {"name": name})["id"]
        for name in ("admin", "member", "reader", "service")
    }
    projects = {
        name: client.ensure(
            KEYSTONE + "/projects", "project", {"name": name, "domain_id": "default"}
        )
        for name in ("service", PROJECT)
    }

    def user(name, secret):
        password = read_secrets()[secret]
        wanted = {"name": name, "domain_id": "default", "password": password}
        return client.ensure(KEYSTONE + "/users", "user", wanted)

    def assign(role, project, kind, owner):
        path = f"/projects/{projects[project]['id']}/{kind}/{owner['id']}/roles/{roles[role]}"
        client.call("PUT", KEYSTONE + path)

    for name in SERVICE_OF.values():
        account = user(name, "SERVICE_PW")
        assign("admin", "service", "users", account)
        assign("service", "service", "users", account)
    assign("member", PROJECT, "users", user("ops", "OPS_PW"))
    assign("admin", PROJECT, "users", user("admin", "ADMIN_PW"))
    for role in ("member", "reader"):
        wanted = {"name": f"lab-{role}s", "domain_id": "default"}
        assign(role, PROJECT, "groups", client.ensure(KEYSTONE + "/groups", "group", wanted))

    for kind, name in SERVICE_OF.items():
        wanted = {"name": name, "type": kind}
        entry = client.ensure(KEYSTONE + "/services", "service", wanted)
        client.ensure(
            KEYSTONE + "/endpoints",
            "endpoint",
            {
                "service_id": entry["id"],
                "interface": "public",
                "region_id": REGION,
                "url": ENDPOINTS[kind],
            },
            same=("service_id", "interface"),
        )
    federate(client)


def federate(client):
    """Every account of the identity provider becomes a user; its claim `role` picks a group
    and so a role. Without the claim there is a user who may do nothing."""
    name = {"type": "HTTP_OIDC_SUB"}
    rules = [{"local": [{"user": {"name": "{0}"}}], "remote": [name]}]
    for role in ("member", "reader"):
        group = {"name": f"lab-{role}s", "domain": {"id": "default"}}
        claim = {"type": "HTTP_OIDC_ROLE", "any_one_of": [role]}
        rules.append(
            {"local": [{"user": {"name": "{0}"}}, {"group": group}], "remote": [name, claim]}
        )
    provider = f"{FEDERATION}/identity_providers/{IDENTITY_PROVIDER}"
    mapping = FEDERATION + "/mappings/ovhcloud"
    exists = (409,)
    wanted = {"enabled": True, "remote_ids": [ISSUER], "domain_id": "default"}
    client.call("PUT", provider, {"identity_provider": wanted}, exists)
    client.call("PUT", mapping, {"mapping": {"rules": rules}}, exists)
    client.call("PATCH", mapping, {"mapping": {"rules": rules}})
    wanted = {"mapping_id": "ovhcloud"}
    client.call("PUT", f"{provider}/protocols/{PROTOCOL}", {"protocol": wanted}, exists)


def resources(since):
    """`since`: when the compute services were started, if they were."""
    client = admin()
    project = project_id(client)
    for name, vcpus, ram, disk in FLAVORS:
        wanted = {"name": name, "vcpus": vcpus, "ram": ram, "disk": disk}
        client.ensure(NOVA + "/flavors", "flavor", wanted)
    networks = make_networks(client, project)
    image = make_image(client)
    clouds = describe_clouds(project)
    make_key_pairs(clouds)
    clouds["appcred"] = application_credential(clouds["ops"])
    await_compute_services(client, since)
    make_zones(client)
    write_client_files(clouds)
    ids = {
        "project": project,
        "Ext-Net": networks["Ext-Net"]["id"],
        "private": networks["private"]["id"],
        "image": image["id"],
        "flavors": {
            flavor["name"]: flavor["id"]
            for flavor in client.call("GET", NOVA + "/flavors")["flavors"]
        },
        "zones": [f"us-east-va-1-{host}" for host in HOSTS],
    }
    write(ROOT / "ids.json", json.dumps(ids, indent=1) + "\n")


def make_networks(client, project):
    networks = {
        "Ext-Net": client.ensure(
            NEUTRON + "/networks",
            "network",
            {
                "name": "Ext-Net",
                "shared": True,
                "router:external": True,
                "provider:network_type": "flat",
                "provider:physical_network": "public",
            },
        ),
        "private": client.ensure(
            NEUTRON + "/networks",
            "network",
            {"name": "private", "project_id": project},
            same=("name", "project_id"),
        ),
    }
    for name, network, version, cidr in SUBNETS:
        client.ensure(
            NEUTRON + "/subnets",
            "subnet",
            {
                "name": name,
                "network_id": networks[network]["id"],
                "project_id": networks[network]["project_id"],
                "ip_version": version,
                "cidr": cidr,
                "enable_dhcp": True,
            },
        )
    return networks


def make_image(client):
    images = client.call("GET", GLANCE + "/images")["images"]
    image = next((image for image in images if image["name"] == IMAGE), None)
    if image is None:
        wanted = {
            "name": IMAGE,
            "visibility": "public",
            "disk_format": "raw",
            "container_format": "bare",
            "min_disk": 0,
            "min_ram": 0,
        }
        image = client.call("POST", GLANCE + "/images", wanted)
    if image["status"] != "active":
        client.call(
            "PUT",
            f"{GLANCE}/images/{image['id']}/file",
            data=b"nobody boots this\n",
            headers={"Content-Type": "application/octet-stream"},
        )
    return image


def cloud(auth_type, **auth):
    return {
        "region_name": REGION,
        "interface": "public",
        "identity_api_version": "3",
        "auth_type": auth_type,
        "auth": {"auth_url": KEYSTONE} | auth,
    }


def describe_clouds(project):
    secrets = read_secrets()
    clouds = {
        name: cloud(
            "v3oidcclientcredentials",
            identity_provider=IDENTITY_PROVIDER,
            protocol=PROTOCOL,
            discovery_endpoint=ISSUER + "/.well-known/openid-configuration",
            client_id=account,
            client_secret=secrets[SERVICE_ACCOUNTS[account]["secret"]],
            access_token_type="id_token",
            openid_scope="openid profile email publicCloudProject/all",
            project_id=project,
        )
        for name, account in CLOUD_OF_ACCOUNT.items()
    }
    for user, secret in (("ops", "OPS_PW"), ("admin", "ADMIN_PW")):
        clouds[user] = cloud(
            "password",
            username=user,
            password=secrets[secret],
            user_domain_id="default",
            project_id=project,
        )
    return clouds


def client_of(cloud):
    return Client(cloud["auth_type"], **cloud["auth"])


def make_key_pairs(clouds):
    """One for each user who may create servers or be tried at it: Nova keeps key pairs per
    user, not per project."""
    path = ROOT / "etc" / "ops.pub"
    if not path.exists():
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519

        public = ed25519.Ed25519PrivateKey.generate().public_key()
        line = public.public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        write(path, line.decode() + " ops\n")
    wanted = {"name": KEY_PAIR, "public_key": path.read_text().strip()}
    for name in ("ovhcloud", "ovhcloud-reader", "ops", "admin"):
        client_of(clouds[name]).ensure(NOVA + "/os-keypairs", "keypair", wanted)


def application_credential(ops):
    # Keystone shows the secret once, when it is made.
    saved = ROOT / "state" / "application-credential.json"
    if not saved.exists():
        client = client_of(ops)
        url = f"{KEYSTONE}/users/{client.session.get_user_id()}/application_credentials"
        for old in client.call("GET", url)["application_credentials"]:
            client.call("DELETE", f"{url}/{old['id']}")
        made = client.call("POST", url, {"application_credential": {"name": "lab"}})
        write(saved, json.dumps(made["application_credential"]), 0o600)
    made = json.loads(saved.read_text())
    return cloud(
        "v3applicationcredential",
        application_credential_id=made["id"],
        application_credential_secret=made["secret"],
    )


def await_compute_services(client, since):
    expected = {f"lab-compute-{host}" for host in HOSTS}
    end = time.monotonic() + PATIENCE
    while True:
        services = client.call("GET", NOVA + "/os-services?binary=nova-compute")["services"]
        reporting = {
            service["host"]
            for service in services
            if service["state"] == "up" and (service["updated_at"] or "") > since
        }
        # A host takes servers once the scheduler has found it for the cell.
        hypervisors = client.call("GET", NOVA + "/os-hypervisors/detail")["hypervisors"]
        found = {hypervisor["service"]["host"] for hypervisor in hypervisors}
        if expected <= reporting & found:
            return
        if time.monotonic() > end:
            raise RuntimeError(
                f"after {PATIENCE} s the compute services that report are {sorted(reporting)}, "
                f"and those in the cell {sorted(found)}"
            )
        time.sleep(0.5)


def make_zones(client):
    for letter in HOSTS:
        zone, host = f"us-east-va-1-{letter}", f"lab-compute-{letter}"
        wanted = {"name": zone, "availability_zone": zone}
        aggregate = client.ensure(NOVA + "/os-aggregates", "aggregate", wanted)
        if host not in aggregate.get("hosts", []):
            url = f"{NOVA}/os-aggregates/{aggregate['id']}/action"
            client.call("POST", url, {"add_host": {"host": host}}, accept=(409,))


def write_client_files(clouds):
    text = yaml.safe_dump({"clouds": clouds}, sort_keys=False)
    write(ROOT / "clouds.yaml", text, 0o600)
    forget = (
        "for name in $(env | sed -n 's/^\\(OS_[A-Z0-9_]*\\)=.*/\\1/p'); do unset \"$name\"; done\n"
    )
    for name, described in clouds.items():
        variables = {
            "OS_AUTH_TYPE": described["auth_type"],
            "OS_IDENTITY_API_VERSION": described["identity_api_version"],
            "OS_INTERFACE": described["interface"],
            "OS_REGION_NAME": described["region_name"],
        }
        variables |= {"OS_" + key.upper(): value for key, value in described["auth"].items()}
        lines = [f"export {key}={shlex.quote(value)}\n" for key, value in sorted(variables.items())]
        suffix = name.removeprefix("ovhcloud").lstrip("-")
        file = "openrc-" + suffix if suffix else "openrc"
        write(ROOT / file, forget + "".join(lines), 0o600)
