"""The page for scans."""

from __future__ import annotations

from diff_core.command.studio import Page
from diff_medical.tools.brains import brains_tool
from diff_medical.tools.enhance import enhance_tool
from diff_medical.tools.generate import slices_tool, volumes_tool

__all__ = ["page"]


def page() -> Page:
    """Return the page for scans."""
    return Page(
        title="Scans",
        about="Everything happens on the machine that serves this page; nothing goes elsewhere. "
        "For research; not a medical device.",
        tools=(enhance_tool(), brains_tool(), slices_tool(), volumes_tool()),
        dark=True,
    )
