"""The table of what was measured: ours, Terraform's, the goal, and whether it is reached."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass
class Row:
    what: str
    unit: str
    ours: float
    terraform: float | None
    goal: float  # reached where ours is not more than it; not less than it where `at_least`
    at_least: bool = False
    judged: bool = True  # False: shown only

    @property
    def reached(self) -> bool | None:
        if not self.judged:
            return None
        return self.ours >= self.goal if self.at_least else self.ours <= self.goal

    def cells(self) -> list[str]:
        goal = f"at {'least' if self.at_least else 'most'} {number(self.goal)}"
        reached = {None: "not judged", True: "reached", False: "**not reached**"}[self.reached]
        terraform = "" if self.terraform is None else number(self.terraform)
        return [f"{self.what}, {self.unit}", number(self.ours), terraform, goal, reached]

    def plain(self) -> dict[str, Any]:
        return {**asdict(self), "reached": self.reached}


def number(value: float) -> str:
    return f"{value:.0f}" if value == int(value) or value >= 100 else f"{value:.2f}"


def markdown(rows: list[Row]) -> str:
    head = ["", "ours", "Terraform", "goal", ""]
    lines = [head, ["---"] * len(head), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def missed(rows: list[Row]) -> list[str]:
    return [row.what for row in rows if row.reached is False]
