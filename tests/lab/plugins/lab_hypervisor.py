"""Nova's fake hypervisor, made slow or faulty on demand, with servers that survive it.

knobs/spawn.json is read while a build or a deletion waits, so that a change takes effect
at once, also on what already waits:

  delay, jitter    seconds that a build takes: delay plus a random part of jitter
  fail_rate        the share of builds that fail, 0 to 1
  fault            "abort": such a server ends in ERROR; "reschedule": Nova first tries it
                   on another host
  destroy_delay    seconds that a deletion takes
"""

import json
import os
import random
import time

from nova import exception
from nova.compute import power_state
from nova.scheduler.client import report
from nova.virt import fake

KNOBS = os.path.join(os.environ["OPENSTACK_LAB"], "knobs", "spawn.json")


def no_allocations(client, context, nodename):
    """At each build Zed's resource tracker reads the allocations of every server on its
    host, one request each: a hundred builds on one host then take minutes. The fake
    hypervisor has no use for the answer, and a real host holds far fewer servers."""
    return {}


report.SchedulerReportClient.get_allocations_for_provider_tree = no_allocations


def knob(name):
    try:
        with open(KNOBS) as file:
            return json.load(file).get(name) or 0
    except (OSError, ValueError):
        return 0


def wait_for(seconds):
    """Waits until as long has passed as seconds() then asks for."""
    began = time.monotonic()
    while (left := began + seconds() - time.monotonic()) > 0:
        time.sleep(min(left, 0.5))


class LabDriver(fake.FakeDriver):
    # Enough for any test: what limits a test is the quota.
    vcpus = 10_000
    memory_mb = 80_000_000
    local_gb = 6_000_000

    def spawn(self, context, instance, *args, **kwargs):
        share = random.random()
        wait_for(lambda: knob("delay") + share * knob("jitter"))
        if random.random() < knob("fail_rate"):
            reason = "the lab was told to fail builds"
            if knob("fault") == "reschedule":
                raise exception.ComputeResourcesUnavailable(reason=reason)
            raise exception.BuildAbortException(instance_uuid=instance.uuid, reason=reason)
        return super().spawn(context, instance, *args, **kwargs)

    def destroy(self, context, instance, *args, **kwargs):
        wait_for(lambda: knob("destroy_delay"))
        self.remember(instance)
        return super().destroy(context, instance, *args, **kwargs)

    def get_info(self, instance, use_cache=True):
        self.remember(instance)
        return super().get_info(instance, use_cache=use_cache)

    def remember(self, instance):
        """The fake hypervisor forgets its servers when nova-compute ends; Nova would then
        call them shut off. One that was launched once is taken to be as it was."""
        if instance.uuid in self.instances or not instance.launched_at:
            return
        stopped = instance.vm_state == "stopped"
        flavor = instance.flavor
        self.resources.claim(vcpus=flavor.vcpus, mem=flavor.memory_mb, disk=flavor.root_gb)
        self.instances[instance.uuid] = fake.FakeInstance(
            instance.name,
            power_state.SHUTDOWN if stopped else power_state.RUNNING,
            instance.uuid,
        )
