"""The parts that all commands share; needs the extra `diff-core[command]` (typer, rich).

Options (`diff_core.command.options`), files in and out (`FileKind`), one line for each fault
(`Failures`), a progress bar (`bar`), and the exit codes: 0 all done, 1 some inputs failed, 2 wrong
usage, among it an output named that exists (`require_new`), 130 interrupted.
"""

from __future__ import annotations

from diff_core.command.app import App
from diff_core.command.failures import Failures, explain
from diff_core.command.inputs import FileKind, Job, Source, files_of_split, require_new
from diff_core.command.naming import as_options, usage
from diff_core.command.process import process
from diff_core.command.progress import Bar, bar
from diff_core.command.run import Device, run, use, version_of
from diff_core.command.search import report_unread

__all__ = [
    "App",
    "Bar",
    "Device",
    "Failures",
    "FileKind",
    "Job",
    "Source",
    "as_options",
    "bar",
    "explain",
    "files_of_split",
    "process",
    "report_unread",
    "require_new",
    "run",
    "usage",
    "use",
    "version_of",
]
