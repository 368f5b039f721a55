"""`corpus.yaml`, read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

Meaning = tuple[str, dict[str, Any]]

_WHOLE: Final = yaml.safe_load(Path(__file__).with_name("corpus.yaml").read_text())


def _sure() -> Iterator[tuple[str, Meaning]]:
    for group in _WHOLE["sure"]:
        fields = dict(group["means"])
        action = fields.pop("do")
        for sentence in group.get("said", ()):
            yield sentence, (action, fields)
        for sentence, text in group.get("texts", {}).items():
            yield sentence, (action, {**fields, "text": text})


SURE: Final = tuple(_sure())
"""Sentences, and what they mean."""

UNSURE: Final = tuple(
    (sentence, reason)
    for reason, sentences in _WHOLE["unsure"].items()
    for sentence in sentences
)
"""Sentences, and why they are not carried out."""
