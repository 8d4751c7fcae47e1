"""What reads answers: for each mail queue with a mailbox a reader, which looks for new mails.

A mail is taken into the ledger, which knows its id, and marked as read after that: killed in
between, it is taken again and nothing comes of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from forewarn_collector.queues.base import DeliveryError, Queue
from forewarn_collector.queues.inbox import Inbox, Letter
from forewarn_collector.queues.mail import EmailQueue
from forewarn_collector.queues.mail_replies import NoReplyError, read_reply
from forewarn_collector.queues.worker import BackOff, Pause
from forewarn_collector.tasks import LedgerError
from forewarn_collector.tasks.replies import Replies
from forewarn_collector.tasks.ticket_changes import Remark
from forewarn_wire.clock import Clock

log = logging.getLogger(__name__)

_GRACE_SECONDS = 2.0


def take_reply(replies: Replies, queue: str, content: bytes, now: int) -> str:
    """Take a mail; returns the number of the task that it is about.

    Raises NoReplyError where it is no person's answer to a message of this queue, or LedgerError.
    """
    reply = read_reply(content)
    # A mail's own date is the sender's to choose.
    remark = Remark(reply.id, reply.who, reply.text, now)
    number = replies.take(queue, reply.about, remark, now)
    if number is None:
        raise NoReplyError(f"it answers no message that this collector sent to {queue}")
    return number


class MailReaders:
    """The readers of all mailboxes. `start` and `stop` on the event loop."""

    def __init__(
        self,
        replies: Replies,
        queues: Mapping[str, Queue],
        clock: Clock,
        back_off: BackOff | None = None,
    ) -> None:
        self._readers = [
            MailReader(name, queue.inbox, replies, clock, back_off or BackOff())
            for name, queue in queues.items()
            if isinstance(queue, EmailQueue) and queue.inbox is not None
        ]
        self._running: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to look."""
        self._running = [
            asyncio.create_task(reader.run(), name=f"mailbox of {reader.name}")
            for reader in self._readers
        ]

    async def stop(self) -> None:
        """End; what is being taken is, or is taken again at the next start."""
        for reader in self._readers:
            reader.end()
        if self._running:
            await asyncio.wait(self._running, timeout=_GRACE_SECONDS)
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._running = []

    def pauses(self) -> dict[str, Pause]:
        """The queues whose mailbox can't be read for now, by name."""
        return {each.name: each.pause for each in self._readers if each.pause is not None}


class MailReader:
    """The reader of one mailbox."""

    def __init__(
        self, name: str, inbox: Inbox, replies: Replies, clock: Clock, back_off: BackOff
    ) -> None:
        self.name = name
        self.pause: Pause | None = None
        self._inbox = inbox
        self._replies = replies
        self._clock = clock
        self._back_off = back_off
        self._failures = 0
        self._ended = asyncio.Event()

    def end(self) -> None:
        """Stop after what is being taken."""
        self._ended.set()

    async def run(self) -> None:
        """Look until the end."""
        while not self._ended.is_set():
            wait = self._inbox.access.poll
            try:
                await asyncio.to_thread(self.look)
                if self.pause is not None:
                    log.info("the mailbox of %s can be read again", self.name)
                self.pause, self._failures = None, 0
            except (DeliveryError, LedgerError) as error:
                self._failures += 1
                wait = self._back_off.after(self._failures, None)
                self.pause = Pause(self._clock() + wait, str(error))
                log.warning("the mailbox of %s, again in %.1f s: %s", self.name, wait / 1000, error)
            try:
                async with asyncio.timeout(wait / 1000):
                    await self._ended.wait()
            except TimeoutError:
                continue

    def look(self) -> None:
        """Take every mail that is unread. Raises DeliveryError and LedgerError."""
        while letters := self._inbox.unread():
            for letter in letters:
                self._take(letter)
            self._inbox.read(letters)
            if self._ended.is_set():
                return

    def _take(self, letter: Letter) -> None:
        try:
            number = take_reply(self._replies, self.name, letter.content, self._clock())
        except NoReplyError as error:
            log.info("a mail in the mailbox of %s is left alone: %s", self.name, error)
            return
        except LedgerError:
            raise
        except Exception:
            # A fault of ours with one mail must not keep the others from being read.
            log.exception("a mail in the mailbox of %s is left alone", self.name)
            return
        log.info("%s got a remark by mail", number)
