"""Writes outcomes.csv, by which the tests and docs/trust.md go.

Run `python tests/conformance/record.py`, then `python docs/make_pages.py`.

What becomes of each of ONNX's node tests, with the versions of onnx and ONNX Runtime that are
installed. Faults, which the record must not hold, are printed.
"""

import csv
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from conformance.backend import BACKENDS
from conformance.cases import DIFFERS, FAULT, OUTCOMES_FILE, node_cases, operator_of, outcome


def main() -> int:
    """Run all cases on all targets; return how many faults there were."""
    warnings.simplefilter("ignore")
    faults = 0
    with OUTCOMES_FILE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["case", "operator", *BACKENDS])
        for name, case in node_cases().items():
            found = [outcome(case, target) for target in BACKENDS]
            writer.writerow([name, operator_of(name), *(kind for kind, _ in found)])
            for target, (kind, message) in zip(BACKENDS, found, strict=True):
                if kind in (DIFFERS, FAULT):
                    sys.stdout.write(f"{kind} {target} {name}: {message[:300]}\n")
                faults += kind == FAULT
    return faults


if __name__ == "__main__":
    sys.exit(min(main(), 1))
