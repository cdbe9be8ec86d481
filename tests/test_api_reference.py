"""The API reference of the documentation names every public name, and no other."""

import re
from pathlib import Path

import skreg

REFERENCE = Path(__file__).parents[1] / "doc" / "api.rst"


def test_reference_lists_every_public_name():
    entries = re.findall(r"^   ([A-Za-z]\w*)$", REFERENCE.read_text(), flags=re.MULTILINE)
    assert sorted(entries) == sorted(skreg.__all__)
