"""The one family of exceptions. Each carries the exit code that the command line answers with."""

from __future__ import annotations


class ParaedgeError(Exception):
    """Anything that went wrong and that we can say something about; exit code 1."""

    exit_code: int = 1


class BadInput(ParaedgeError, ValueError):
    """The user's input can't be used; the message says what is wrong and what would be right; exit code 2."""

    exit_code = 2


class BadModelFile(BadInput):
    """A file that can't be read as a TensorFlow Lite model."""


class BadCampaign(BadInput):
    """A folder that is not a campaign, or one that belongs to another sweep."""


class TooLarge(ParaedgeError):
    """A model that doesn't fit a FlatBuffer (2 GiB); decided before anything is allocated."""


class DeviceBusy(ParaedgeError):
    """Another process holds the device's lock."""


class DeviceMissing(BadInput):
    """No driver offers a device of this name here; the message says why and what would help."""


SHORT_TEXT = 500
"""Longest text kept of a foreign error: LiteRT has put a whole model into one."""


def short(text: object, limit: int = SHORT_TEXT) -> str:
    """One line of at most `limit` characters, fit for a table cell or a log."""
    line = " ".join(str(text)[: 4 * limit].split())
    return line if len(line) <= limit else line[: limit - 3] + "..."
