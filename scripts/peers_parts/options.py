"""The command line of scripts/peers. Checks what can be checked before anything is started."""

import argparse
import os
from pathlib import Path

from .contestants import PEERS, our_contestants
from .course import MODELS, ROOT, SCALARS, Refused

OPTIONAL = sorted({peer.package for peer in PEERS if peer.package})


def parse(arguments=None):
    parser = argparse.ArgumentParser(prog="scripts/peers", description="Times the course's training in NumPy, JAX and others beside layerbench.", allow_abbrev=False,
                                     epilog="Tables go to standard output, progress to standard error. What is compared, and what the clock covers: "
                                            "docs/peers.md. Exit code: 0 all agree, 1 one disagrees, 2 usage, environment, or one that failed, "
                                            "130 interrupted.")
    names = ", ".join(peer.name for peer in PEERS)
    parser.add_argument("--ours", type=listed, default=["simd", "simd+implicit", "openblas"], metavar="LIST",
                        help="layerbench's backends, +implicit for the implicit first layer; none for none [simd,simd+implicit,openblas]")
    parser.add_argument("--with", dest="packages", type=listed, default=[], metavar="LIST", help=f"optional peers: {', '.join(OPTIONAL)} (large downloads)")
    parser.add_argument("--only", type=listed, metavar="LIST", help=f"of the peers only these: {names}; none for none")
    parser.add_argument("--baseline", metavar="NAME", help="whom ratios are to [numpy]")
    parser.add_argument("--layerbench", type=Path, default=ROOT / "target/release/layerbench", metavar="PATH", help="the program [target/release/layerbench]")
    parser.add_argument("--model", type=listed, default=["l-layer"], metavar="LIST", help=f"{', '.join(MODELS)} [l-layer]")
    parser.add_argument("--scalar", type=listed, default=list(SCALARS), metavar="LIST", help="f64, f32 [both]")
    parser.add_argument("--threads", type=listed, default=["1", "all"], metavar="LIST", help="numbers, or all [1,all]")
    parser.add_argument("--steps", type=positive, default=2500, metavar="N", help="steps of a timed run [2500]")
    parser.add_argument("--warm-steps", type=positive, default=5, metavar="N", help="steps of the run before it [5]")
    parser.add_argument("--rounds", type=positive, default=6, metavar="N", help="timed runs of each contestant; under 6 there are no intervals [6]")
    parser.add_argument("--timeout", type=positive, default=1800, metavar="SECONDS", help="limit of one child [1800]")
    parser.add_argument("--output", type=Path, metavar="FILE", help="everything as JSON, written anew after each table")
    parser.add_argument("--products", action="store_true", help="time the skinny products alone instead, by library")
    parser.add_argument("--blis", type=Path, metavar="PATH", help="with --products: this libblis [the system's]")
    parser.add_argument("--blis-arch", type=listed, metavar="LIST", help="with --products: values of BLIS_ARCH_TYPE to try beside none [by this CPU]")
    args = parser.parse_args(arguments)

    for values, known, what in [(args.model, MODELS, "model"), (args.scalar, SCALARS, "scalar type"), (args.packages, OPTIONAL, "optional peer"),
                                (args.only or [], [peer.name for peer in PEERS], "peer")]:
        for value in values:
            if value not in known:
                raise Refused(f"no {what} is called {value}: there are {', '.join(known)}")
    args.threads = threads(args.threads)
    if args.output and not (args.output.parent.is_dir() and os.access(args.output.parent, os.W_OK)):
        raise Refused(f"cannot write {args.output.name}: its folder is not there, or takes no new file")
    return args


def listed(text):
    values = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    return [] if values == ["none"] else values


def positive(text):
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text} is no whole number from 1")
    return int(text)


def threads(texts):
    allowed = len(os.sched_getaffinity(0))
    counts = []
    for text in texts:
        if text != "all" and not (text.isdigit() and 1 <= int(text) <= allowed):
            raise Refused(f"{text} threads: this program may use {allowed} CPU{'s' * (allowed > 1)}")
        counts.append(allowed if text == "all" else int(text))
    return list(dict.fromkeys(counts))


def contestants(args):
    """Those that were asked for, and the baseline's name. The forced kernels come later, by trial."""
    if args.only is None:
        peers = [peer for peer in PEERS if not peer.package or peer.package in args.packages]
    else:
        peers = [peer for peer in PEERS if peer.name in args.only]
        for peer in peers:
            if peer.package and peer.package not in args.packages:
                raise Refused(f"{peer.name} is optional: add --with {peer.package}")
    entered = [*peers, *our_contestants(args.ours)]
    names = [contestant.name for contestant in entered]
    if not names:
        raise Refused("nobody takes part")
    baseline = args.baseline or ("numpy" if "numpy" in names else names[0])
    if baseline not in names:
        raise Refused(f"the baseline {baseline} does not take part: there are {', '.join(names)}")
    if args.ours and not (args.layerbench.is_file() and os.access(args.layerbench, os.X_OK)):
        raise Refused("there is no layerbench to run: build it (cargo build --release), name another (--layerbench PATH), or leave it out (--ours none)")
    return entered, baseline
