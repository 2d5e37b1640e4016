"""Packages that only some formats need."""

from __future__ import annotations

from importlib import import_module

from tui_trainer.errors import UserError


def require(*packages: str) -> None:
    """Raises UserError when one of the packages is missing."""
    for package in packages:
        try:
            import_module(package)
        except ImportError as error:
            raise UserError(
                f"this format needs the {package} package\ninstall it: pip install 'tui-trainer[export]'"
            ) from error
