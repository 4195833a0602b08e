"""Keystone under mod_wsgi, with the lab's configuration instead of /etc/keystone."""

import os
import sys

ETC = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "etc")
os.environ["OS_KEYSTONE_CONFIG_FILES"] = os.path.join(ETC, "keystone.conf")
# oslo.config would read mod_wsgi's own arguments as Keystone's.
sys.argv = ["keystone"]

from keystone.server import wsgi  # noqa: E402

application = wsgi.initialize_public_application()
