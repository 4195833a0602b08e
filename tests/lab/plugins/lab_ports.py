"""A Neutron (ML2) mechanism driver that binds each port as soon as it is asked to.

Elsewhere an agent on the port's host reports in and does that. No fake server has a
network device for an agent to plug, so the lab runs none; addresses, security groups,
quotas and the life of a port remain Neutron's own.
"""

from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins.ml2 import api

DETAILS = {
    portbindings.CAP_PORT_FILTER: True,
    portbindings.VIF_DETAILS_CONNECTIVITY: portbindings.CONNECTIVITY_L2,
}


class ImmediateBinding(api.MechanismDriver):
    connectivity = portbindings.CONNECTIVITY_L2

    def initialize(self):
        """Nothing to set up; the base class demands that this exists."""

    def bind_port(self, context):
        segment = next(iter(context.segments_to_bind), None)
        if segment is not None:
            context.set_binding(
                segment[api.ID],
                portbindings.VIF_TYPE_OVS,
                dict(DETAILS),
                status=constants.PORT_STATUS_ACTIVE,
            )
