"""`forewarn-agent`: its flags, its signals, and the clock."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

from forewarn_agent import __version__
from forewarn_agent.runner import Agent, target_of
from forewarn_agent.sender import TokenError
from forewarn_agent.settings import DEFAULT_COLLECTOR, AgentConfig, ConfigError
from forewarn_agent.sources import SOURCES
from forewarn_agent.spool import Spool, SpoolError
from forewarn_agent.transport import parse_address
from forewarn_wire import Problem

log = logging.getLogger("forewarn_agent")

DEFAULT_SPOOL = "forewarn-agent-spool"
BROKEN_PIPE = 128 + signal.SIGPIPE
"""The exit status by which a shell says that nobody read the rest."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status: 0, 1 (cannot run), 2 (wrong usage).

    141 where the reader of `--print` went away before the end.
    """
    flags = _parser().parse_args(arguments)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    try:
        config = _configuration(flags)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    if flags.check_config:
        print(f"{flags.config or 'the built-in configuration'} is good")
        return 0
    if flags.print:
        return _print(config)
    return _run(flags, config)


def _clock() -> int:
    return time.time_ns() // 1_000_000


def _print(config: AgentConfig) -> int:
    from forewarn_agent.printing import print_round

    try:
        print_round(config, _clock, sys.stdout.write)
        sys.stdout.flush()
    except BrokenPipeError:
        # As `head` does once it has its lines. Python flushes once more at its end: into nothing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    return 0


def _run(flags: argparse.Namespace, config: AgentConfig) -> int:
    spool = Spool(config.spool.path, config.spool.max_size)
    try:
        spool.open()
    except SpoolError as error:
        print(f"forewarn-agent: {error}", file=sys.stderr)
        return 1
    try:
        _run_agent(flags, config, spool)
    finally:
        spool.close()
    return 0


def _run_agent(flags: argparse.Namespace, config: AgentConfig, spool: Spool) -> None:
    agent = Agent(config, _clock, spool)
    reload: Callable[[], None] = _say_there_is_nothing_to_reload
    reloader = None
    if flags.config:
        # Here, since it loads a YAML parser and watchdog, which a plain host does without.
        from forewarn_agent.reload import Reloader

        reloader = Reloader(flags.config, lambda: _configuration(flags), agent)
        reload = reloader.reload

    def on_signal(number: int, frame: FrameType | None) -> None:
        agent.loop.call_soon_threadsafe(reload if number == signal.SIGHUP else agent.stop)

    agent.loop.wake_on_signals()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, on_signal)
    log.info(
        "forewarn-agent %s: instance %s, every %g s to %s, spool %s",
        __version__,
        config.instance,
        config.interval / 1000,
        config.collector,
        config.spool.path,
    )
    _warn_of_plain_token(config)
    try:
        agent.run()
    finally:
        if reloader is not None:
            reloader.stop()
    log.info("stopped")


def _configuration(flags: argparse.Namespace) -> AgentConfig:
    """The configuration file's settings, the flags over them, and what the host says."""
    config = AgentConfig()
    if flags.config:
        from forewarn_agent.config import load_config

        names = frozenset(kind.name for kind in SOURCES)
        config = load_config(flags.config, os.environ, names)
    given: dict[str, Any] = {
        name: getattr(flags, name)
        for name in ("collector", "token_file", "interval")
        if getattr(flags, name) is not None
    }
    spool = flags.spool or config.spool.path or os.environ.get("STATE_DIRECTORY", DEFAULT_SPOOL)
    instance = flags.instance or config.instance or os.uname().nodename
    config = config._replace(
        **given,
        spool=config.spool._replace(path=os.path.abspath(spool)),
        instance=instance,
    )
    try:
        target_of(config).read_token()
    except TokenError as error:
        where = "--token-file" if flags.token_file else flags.config
        raise ConfigError([Problem(where, 0, 0, str(error))]) from error
    return config


def _warn_of_plain_token(config: AgentConfig) -> None:
    address = parse_address(config.collector)
    if (config.token or config.token_file) and address.scheme == "http" and not address.is_loopback:
        log.warning("the token goes to %s unencrypted; use an https address", address)


def _say_there_is_nothing_to_reload() -> None:
    log.info("nothing to reload: the agent was started without --config")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="forewarn-agent",
        description="Collects this host's health signals and sends them to a Forewarn collector.",
        # With a width of its own: to ask the terminal loads shutil and all its compressors.
        formatter_class=lambda prog: argparse.HelpFormatter(prog, width=100),
    )
    add = parser.add_argument
    add("--config", metavar="FILE", help="YAML configuration; without one, a plain host is watched")
    add("--check-config", action="store_true", help="say what is wrong with the file, and exit")
    add("--collector", metavar="URL", type=_address, help=f"default {DEFAULT_COLLECTOR}")
    add("--token-file", metavar="FILE", help="file that holds the write token")
    add("--spool", metavar="DIRECTORY", help=f"default $STATE_DIRECTORY or ./{DEFAULT_SPOOL}")
    add("--interval", metavar="DURATION", type=_interval, help="1s or longer, default 10s")
    add("--instance", metavar="NAME", help="default: the host's name")
    add("--print", action="store_true", help="print one round of samples as text, and exit")
    add("--version", action="version", version=f"forewarn-agent {__version__}")
    return parser


def _address(text: str) -> str:
    try:
        return str(parse_address(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _interval(text: str) -> int:
    from forewarn_wire.durations import parse_duration

    try:
        interval = parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if interval < 1_000:
        raise argparse.ArgumentTypeError("the interval must be 1s or longer")
    return interval


if __name__ == "__main__":
    sys.exit(main())
