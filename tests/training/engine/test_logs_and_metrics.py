"""Following output.log and finding metrics in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagebrush.substrate.compute import output_reading
from sagebrush.substrate.compute.output_reading import LogLine
from sagebrush.training.engine import metrics
from sagebrush.training.engine.metrics import MetricScanner
from sagebrush.training.model import builtin


def lines(*texts: str) -> list[LogLine]:
    return [LogLine(1000 + index, text) for index, text in enumerate(texts)]


def test_only_whole_lines_are_read_until_the_writer_has_ended(tmp_path: Path) -> None:
    log = tmp_path / "output.log"
    log.write_bytes(b"5 one\n6 two\n7 thr")
    first = output_reading.read(log, 0)
    assert [line.text for line in first.lines] == ["one", "two"]
    assert first.end == len(b"5 one\n6 two\n")
    assert output_reading.read(log, first.end).lines == ()
    rest = output_reading.read(log, first.end, ended=True)
    assert rest.lines == (LogLine(7, "thr"),)


def test_a_missing_log_is_an_empty_one(tmp_path: Path) -> None:
    assert output_reading.read(tmp_path / "none", 0, ended=True).lines == ()
    assert output_reading.tail(tmp_path / "none") == []


def test_control_characters_are_shown_as_sagemaker_shows_them(tmp_path: Path) -> None:
    log = tmp_path / "output.log"
    log.write_bytes("1 a\tb\r50%\x1b[0m ü\n2 \n".encode())
    assert [line.text for line in output_reading.read(log, 0).lines] == ["a#011b#01550%#033[0m ü", " "]


def test_a_line_torn_by_a_full_disk_is_shown_at_its_neighbours_time(tmp_path: Path) -> None:
    log = tmp_path / "output.log"
    log.write_bytes(b"5 one\n\ntorn without a stamp\n6 two\n")
    torn = LogLine(5, "torn without a stamp")
    assert output_reading.read(log, 0).lines == (LogLine(5, "one"), torn, LogLine(6, "two"))


@given(
    texts=st.lists(st.text(st.characters(exclude_characters="\n", codec="utf-8"), max_size=30), max_size=20),
    chunk=st.integers(40, 200),
)
def test_reading_in_pieces_gives_every_line_once(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], chunk: int
) -> None:
    log = tmp_path_factory.mktemp("log") / "output.log"
    log.write_bytes("".join(f"{i} {text}\n" for i, text in enumerate(texts)).encode())
    found: list[LogLine] = []
    offset = 0
    while True:
        read = output_reading.read(log, offset, most_bytes=max(chunk, 40 * 4))
        found += read.lines
        offset = read.end
        if not read.more:
            break
    assert [line.text for line in found] == [output_reading.escaped(text) or " " for text in texts]
    assert [line.timestamp_ms for line in found] == list(range(len(texts)))


def test_the_tail_is_the_last_whole_lines(tmp_path: Path) -> None:
    log = tmp_path / "output.log"
    log.write_text("".join(f"{i} line {i}\n" for i in range(1000)))
    assert output_reading.tail(log, 100)[-2:] == ["line 998", "line 999"]
    assert all(text.startswith("line ") for text in output_reading.tail(log, 100))
    assert len(output_reading.tail(log)) == 1000


def test_every_line_that_matches_gives_a_point() -> None:
    scanner = MetricScanner([{"Name": "loss", "Regex": "loss=([0-9.]+)"}, {"Name": "acc", "Regex": "acc: (.*)"}])
    points = scanner.scan(lines("epoch 1 loss=0.5 acc: 0.25", "nothing", "loss=0.25"))
    assert [(p.name, p.timestamp_ms, p.value) for p in points] == [
        ("loss", 1000, 0.5),
        ("acc", 1000, 0.25),
        ("loss", 1002, 0.25),
    ]
    assert metrics.latest(points)["loss"].value == 0.25


@pytest.mark.parametrize("text", ["loss=abc", "loss=", "loss=nan", "loss=inf", "loss=-inf"])
def test_what_is_no_finite_number_is_no_metric(text: str) -> None:
    assert MetricScanner([{"Name": "loss", "Regex": "loss=(.*)"}]).scan(lines(text)) == []


def test_an_expression_without_a_group_gives_what_it_matched() -> None:
    (point,) = MetricScanner([{"Name": "n", "Regex": "[0-9]+"}]).scan(lines("step 42"))
    assert point.value == 42


def test_an_expression_that_takes_for_ever_is_given_up_and_the_others_go_on() -> None:
    scanner = MetricScanner([{"Name": "evil", "Regex": r"(x+x+)+y([0-9])"}, {"Name": "n", "Regex": "n=([0-9])"}])
    points = scanner.scan(lines("n=1 " + "x" * 5000, "n=2 " + "x" * 5000))
    assert [p.value for p in points] == [1, 2]
    assert scanner.abandoned["evil"].startswith("n=1 xxx")


def test_xgboosts_lines_give_training_and_validation_metrics() -> None:
    scanner = MetricScanner(builtin.effective_definitions("xgboost", []), builtin.needed_texts("xgboost", []))
    text = output_reading.escaped("[12]\ttrain-rmse:1.5e-05\tvalidation-rmse:8.25\tvalidation-error:0")
    assert {p.name: p.value for p in scanner.scan(lines(text))} == {
        "train:rmse": 1.5e-05,
        "validation:rmse": 8.25,
        "validation:error": 0,
    }
