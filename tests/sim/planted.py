"""Bugs to be found: each breaks one promise of the product, in its real code.

A simulation that finds nothing proves nothing unless it is known to find such as these.
"""

from __future__ import annotations

from typing import Final

from tests.sim import planted_links, planted_mail
from tests.sim.planting import Bug

BUGS: Final[dict[str, Bug]] = planted_mail.BUGS | planted_links.BUGS
"""All of them by name."""
