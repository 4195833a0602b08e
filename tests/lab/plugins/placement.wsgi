"""Placement under mod_wsgi, with the lab's configuration instead of /etc/placement."""

import os
import sys

ETC = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "etc")
os.environ["OS_PLACEMENT_CONFIG_DIR"] = ETC
# oslo.config would read mod_wsgi's own arguments as Placement's.
sys.argv = ["placement"]

from placement import wsgi  # noqa: E402

application = wsgi.init_application()
