"""The colours of all figures, told apart in any kind of colour vision and on light and dark."""

from __future__ import annotations

from typing import Any

LIGHT = ("#0b62a8", "#b5540a", "#0a7d5c", "#8a3f8f", "#7a6a00", "#5b6470")
DARK = ("#6cb2f2", "#f2a65e", "#4fc9a0", "#d59ade", "#d8c34a", "#a8b1bd")
"""After Okabe and Ito (2008), darkened or lightened for a contrast of at least 4.5."""

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "pentagon", "star")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SCORES = "Cividis"


def palette() -> dict[str, Any]:
    """Return the colours, symbols and dashes as JSON values."""
    return {
        "light": list(LIGHT),
        "dark": list(DARK),
        "symbols": list(SYMBOLS),
        "dashes": list(DASHES),
        "scores": SCORES,
    }
