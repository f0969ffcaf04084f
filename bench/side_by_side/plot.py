"""Draws the results with matplotlib: a panel for each workload, a bar for each server."""

from pathlib import Path
from typing import Final

import matplotlib

from side_by_side.peers import FLOOR, GTHREAD, IN_C, OURS
from side_by_side.results import Results
from side_by_side.workloads import WORKLOADS, Kind

matplotlib.use("svg")
# The same results give the same file; text stays text.
matplotlib.rcParams.update({"svg.hashsalt": "wsgix", "svg.fonttype": "none", "font.size": 8})

from matplotlib import pyplot  # noqa: E402  the backend is chosen before

OURS_COLOUR: Final = "#1f6feb"
FLOOR_COLOUR: Final = "#d0d7de"
C_COLOUR: Final = "#8c959f"
OTHER_COLOUR: Final = "#afb8c1"
PANELS_IN_A_ROW: Final = 3


def draw(results: Results, folder: Path) -> None:
    """Write cpu.svg into *folder*."""
    names = [
        workload
        for workload in WORKLOADS
        if workload.kind is Kind.CLOSED_LOOP and not workload.peers and workload.name in results.workloads
    ]
    if not names:
        return
    folder.mkdir(parents=True, exist_ok=True)
    rows = -(-len(names) // PANELS_IN_A_ROW)
    figure, panels = pyplot.subplots(
        rows, PANELS_IN_A_ROW, figsize=(11, 2.3 * rows), squeeze=False, layout="constrained"
    )
    flat = [panel for row in panels for panel in row]
    for panel in flat[len(names) :]:
        panel.axis("off")
    for panel, workload in zip(flat, names, strict=False):
        numbers = {
            peer: number
            for peer in results.workloads[workload.name]
            if (number := results.number(workload.name, peer)) is not None
        }
        peers = sorted(numbers, key=numbers.__getitem__, reverse=True)
        bars = panel.barh(peers, [numbers[peer] for peer in peers], color=[_colour(peer) for peer in peers])
        panel.bar_label(bars, [f"{numbers[peer]:,.1f}" for peer in peers], padding=2, fontsize=6.5)
        panel.set_title(workload.title, loc="left", fontsize=8.5)
        panel.margins(x=0.16)
        panel.tick_params(axis="y", length=0, labelsize=6.5)
        panel.xaxis.set_visible(False)  # each bar has its number
        panel.spines[["top", "right", "bottom", "left"]].set_visible(False)
    figure.suptitle("CPU microseconds per request (less is better)", x=0.01, ha="left")
    figure.savefig(folder / "cpu.svg", metadata={"Date": None})
    pyplot.close(figure)


def _colour(peer: str) -> str:
    if peer == OURS:
        return OURS_COLOUR
    if peer == FLOOR:
        return FLOOR_COLOUR
    return C_COLOUR if peer in IN_C or peer == GTHREAD else OTHER_COLOUR
