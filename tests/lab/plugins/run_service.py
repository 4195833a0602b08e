"""Runs one OpenStack program by name: run_service.py NAME ARGUMENT...

Debian's packages with these programs in /usr/bin bring service units, debconf questions
and a hypervisor along; all of the code is in the python3-* packages, so the lab calls that.
"""

import importlib
import sys

PROGRAMS = {
    "glance-api": "glance.cmd.api",
    "glance-manage": "glance.cmd.manage",
    "keystone-manage": "keystone.cmd.manage",
    "neutron-db-manage": "neutron.db.migration.cli",
    "neutron-server": "neutron.cmd.eventlet.server",
    "nova-api": "nova.cmd.api_os_compute",
    "nova-compute": "nova.cmd.compute",
    "nova-conductor": "nova.cmd.conductor",
    "nova-manage": "nova.cmd.manage",
    "nova-scheduler": "nova.cmd.scheduler",
    "placement-manage": "placement.cmd.manage",
}


def before_nova_compute():
    # Nova looks for its driver below nova.virt only.
    sys.modules["nova.virt.lab"] = importlib.import_module("lab_hypervisor")


def before_neutron_server():
    # There is no agent; pushing each changed object to none of them still costs time per port.
    from neutron.plugins.ml2 import ovo_rpc

    ovo_rpc.OVOServerRpcInterface = lambda: None


def run(name):
    # eventlet patches the standard library when this import runs, so it has to come first.
    program = importlib.import_module(PROGRAMS[name])
    prepare = {
        "nova-compute": before_nova_compute,
        "neutron-server": before_neutron_server,
    }.get(name)
    if prepare:
        prepare()
    # Nova's programs read their own name from here.
    sys.argv = ["/usr/bin/" + name] + sys.argv[2:]
    return program.main()


sys.exit(run(sys.argv[1]))
