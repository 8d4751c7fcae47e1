"""Debian's vmagent as a sender: what it scrapes is here, its own figures included."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.servers import answers, free_port, program, running, running_collector
from support.waiting import wait_until

pytestmark = pytest.mark.server


def test_vmagent_sends_what_it_scrapes_and_ends_what_is_gone(tmp_path: Path) -> None:
    vmagent = program("vmagent")
    port = free_port()
    targets = tmp_path / "targets.yml"
    targets.write_text(f"[{{targets: ['127.0.0.1:{port}']}}]\n")
    (tmp_path / "vmagent.yml").write_text(
        f"""
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: self
    file_sd_configs: [{{files: ['{targets}']}}]
"""
    )
    with running_collector(tmp_path) as collector:
        command = [
            vmagent,
            f"-promscrape.config={tmp_path / 'vmagent.yml'}",
            "-promscrape.fileSDCheckInterval=1s",
            f"-remoteWrite.url={collector.url}/api/v1/write",
            f"-remoteWrite.bearerTokenFile={collector.data / 'token'}",
            f"-remoteWrite.tmpDataPath={tmp_path / 'queue'}",
            f"-httpListenAddr=127.0.0.1:{port}",
        ]
        with running(command, tmp_path / "vmagent.log"):
            wait_until("vmagent is ready", lambda: answers(f"http://127.0.0.1:{port}/health"), 30)
            wait_until("its samples arrive", lambda: collector.query('up{job="self"}'), 30)
            (row,) = collector.query('vm_app_start_timestamp{job="self"} > 0')
            assert row["metric"]["instance"] == f"127.0.0.1:{port}"
            targets.write_text("[]\n")
            wait_until(
                "the target that is gone has stale markers",
                lambda: not collector.query('vm_app_start_timestamp{job="self"}'),
                30,
            )
        assert "refused" not in collector.output
