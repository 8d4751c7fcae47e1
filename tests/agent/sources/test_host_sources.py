"""What the recorded trees do not show: change over time, odd hosts, and the clock."""

from __future__ import annotations

import ctypes
import os
import struct
import time
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forewarn_agent.settings import AgentConfig, DiskSettings
from forewarn_agent.sources import SOURCES, Reading, SourceContext
from forewarn_agent.sources.cpu import CpuSource
from forewarn_agent.sources.disk import DiskSource
from forewarn_agent.sources.netclass import NetclassSource
from forewarn_agent.sources.portable import PortableSource
from forewarn_agent.sources.processes import ProcessesSource
from forewarn_agent.sources.procfs import KeptFile
from forewarn_agent.sources.system import OsSource, UnameSource, parse_os_release
from forewarn_agent.sources.timekeeping import TimeSource, timex_values

CONTEXT = SourceContext("here")


def values(readings: list[Reading], *labels: str) -> dict[str, float]:
    """Values by metric, and by the labels named where there are any."""
    return {
        "/".join(dict(series.labels).get(name, "") for name in ("__name__", *labels)): value
        for series, value in readings
    }


def cpu_file(tmp_path: Path, *lines: str) -> None:
    (tmp_path / "stat").write_text("\n".join(lines) + "\nbtime 100\nprocs_running 5\n")


def test_a_time_that_slips_back_is_not_sent_as_a_reset(tmp_path: Path) -> None:
    # proc(5) on iowait: "the value in this field may decrease in certain conditions".
    cpu_file(tmp_path, "cpu0 100 0 0 5000 300 0 0 0 0 0")
    source = CpuSource(CONTEXT, str(tmp_path))
    source.collect(0)
    cpu_file(tmp_path, "cpu0 110 0 0 5100 299 0 0 0 0 0")
    (tmp_path / "stat").write_text(
        (tmp_path / "stat").read_text().replace("procs_running 5", "procs_running 1")
    )
    found = values(source.collect(10), "mode")
    assert found["node_cpu_seconds_total/iowait"] == 3.0
    assert found["node_cpu_seconds_total/user"] == 1.1
    # A gauge falls as it likes.
    assert found["node_procs_running/"] == 1
    source.stop()


def test_a_cpu_that_was_offline_starts_from_zero(tmp_path: Path) -> None:
    cpu_file(tmp_path, "cpu0 90000 0 0 5000 300 0 0 0 0 0", "cpu1 90000 0 0 0 0 0 0 0 0 0")
    source = CpuSource(CONTEXT, str(tmp_path))
    source.collect(0)
    cpu_file(tmp_path, "cpu0 90000 0 0 5000 300 0 0 0 0 0")
    assert "node_cpu_seconds_total/1" not in values(source.collect(10), "cpu")
    cpu_file(tmp_path, "cpu0 90000 0 0 5000 300 0 0 0 0 0", "cpu1 7 0 0 0 0 0 0 0 0 0")
    assert values(source.collect(20), "cpu", "mode")["node_cpu_seconds_total/1/user"] == 0.07
    cpu_file(tmp_path, "cpu0 10 0 0 5000 300 0 0 0 0 0", "cpu1 7 0 0 0 0 0 0 0 0 0")
    assert values(source.collect(30), "cpu", "mode")["node_cpu_seconds_total/0/user"] == 0.1
    source.stop()


def test_a_disk_that_is_plugged_in_appears_and_one_that_is_pulled_out_goes(
    tmp_path: Path,
) -> None:
    line = "8 {} sd{} 1 0 0 0 0 0 0 0 0 0 0\n"
    stats = tmp_path / "diskstats"
    stats.write_text(line.format(0, "a"))
    source = DiskSource(CONTEXT, DiskSettings(), str(tmp_path), udev=str(tmp_path))
    for disks in ("a", "ab", "b"):
        stats.write_text("".join(line.format(ord(disk), disk) for disk in disks))
        found = values(source.collect(0), "device")
        names = {name.rpartition("/")[2] for name in found}
        assert names == {f"sd{disk}" for disk in disks}
    source.stop()


def test_a_link_that_goes_down_is_seen_next_round_and_a_new_mtu_within_a_minute(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "class/net/eth0"
    folder.mkdir(parents=True)
    for attribute, text in {"operstate": "up", "carrier": "1", "mtu": "1500"}.items():
        (folder / attribute).write_text(text + "\n")
    source = NetclassSource(CONTEXT, str(tmp_path))
    assert values(source.collect(0))["node_network_up"] == 1
    (folder / "operstate").write_text("down\n")
    (folder / "carrier").unlink()
    (folder / "mtu").write_text("9000\n")
    found = values(source.collect(10_000))
    assert found["node_network_up"] == 0
    assert "node_network_carrier" not in found
    assert values(source.collect(60_000))["node_network_mtu_bytes"] == 9000
    for attribute in folder.iterdir():
        attribute.unlink()
    folder.rmdir()
    assert source.collect(70_000) == []


def test_a_host_of_many_processes_is_counted_once_a_minute(tmp_path: Path) -> None:
    for name in ("pid_max", "threads-max"):
        path = tmp_path / "sys/kernel" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("9\n")

    def process(pid: int, state: str) -> None:
        folder = tmp_path / str(pid)
        folder.mkdir(exist_ok=True)
        (folder / "stat").write_text(f"{pid} (x) {state} {'0 ' * 16}1 0 0\n")

    for pid in range(1, 301):
        process(pid, "S")
    source = ProcessesSource(CONTEXT, str(tmp_path))
    assert values(source.collect(0), "state")["node_processes_state/S"] == 300
    process(301, "Z")
    found = values(source.collect(10_000), "state")
    assert found["node_processes_pids/"] == 301
    assert found["node_processes_state/Z"] == 0
    assert values(source.collect(60_000), "state")["node_processes_state/Z"] == 1
    source.stop()


def test_a_file_that_is_gone_is_opened_anew_when_it_is_back(tmp_path: Path) -> None:
    path = tmp_path / "file"
    file = KeptFile(str(path))
    with pytest.raises(FileNotFoundError):
        file.read()
    path.write_text("1")
    assert file.read() == b"1"
    path.write_text("x" * 100_000)
    assert file.read() == b"x" * 100_000
    file.close()


def test_debians_os_release_is_read_with_its_quotes(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "run").mkdir()
    release = tmp_path / "etc/os-release"
    release.write_text(
        'PRETTY_NAME="Ubuntu 22.04.1 LTS"\nNAME=Ubuntu\nVERSION_ID="22.04"\nID=ubuntu\n'
        "ID_LIKE=debian\n# a comment=1\n\nbroken\n"
    )
    source = OsSource(CONTEXT, f"{tmp_path}/")
    source.start(None)  # type: ignore[arg-type]
    readings = source.collect(0)
    info = dict(readings[0][0].labels)
    assert info["pretty_name"] == "Ubuntu 22.04.1 LTS"
    assert info["id_like"] == "debian"
    assert "build_id" not in info
    assert values(readings)["node_os_version"] == 22.04
    assert values(readings)["node_reboot_required"] == 0
    (tmp_path / "run/reboot-required").touch()
    assert values(source.collect(1))["node_reboot_required"] == 1
    release.write_text("ID=arch\n")
    os.utime(release, (1, 1))
    assert set(values(source.collect(2))) == {"node_os_info"}


@given(st.text())
def test_any_text_is_an_os_release_of_some_fields(text: str) -> None:
    assert all(isinstance(value, str) for value in parse_os_release(text).values())


def test_a_host_that_does_not_describe_itself_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        OsSource(CONTEXT, f"{tmp_path}/").start(None)  # type: ignore[arg-type]


def test_uname_is_that_of_this_host() -> None:
    ((series, value),) = UnameSource(CONTEXT).collect(0)
    assert value == 1
    assert dict(series.labels)["nodename"] == os.uname().nodename


def test_time_is_the_rounds_and_the_zone_the_hosts() -> None:
    found = values(TimeSource(CONTEXT).collect(1_700_000_000_123), "time_zone")
    assert found["node_time_seconds/"] == 1_700_000_000.123
    local = time.localtime(1_700_000_000)
    assert found[f"node_time_zone_offset_seconds/{local.tm_zone}"] == local.tm_gmtoff


class Timex(ctypes.Structure):
    """struct timex as adjtimex(2) has it."""

    _fields_ = [
        ("modes", ctypes.c_uint),
        *((name, ctypes.c_long) for name in ("offset", "freq", "maxerror", "esterror")),
        ("status", ctypes.c_int),
        *((name, ctypes.c_long) for name in ("constant", "precision", "tolerance")),
        *((name, ctypes.c_long) for name in ("seconds", "fraction")),
        *((name, ctypes.c_long) for name in ("tick", "ppsfreq", "jitter")),
        ("shift", ctypes.c_int),
        *((name, ctypes.c_long) for name in ("stabil", "jitcnt", "calcnt", "errcnt", "stbcnt")),
        ("tai", ctypes.c_int),
        ("padding", ctypes.c_int * 11),
    ]


def test_a_clock_that_is_in_step_reads_in_seconds() -> None:
    # status 0x2001: in step by PLL, in nanoseconds; freq 65536 << 16 would be a whole.
    timex = Timex(offset=-1500, freq=655360, maxerror=250_000, esterror=42, status=0x2001)
    timex.tick, timex.tai, timex.constant = 10_000, 37, 7
    found = timex_values(0, bytes(timex))
    offset, ratio, maxerror, esterror, status, constant, tick = found[:7]
    assert offset == -1.5e-6
    assert ratio == pytest.approx(1 + 10e-6, abs=1e-15)
    assert (maxerror, esterror, status, constant, tick) == (0.25, 42e-6, 0x2001, 7, 0.01)
    assert found[-2:] == (37, 1.0)
    assert timex_values(5, bytes(timex))[-1] == 0.0


def test_a_timex_of_another_size_is_refused() -> None:
    with pytest.raises(struct.error):
        timex_values(0, b"short")


def test_psutil_stands_in_where_there_is_no_proc() -> None:
    source = PortableSource(CONTEXT)
    found = values(source.collect(0), "cpu", "mode")
    assert found["node_memory_MemTotal_bytes//"] == psutil.virtual_memory().total
    assert found["node_load15//"] == pytest.approx(os.getloadavg()[2], abs=1)
    assert found["node_cpu_seconds_total/0/user"] == pytest.approx(
        psutil.cpu_times(percpu=True)[0].user, abs=5
    )


def test_a_plain_host_gets_every_host_family_and_nothing_that_wants_configuration() -> None:
    config = AgentConfig()
    wanted = [kind.name for kind in SOURCES if kind.settings(config) is not None]
    assert "cpu" in wanted
    assert not {"process_groups", "http_checks", "portable"} & set(wanted)
    for kind in SOURCES:
        settings = kind.settings(config)
        if settings is not None:
            assert kind.build(CONTEXT, settings).name == kind.name
    assert len({kind.name for kind in SOURCES}) == len(SOURCES)
