"""All clients side by side, in one run: `make bench`, or `python -m benchmarks [WORK ...] [--quick]`.

Each measurement is a client in a process of its own against a stub in another. CPU is judged in user-space
instructions, which callgrind counts and which repeat to 1 or 2 %; everything else as ratios within the run. The results
go to `benchmarks/results/`: `results.json`, `table.md`, plots. What falls short of its goal is printed, and marked.
"""

import argparse

from benchmarks.findings import FOUND, RUNNING
from benchmarks.report import write
from benchmarks.works import WORKS


def main() -> None:
    """Measure, and say what falls short."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", nargs="*", help=f"of {', '.join(WORKS)}; the others' results stay")
    parser.add_argument("--quick", action="store_true", help="fewer peers and sizes; nothing is written")
    asked = parser.parse_args()
    for name in asked.work or WORKS:
        RUNNING[0] = name
        WORKS[name](asked.quick)
    if not asked.quick:
        write()
    short = [finding for finding in FOUND if not finding.holds]
    print(f"{len(FOUND)} figures, {len(short)} of them short of their goals")
    for finding in short:
        print(f"  {finding.work}, {finding.who}: {finding.value:.3g} {finding.says}, goal {finding.goal:g}")


if __name__ == "__main__":
    main()
