"""Start one command, wait for it, and write down what it used. A process of its own, and a small one.

    python -I -S launch.py USAGE_FILE COMMAND...

Why not from the measuring process itself: the kernel counts the memory of the process that starts a command as the
command's own until the command's program is loaded. Ten megabytes of this one are all it can add.
"""

import json
import os
import resource
import sys
import time


def main(usage_file: str, *command: str) -> None:
    """Run `command` with this process's streams and environment; USAGE_FILE gets times, peak, bytes and status."""
    start = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, os.environ)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # not reaped yet, so that /proc/PID can still be read
    wall = time.perf_counter() - start
    read = read_bytes(pid)
    _, status = os.waitpid(pid, 0)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    facts = {
        "wall_s": wall,
        "user_s": usage.ru_utime,
        "system_s": usage.ru_stime,
        "peak_bytes": usage.ru_maxrss * 1024,
        "read_bytes": read,
        "status": os.waitstatus_to_exitcode(status),
    }
    with open(usage_file, "w", encoding="utf-8") as file:
        json.dump(facts, file)


def read_bytes(pid: int) -> int:
    """`rchar` of a process that has ended; it includes the descendants that the process waited for."""
    with open(f"/proc/{pid}/io", encoding="utf-8") as file:
        return int(dict(line.split(": ") for line in file)["rchar"])


if __name__ == "__main__":
    main(*sys.argv[1:])
