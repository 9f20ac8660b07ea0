"""The page for sound, with the tools whose models are installed."""

from __future__ import annotations

from diff_audio.tools.denoise import denoise_tool
from diff_audio.tools.restore import restore_tool
from diff_audio.tools.say import say_tool
from diff_core.command.studio import Page

__all__ = ["page"]


def page() -> Page:
    """Return the page for sound."""
    tools = denoise_tool(), restore_tool(), say_tool()
    return Page(
        title="Sound",
        about="Everything happens on the machine that serves this page; nothing goes elsewhere.",
        tools=tools,
    )
