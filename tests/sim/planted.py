"""Bugs to be found: each breaks one promise of the product, in its real code.

A simulation that finds nothing proves nothing unless it is known to find such as these.
"""

from __future__ import annotations

from typing import Final

from tests.sim import (
    planted_bounds,
    planted_disk,
    planted_fences,
    planted_links,
    planted_mail,
    planted_order,
)
from tests.sim.planting import Bug

BUGS: Final[dict[str, Bug]] = (
    planted_mail.BUGS
    | planted_links.BUGS
    | planted_fences.BUGS
    | planted_order.BUGS
    | planted_bounds.BUGS
    | planted_disk.BUGS
)
"""All of them by name."""
