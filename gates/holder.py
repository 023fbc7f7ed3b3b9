"""How a process names itself as the holder of a run."""

import os
import socket


def holder_of(pid: int) -> str:
    return f"{socket.gethostname()}:{pid}"


def this_process() -> str:
    return holder_of(os.getpid())
