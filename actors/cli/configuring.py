"""The file of settings as commands that run a deployment, or speak to one, are given it."""

from __future__ import annotations

import os
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

    from actors.ops.settings import Cloud

VARIABLE: Final = "CELLFERRY_CONFIG"
#: Where a command's context keeps what its options set.
OPTIONS: Final = "actors.cli.configuring.options"
MASK: Final = "***"


def config_option(*, is_required: bool = True) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the option that names the file, and the one that sets something over it."""
    file = click.option(
        "--config", envvar=VARIABLE, show_envvar=True, required=is_required, type=click.Path(path_type=Path),
        help="The deployment's TOML file.",
    )  # fmt: skip
    over = click.option(
        "--set", "_set", multiple=True, metavar="SECTION.KEY=VALUE", expose_value=False, callback=_remember,
        help="A setting over the file's and the environment's; repeatable.",
    )  # fmt: skip

    def with_both(command: Callable[..., None]) -> Callable[..., None]:
        return file(over(command))

    return with_both


def _remember(context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> None:
    context.meta[OPTIONS] = values


def given() -> tuple[str, ...]:
    """Give what the options of this command line set."""
    context = click.get_current_context(silent=True)
    return () if context is None else context.meta.get(OPTIONS, ())


def cloud_of(config: Path, options: tuple[str, ...] | None = None) -> Cloud:
    """Read a file with the environment and these options, or this command's, over it; raise `SettingsError`."""
    return load_cloud(config, variables=os.environ, options=given() if options is None else options)


def deployment_of(config: Path) -> Deployment:
    """Read a deployment's file; raise `SettingsError` when it is none, or describes a cloud and no deployment."""
    return deployment_in(config, cloud_of(config))


def deployment_in(config: Path, cloud: Cloud) -> Deployment:
    """Make the deployment of what was read from a file; raise `SettingsError` when it describes a cloud alone."""
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


def masked(secret: str) -> str:
    """Show a secret without what is secret in it: of a URL its password and its query, else all of it."""
    if "://" not in secret:
        return MASK
    parts = urlsplit(secret)
    user = f"{parts.username}:{MASK}@" if parts.username else ""
    place = f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
    return f"{parts.scheme}://{user}{place}{parts.path}{f'?{MASK}' if parts.query else ''}"
