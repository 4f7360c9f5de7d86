"""The results as files: JSON, a table, plots."""

import json
import math
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.clients import OURS
from benchmarks.findings import FOUND, Finding
from benchmarks.works import WORKS

RESULTS = Path(__file__).parent / "results"


PACKAGES = (
    *("hosted-rerank", "httpx", "aiohttp", "orjson", "langchain-core", "llama-index-core", "langchain-fireworks"),
    *("langchain-cohere", "langchain-voyageai", "langchain-nvidia-ai-endpoints", "langchain-community", "litellm"),
    *("llama-index-postprocessor-cohere-rerank", "llama-index-postprocessor-jinaai-rerank"),
)


def plots() -> None:
    """Draw what is worth seeing."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    def bars(name: str, title: str, chosen: Sequence[Finding], *, log: bool = False) -> None:
        if not chosen:
            return
        chosen = sorted(chosen, key=lambda finding: -finding.value)
        figure, axes = pyplot.subplots(figsize=(8, 0.35 * len(chosen) + 1.2), layout="constrained")
        hatches = ["//" if finding.who in OURS else "" for finding in chosen]
        colours = ["#2b6cb0" if finding.who in OURS else "#a0aec0" for finding in chosen]
        drawn = axes.barh([finding.who for finding in chosen], [finding.value for finding in chosen], color=colours)
        for bar, hatch in zip(drawn, hatches, strict=True):
            bar.set_hatch(hatch)
        axes.bar_label(drawn, [f"{finding.value:.3g}" for finding in chosen], padding=3)
        axes.set_title(title)
        axes.spines[["top", "right"]].set_visible(False)
        if log:
            axes.set_xscale("log")
        figure.savefig(RESULTS / f"{name}.svg", metadata={"Date": None})
        pyplot.close(figure)

    def of(work: str, says: str) -> list[Finding]:
        return [finding for finding in FOUND if finding.work == work and finding.says == says]

    million = "million instructions a call"
    bars(
        "instructions",
        "Million instructions of one blocking call, 100 documents",
        of("instructions, 100 documents", million),
    )
    bars(
        "storm",
        "Seconds for 500 awaiting calls at once, 100 ms server",
        of("500 at once, awaiting", "s a wave"),
        log=True,
    )
    bars(
        "limit",
        "Share of 300 calls at once that is served, 50/s allowed",
        of("300 calls at 50/s", "of the calls served"),
    )


def write() -> None:
    """Write the results, and what they were measured with."""
    versions: dict[str, str] = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    machine = {"python": platform.python_version(), "system": platform.system(), "cores": os.cpu_count()}
    RESULTS.mkdir(exist_ok=True)
    new = {finding.group for finding in FOUND}
    if (RESULTS / "results.json").exists():
        old = json.loads((RESULTS / "results.json").read_text())["findings"]
        FOUND.extend(Finding(**finding) for finding in old if finding["group"] not in new)
    FOUND.sort(key=lambda finding: list(WORKS).index(finding.group))
    results = {"machine": machine, "versions": versions, "findings": [asdict(finding) for finding in FOUND]}
    (RESULTS / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    lines = [f"Python {machine['python']}, {machine['system']}, {machine['cores']} shared cores. Versions: "]
    lines[0] += ", ".join(f"{name} {number}" for name, number in versions.items()) + "."
    lines += ["", "| work | who | figure | | goal |", "|---|---|---|---|---|"]
    for finding in FOUND:
        goal = "" if finding.goal is None else f"{'≥' if finding.at_least else '≤'} {finding.goal:g}"
        value = f"{finding.value:.3g}" if finding.holds else f"**{finding.value:.3g}**"
        figure = "inf" if math.isinf(finding.value) else value
        lines.append(f"| {finding.work} | {finding.who} | {figure} | {finding.says} | {goal} |")
    (RESULTS / "table.md").write_text("\n".join(lines) + "\n")
    plots()
