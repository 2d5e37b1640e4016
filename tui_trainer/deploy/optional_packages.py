"""Packages that only some commands need."""

from __future__ import annotations

from importlib import import_module

from tui_trainer.errors import INSTALL_EXTRAS, UserError


def require(*packages: str, by: str = "this format") -> None:
    """Raises UserError when one of the packages is missing; `by` is what needs them."""
    for package in packages:
        try:
            import_module(package)
        except ImportError as error:
            raise UserError(f"{by} needs the {package} package\ninstall it {INSTALL_EXTRAS}") from error
