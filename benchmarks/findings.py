"""The figures of a run: recorded, judged by their goals, printed as they come."""

from dataclasses import dataclass


@dataclass
class Finding:
    """One figure."""

    group: str
    """The work that produced it."""
    work: str
    who: str
    says: str
    value: float
    goal: float | None = None
    """The upper bound; `None` for a figure that only stands beside others."""
    at_least: bool = False
    """Whether the goal is a floor instead."""

    @property
    def holds(self) -> bool:
        """Whether the goal is reached."""
        return self.goal is None or (self.value >= self.goal if self.at_least else self.value <= self.goal)


FOUND: list[Finding] = []
RUNNING = [""]
"""The name of the work that runs now."""


def found(work: str, who: str, says: str, value: float, goal: float | None = None, *, at_least: bool = False) -> None:
    """Record a figure, and print it."""
    finding = Finding(RUNNING[0], work, who, says, value, goal, at_least)
    FOUND.append(finding)
    mark = "" if finding.holds else "   FALLS SHORT"
    bound = "" if goal is None else f"  (goal: {'at least' if at_least else 'at most'} {goal:g})"
    print(f"{work:32} {who:22} {value:10.3g} {says}{bound}{mark}", flush=True)
