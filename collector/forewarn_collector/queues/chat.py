"""A queue that is a chat: a message for each revision that matters, to any that Apprise speaks to.

kind: chat
url_file: PATH                  an Apprise URL, or `url: env:VARIABLE`: it has a secret in it
actions: [open, reopen, resolve]        which are told; `update` tells the rest too
timeout: 20s

The URLs are those of https://appriseit.com: `slack://...`, `msteams://...`, `tgram://...`,
`discord://...`, `matrixs://...`, or the address of a webhook of theirs.

A chat can't be searched for what was said, so that a message is told at least once: where an answer
was lost, it comes again with the same delivery id, its last line. Apprise is the extra `chat`.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar

from forewarn_collector.queues.base import DeliveryError, read_secret, read_timeout
from forewarn_collector.queues.ticket_settings import cut, sendable, where_of
from forewarn_collector.tasks import Delivery, DeliveryAction
from forewarn_wire.document import Section
from forewarn_wire.readers import texts

if TYPE_CHECKING:
    from apprise import Apprise, AppriseResult

_TIMEOUT = 20_000
_THREADS = 2
_ACTIONS = frozenset({DeliveryAction.OPEN, DeliveryAction.REOPEN, DeliveryAction.RESOLVE})
_LONGEST_TITLE = 200
_LONGEST_TEXT = 800
"""Characters of each text: a whole message then fits into most chats as one."""
_TYPES = {DeliveryAction.RESOLVE: "success", DeliveryAction.UPDATE: "info"}
_MENTION = re.compile(r"(?<!\w)@(?=\w)|<(?=[!@#])")
_STATUS = re.compile(r"error=(\d{3})\b")
_REFUSED = frozenset({400, 405, 406, 411, 413, 414, 415, 422})
"""Statuses that say something of the message; others say something of the chat."""


class ChatQueue:
    """Tells `url`, from threads of its own: a chat that hangs holds up nothing else."""

    kind: ClassVar[str] = "chat"

    def __init__(
        self,
        chat: Apprise,
        actions: frozenset[DeliveryAction] = _ACTIONS,
        timeout: int = _TIMEOUT,
    ) -> None:
        """`chat` has one service; `timeout` in ms."""
        self._chat = chat
        self._actions = actions
        self._timeout = timeout / 1000
        self._threads: ThreadPoolExecutor | None = None

    @classmethod
    def from_section(
        cls, name: str, section: Section, environ: Mapping[str, str]
    ) -> ChatQueue | None:
        """Read `url_file` or `url: env:NAME`, `actions` and `timeout`."""
        url = read_secret(section, "url", environ).decode("utf-8", "replace").strip()
        actions = section.take("actions", _actions, _ACTIONS)
        timeout = section.take("timeout", read_timeout, _TIMEOUT)
        if not url:
            if "url" not in section and "url_file" not in section:
                section.problem("", "url_file is missing", "url_file: PATH, or url: env:VARIABLE")
            return None
        try:
            chat = chat_of(url)
        except ValueError as error:
            section.problem("url" if "url" in section else "url_file", str(error))
            return None
        return cls(chat, actions, timeout)

    async def deliver(self, delivery: Delivery) -> str | None:
        """Tell it, if it is one of `actions`."""
        if delivery.action not in self._actions:
            return None
        if self._threads is None:
            # Not asyncio's own: the ledger waits for those.
            self._threads = ThreadPoolExecutor(_THREADS, "chat")
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._threads, self._tell, delivery)
        return None

    async def close(self) -> None:
        """Let go of the threads; one that is on its way ends by its time-out."""
        if self._threads is not None:
            self._threads.shutdown(wait=False)
            self._threads = None

    def _tell(self, delivery: Delivery) -> None:
        title, body = message_of(delivery)
        result = self._chat.notify(
            body=body,
            title=title,
            notify_type=_TYPES.get(delivery.action, "failure"),
            body_format="text",
            timeout=self._timeout,
        )
        if not result:
            raise _refusal(result)


def chat_of(url: str) -> Apprise:
    """The chat at an Apprise URL. Raises ValueError, which does not show it."""
    try:
        from apprise import Apprise, AppriseAsset
    except ImportError as error:
        said = (
            "Apprise is not installed; give Forewarn the extra chat: pip install 'forewarn[chat]'"
        )
        raise ValueError(said) from error
    # At DEBUG they log the addresses of requests, and so the secret.
    for name in ("apprise", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # What it warns of is in our errors.
    logging.getLogger("apprise").propagate = False
    asset = AppriseAsset(app_id="Forewarn", app_desc="Forewarn", http_redirects=False)
    chat = Apprise(asset=asset)
    if not chat.add(url) or len(chat) != 1:
        raise ValueError("expected one URL that Apprise knows, such as slack://...")
    return chat


def message_of(delivery: Delivery) -> tuple[str, str]:
    """The title and the text of a delivery's message."""
    return _quiet(_title(delivery)), _quiet("\n".join(_lines(delivery)))


def _title(delivery: Delivery) -> str:
    task = delivery.task
    where = where_of(task)
    at = f" ({where})" if where and where not in task.title else ""
    severity = f"{task.severity}: " if task.severity else ""
    said = "Resolved: " if delivery.action is DeliveryAction.RESOLVE else severity
    return cut(" ".join(f"[{task.number}] {said}{task.title}{at}".split()), _LONGEST_TITLE)


def _lines(delivery: Delivery) -> Iterator[str]:
    task = delivery.task
    yield cut(f"{delivery.action.value}: {delivery.text}", _LONGEST_TEXT)
    if task.description and delivery.action is not DeliveryAction.RESOLVE:
        yield cut(task.description, _LONGEST_TEXT)
    if task.customer:
        yield cut(f"Customer: {task.customer}", _LONGEST_TEXT)
    runbook = task.annotations.get("runbook_url", "")
    if runbook:
        yield cut(f"Runbook: {runbook}", _LONGEST_TEXT)
    if delivery.page_url:
        yield delivery.page_url
    yield f"delivery {delivery.id}"


def _quiet(said: str) -> str:
    """Text that calls nobody: an invisible joiner parts the sign from the name."""
    return _MENTION.sub(lambda found: f"{found.group()}\u2060", sendable(said))


def _refusal(result: AppriseResult) -> DeliveryError:
    """Why a chat took nothing. Only statuses are shown: Apprise's texts may name the address."""
    told = "\n".join(str(entry) for entry in result.logs())
    statuses = [int(status) for status in _STATUS.findall(told)]
    if not statuses:
        said = "the chat did not answer, or not in time"
        return DeliveryError(said, permanent=False, whole_queue=True)
    status = statuses[-1]
    said = f"the chat answered HTTP {status}"
    if status in _REFUSED:
        return DeliveryError(said, permanent=True)
    if 300 <= status < 500:
        hint = "" if status == 429 else "; is its URL still valid?"
        return DeliveryError(f"{said}{hint}", permanent=False, whole_queue=True)
    return DeliveryError(said, permanent=False)


def _actions(value: Any) -> frozenset[DeliveryAction]:
    given = texts(value)
    known = {action.value for action in DeliveryAction}
    strangers = [name for name in given if name not in known]
    if strangers or not given:
        raise ValueError(f"expected some of {', '.join(sorted(known))}, found {value!r}")
    return frozenset(DeliveryAction(name) for name in given)
