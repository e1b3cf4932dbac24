"""The file of settings as commands that run a deployment, or speak to one, are given it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import click

from actors.accounts import MEMORY
from actors.deployment import SQLITE, Deployment
from actors.ops.checks import SettingsError
from actors.ops.settings import load_cloud

if TYPE_CHECKING:
    from collections.abc import Callable

VARIABLE: Final = "CELLFERRY_CONFIG"


def config_option(*, is_required: bool = True) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the option that names the file."""
    return click.option(
        "--config", envvar=VARIABLE, show_envvar=True, required=is_required, type=click.Path(path_type=Path),
        help="The deployment's TOML file.",
    )  # fmt: skip


def deployment_of(config: Path) -> Deployment:
    """Read a deployment's file; raise `SettingsError` when it is none, or describes a cloud and no deployment."""
    cloud = load_cloud(config)
    settings = cloud.deployment
    if settings is None:
        what = 'it is missing; add [deployment] with wire = "amqp://USER:PASSWORD@HOST:PORT/" and directory = "data"'
        raise SettingsError(where=f"{config}: deployment", what=what)
    if cloud.driver == MEMORY:
        what = 'guests in memory do not survive a restart; say driver = "process"'
        raise SettingsError(where=f"{config}: driver", what=what)
    return Deployment(
        cloud=cloud, wire=settings.wire, store=settings.store or SQLITE,
        directory=(config.parent / settings.directory).resolve(), prefix=settings.prefix,
        secrets=None if settings.secrets is None else (config.parent / settings.secrets).resolve(),
    )  # fmt: skip


def public(url: str) -> str:
    """Show a URL without what may be secret in it."""
    if "://" not in url:
        return url
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"
