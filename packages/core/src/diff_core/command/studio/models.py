"""The models of the tools of a page, each loaded when it is first used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from diff_core.command.studio.page import Page, Tool
from diff_core.command.studio.tasks import Choices, Made
from diff_core.progress import Progress

__all__ = ["Models"]


class Models:
    """The models of a page, by the name of their tool.

    page: the page with the tools that have a model
    """

    def __init__(self, page: Page, weights: Path | None, device: str) -> None:
        """Load the model of the first tool; with `weights`, of the first tool that can read them.

        Raises ValueError, the first tool's, where none can.
        """
        self._device = device
        self._loaded: dict[str, Any] = {}
        faults: list[ValueError] = []
        for tool in page.tools if weights else page.tools[:1]:
            try:
                self._loaded[tool.name] = tool.load(weights, device)
                break
            except ValueError as fault:
                faults.append(fault)
        else:
            raise faults[0]
        here = [tool for tool in page.tools if tool.is_there or tool.name in self._loaded]
        self.page = replace(page, tools=tuple(here))

    def work(self, source: Path, choices: Choices, advance: Progress) -> Made:
        """Let the tool that was chosen work; see `diff_core.command.studio.tasks.Work`."""
        tool = self.page.find(choices.tool)
        return tool.work(self._of(tool), source, choices, advance)

    def _of(self, tool: Tool) -> Any:
        if tool.name not in self._loaded:
            self._loaded[tool.name] = tool.load(None, self._device)
        return self._loaded[tool.name]
