"""Starts a child on some CPUs, waits for it with a limit, and leaves none behind, however this program ends (short of SIGKILL)."""

import os
import signal
import subprocess
from contextlib import contextmanager


class Failed(Exception):
    """The child crashed, refused or ran too long: a row without a time, not the end of the program."""


class Interrupts:
    """SIGINT, SIGTERM and SIGHUP become KeyboardInterrupt, but not while a child is being started: it would be lost."""

    def __init__(self):
        self.held = self.pending = False

    def install(self):
        for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
            if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
                signal.signal(number, self.arrived)

    def arrived(self, *_):
        if self.held:
            self.pending = True
        else:
            raise KeyboardInterrupt

    @contextmanager
    def hold(self):
        self.held = True
        try:
            yield
        finally:
            self.held = False


INTERRUPTS = Interrupts()


@contextmanager
def pinned(cpus):
    """The child inherits this: no moment of it runs elsewhere, as it would where it pinned itself."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def first_cpus(count):
    return sorted(os.sched_getaffinity(0))[:count]


def run(command, threads, environment, limit):
    """Standard output of the command on the first `threads` CPUs, or Failed with its last words."""
    child = None
    try:
        with INTERRUPTS.hold(), pinned(first_cpus(threads)):
            # A session of its own: Ctrl-C reaches the parent alone, and the whole group can be ended.
            child = subprocess.Popen([str(part) for part in command], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True)
        if INTERRUPTS.pending:
            raise KeyboardInterrupt
        out, errors = child.communicate(timeout=limit)
    except OSError as error:
        raise Failed(f"could not be started: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise Failed(f"ran past {limit:g} s and was ended") from None
    finally:
        if child is not None and child.returncode is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    if child.returncode < 0:
        raise Failed(f"died of {signal.Signals(-child.returncode).name}")
    if child.returncode:
        lines = [line.strip() for line in errors.splitlines() if line.strip()]
        raise Failed(f"exit code {child.returncode}: {lines[-1] if lines else 'no message'}")
    return out
