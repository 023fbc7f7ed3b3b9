"""Who acts on the command line: the account of the operating system, as the audit names it."""

import getpass

from engines.actors import Actor


def local_actor() -> Actor:
    name = getpass.getuser()
    return Actor("process", f"shell:{name}", f"{name} (command line)")
