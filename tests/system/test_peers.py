"""Real clients: a Prometheus server that sends here, promtool that reads here."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from support.servers import answers, free_port, program, running, running_collector
from support.waiting import wait_until

pytestmark = pytest.mark.server


def test_a_prometheus_server_sends_by_remote_write_and_promtool_reads(tmp_path: Path) -> None:
    prometheus, promtool = program("prometheus"), program("promtool")
    port = free_port()
    with running_collector(tmp_path) as collector:
        config = tmp_path / "prometheus.yml"
        config.write_text(
            f"""
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: self
    static_configs: [{{targets: ['127.0.0.1:{port}']}}]
remote_write:
  - url: {collector.url}/api/v1/write
    authorization: {{credentials_file: {collector.data / "token"}}}
"""
        )
        command = [
            prometheus,
            f"--config.file={config}",
            f"--storage.tsdb.path={tmp_path / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with running(command, tmp_path / "prometheus.log"):
            url = f"http://127.0.0.1:{port}"
            wait_until("Prometheus is ready", lambda: answers(f"{url}/-/ready"))
            wait_until("its samples arrive", lambda: collector.query('up{job="self"}'))
            query = "sum(prometheus_build_info)"
            theirs, ours = (
                subprocess.run(
                    [promtool, "query", "instant", server, query],
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout.split(" @")[0]
                for server in (url, collector.url)
            )
            assert ours == theirs == "{} => 1"
            # `up` is what Prometheus says it is: no second one of ours beside it.
            assert len(collector.query("up")) == 1
            listed = subprocess.run(
                [promtool, "query", "labels", collector.url, "job"],
                capture_output=True,
                text=True,
                check=True,
            ).stdout.split()
            assert "self" in listed
