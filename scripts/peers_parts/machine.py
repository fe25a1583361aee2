"""What this machine is, as far as a reader of the table must know."""

import os
import platform


def facts():
    return {"cpu": cpu_model(), "cpus_allowed": len(os.sched_getaffinity(0)), "system": platform.system(), "load_at_start": round(os.getloadavg()[0], 2),
            "vector_sets": [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_tile") if flag in cpu_flags()]}


def words(facts):
    """Of a report, from the facts in it."""
    return (f"{facts['cpu']}, {facts['cpus_allowed']} CPUs for this program ({', '.join(facts['vector_sets']) or 'no AVX2'}), load "
            f"{facts['load_at_start']} at the start")


def cpu_model():
    return first_of("model name") or platform.machine()


def cpu_flags():
    return set(first_of("flags").split())


def first_of(key):
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")
