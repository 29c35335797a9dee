"""What a graphics card gives: `python -m tests.benchmarks.gpu [--json FILE] [--only PART …] [--small] [--device cuda]`.

No network and no files: networks of the real sizes with random weights, each against its reference implementation on the same card,
in turns in one process. Beside speed: peaks of the card's memory, whether pixels outside the mask stay what they were to the bit,
what the memory policy moves, and whether running out of memory is survived. A part that fails says so in the table and does not stop
the others; the exit status is then 1. `--small` takes toys, to see on a processor that all of this runs.
"""

from __future__ import annotations

import argparse
import json
import logging
import platform
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from clickpaint.compat import torchvision
from clickpaint.weights.device import pick
from tests.benchmarks.gpu.measure import Bench, Row


def parts() -> dict[str, Callable[[Bench], Iterator[Row]]]:
    """What is measured, by the name that `--only` takes, in order."""
    from tests.benchmarks.gpu import describing, flows, memory, painting, selecting

    return {
        "encoders": selecting.encoders,
        "everything": selecting.find_everything,
        "click": selecting.click,
        "erasers": selecting.erasers,
        "maps": describing.maps,
        "captions": describing.captions,
        "sd1": painting.sd1,
        "sdxl": painting.sdxl,
        "opening": painting.opening,
        "outside": painting.outside,
        "flux": flows.flux,
        "sd3": flows.sd3,
        "z_image": flows.z_image,
        "moves": memory.moves,
        "exhausted": memory.exhausted,
        "policy": memory.policy,
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto", help="as the setting of this name")
    parser.add_argument("--small", action="store_true", help="toys instead of networks of the real sizes")
    parser.add_argument("--only", nargs="+", choices=sorted(parts()), metavar="PART", help=f"of {', '.join(parts())}")
    parser.add_argument("--json", type=Path, help="a file for all figures")
    options = parser.parse_args(arguments)
    logging.disable(logging.WARNING)  # of libraries, between the rows of the table
    try:
        return _measured(options)
    finally:
        logging.disable(logging.NOTSET)


def _measured(options: argparse.Namespace) -> int:
    import torch

    torchvision.ensure()
    bench = Bench(pick(options.device), options.small)
    card = torch.cuda.get_device_name(bench.device.torch) if bench.device.kind == "cuda" else platform.processor() or platform.machine()
    report = {"card": card, "torch": torch.__version__, "date": time.strftime("%Y-%m-%d"), "precision": bench.device.dtype, "rows": []}
    print(f"{card}, torch {torch.__version__}, {bench.device.type} in {bench.device.dtype}{', toys' if bench.small else ''}\n", flush=True)
    print(f"{'':54}{'ours':>12}{'reference':>12}{'ratio':>8}  note")
    failed = 0
    for name, measure in parts().items():
        if options.only and name not in options.only:
            continue
        began = time.perf_counter()
        try:
            for row in measure(bench):
                report["rows"].append({"part": name, **row.as_dict()})
                failed += row.wrong
                print(row.text(), flush=True)
        except Exception as error:
            failed += 1
            report["rows"].append({"part": name, "name": "failed", "note": f"{type(error).__name__}: {error}"})
            print(f"{name}: failed: {type(error).__name__}: {str(error)[:300]}", flush=True)
            traceback.print_exc(file=sys.stdout)
        print(f"  ({name}: {time.perf_counter() - began:.0f} s)", flush=True)
        bench.clean()
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
