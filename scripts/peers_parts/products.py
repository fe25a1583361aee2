"""Times the skinny products of the first layer alone, by library: MKL, OpenBLAS, BLIS. Each in children of its own, whose variables are set before.

Says nothing of training: a step is two of these and what is between them.
"""

import ctypes.util
import json
import statistics
import sys
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path

from . import child, environment, machine, report
from .figures import interquartile
from .rounds import turn


@dataclass(frozen=True)
class Library:
    name: str
    kind: str  # mkl, openblas, blis: whom to ask for version and kernel
    path: str
    prefix: str = ""
    suffix: str = ""
    wide: bool = False  # 64-bit integers
    variables: dict = field(default_factory=dict)


def run(args, folder, say):
    libraries = list(found(args, folder, say))
    document = {"format": 1, "machine": machine.facts(), "removed_variables": environment.removed(), "rounds": args.rounds, "products": []}
    failures = 0
    for scalar, threads in [(scalar, threads) for scalar in args.scalar for threads in args.threads]:
        times, facts, out = {}, {}, {}
        for number in range(args.rounds):
            say(f"{scalar}, {threads} thread{'s' * (threads > 1)}: round {number + 1} of {args.rounds}")
            for library in turn([library for library in libraries if library.name not in out], number):
                try:
                    result = once(library, scalar, threads, folder, args.timeout)
                except child.Failed as failure:
                    out[library.name] = str(failure)
                    say(f"  {library.name}: failed: {failure}")
                    continue
                facts[library.name] = result["facts"]
                for row in result["rows"]:
                    times.setdefault((library.name, *row["product"]), []).append(row)
        failures += len(out)
        rows = [summary(key, rows, facts[key[0]], scalar, threads) for key, rows in times.items() if key[0] not in out]
        document["products"] += rows + [{"library": name, "scalar": scalar, "threads": threads, "failed": why} for name, why in out.items()]
        for line in table(rows, out, scalar, threads):
            print(line, flush=True)
        if args.output:
            report.write(document, args.output)
    for line in footnotes(document):
        print(line, flush=True)
    return 2 if failures or not libraries else 0


def found(args, folder, say):
    """What is here; what is not is said."""
    places = {"mkl": [*Path(sys.prefix, "lib").glob("libmkl_rt.so*")],
              "openblas (numpy)": [*Path(sysconfig.get_path("platlib"), "numpy.libs").glob("libscipy_openblas64_*.so")]}
    for name, hint in [("mkl", "its wheel is in peers_requirements.txt"), ("openblas (numpy)", "NumPy's wheel has another BLAS")]:
        if not places[name]:
            say(f"SKIPPED: {name}: {hint}, but it is not installed")
    if places["mkl"]:
        path = str(places["mkl"][0])
        yield Library("mkl", "mkl", path, variables={"MKL_THREADING_LAYER": "INTEL", "MKL_INTERFACE_LAYER": "LP64", "LD_LIBRARY_PATH": str(Path(path).parent)})
    if places["openblas (numpy)"]:
        yield Library("openblas (numpy)", "openblas", str(places["openblas (numpy)"][0]), "scipy_", "64_", wide=True)
    system = ctypes.util.find_library("openblas")
    if system:
        yield Library("openblas (system)", "openblas", system)
    else:
        say("SKIPPED: openblas (system): no libopenblas is installed")
    blis = str(args.blis.resolve()) if args.blis else ctypes.util.find_library("blis")
    if not blis:
        say("SKIPPED: blis: no libblis is installed (on Debian: libblis4-pthread), or named by --blis")
        return
    yield (unset := Library("blis", "blis", blis))
    try:
        known = once(unset, "archs", 1, folder, args.timeout)
    except child.Failed as failure:
        say(f"SKIPPED: BLIS_ARCH_TYPE: BLIS does not list what it knows: {failure}")
        return
    for arch in blis_archs() if args.blis_arch is None else args.blis_arch:
        if arch in known:
            yield Library(f"blis BLIS_ARCH_TYPE={arch}", "blis", blis, variables={"BLIS_ARCH_TYPE": str(known.index(arch))})
        else:
            say(f"SKIPPED: BLIS_ARCH_TYPE={arch}: this BLIS knows {', '.join(known)}")


def blis_archs():
    """Left alone BLIS falls back to plain C on a CPU that is newer than itself."""
    flags = machine.cpu_flags()
    return [arch for arch, flag in [("haswell", "avx2"), ("zen3", "avx2"), ("skx", "avx512f")] if flag in flags]


def once(library, task, threads, folder, limit):
    result = folder / "products.json"
    result.unlink(missing_ok=True)
    described = json.dumps({"kind": library.kind, "path": library.path, "prefix": library.prefix, "suffix": library.suffix, "wide": library.wide})
    command = [sys.executable, "-m", "peers_parts.products_worker", described, task, result]
    child.run(command, threads, environment.for_child(threads, **library.variables), limit)
    try:
        return json.loads(result.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        raise child.Failed("ended well without a result") from None


def summary(key, rows, facts, scalar, threads):
    library, product, n, stored, how = key
    seconds = [row["seconds"] for row in rows]
    packs = [row["pack_seconds"] for row in rows if row["pack_seconds"] is not None]
    return {"library": library, "kernel": facts["kernel"], "product": product, "n": n, "stored": stored, "how": how, "scalar": scalar, "threads": threads,
            "seconds": seconds, "gflops": rows[0]["flop"] / statistics.median(seconds) / 1e9, "pack_seconds": statistics.median(packs) if packs else None,
            "busy": statistics.median(row["busy"] for row in rows)}


def table(rows, out, scalar, threads):
    yield f"### products: {scalar}, {threads} thread{'s' * (threads > 1)}\n"
    yield "| product | units | X stored | library | how | us | IQR us | GFLOP/s | packing us | busy threads | kernel |"
    yield "| --- | --: | --- | --- | --- | --: | --: | --: | --: | --: | --- |"
    order = lambda row: (row["product"] != "forward", -row["n"], row["stored"], statistics.median(row["seconds"]))
    for row in sorted(rows, key=order):
        spread = interquartile(row["seconds"])
        cells = [row["product"], row["n"], row["stored"], row["library"], row["how"], report.number(statistics.median(row["seconds"]) * 1e6),
                 report.number(None if spread is None else spread * 1e6, 3), report.number(row["gflops"], 3),
                 report.number(None if row["pack_seconds"] is None else row["pack_seconds"] * 1e6), report.number(row["busy"], 3), row["kernel"]]
        yield "| " + " | ".join(map(str, cells)) + " |"
    yield ""
    for name, why in out.items():
        yield f"- {name}: no times, failed: {why}"
    yield ""


def footnotes(document):
    yield f"{machine.words(document['machine'])}.\n"
    if document["removed_variables"]:
        yield f"Set in the shell, and taken from all children: {', '.join(document['removed_variables'])}.\n"
    yield ("forward: Z (n, 209) = W (n, 12288) X; dW (n, 12288) = dZ (n, 209) X^T. X is stored `pixel rows`, as the formulas have it, or `picture rows`, "
           "as the notebook makes it. `gemm` is the plain call; `packed` is MKL's pack-and-compute with X packed once, packing apart. The time is the median "
           "of the calls of a process, then of the rounds' processes; some elements of each result were checked before.\n")
