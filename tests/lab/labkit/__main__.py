"""The lab's command line; `up`, `down` and `lab` beside this directory call it."""

import os
import sys

# Named before the imports below read them; the environment of the caller must not reach
# the clients in here either (proxies, OS_* variables).
KEPT = [name for name in os.environ if name.startswith("OPENSTACK_LAB")]


def main():
    settings = {name: os.environ[name] for name in KEPT}
    import settings as places

    os.environ.clear()
    os.environ.update(places.clean_environment() | settings)
    os.umask(0o022)
    import commands

    return commands.run(sys.argv[1:])


sys.exit(main())
