from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from tests.catalog.pages.manifests import BUILD, HASH, SCRIPT, UGLY, manifest, shard

from headrace.catalog.listing import Version
from headrace.catalog.log import CommitRecord
from headrace.catalog.manifest import Column, Histogram, Manifest, Producer, Quality, Split, Statistics, TopValue
from headrace.catalog.pages.formats import ABSENT
from headrace.catalog.retired import Retirement

pytest.importorskip("jinja2")
from headrace.catalog.pages.dataset_page import dataset_page

ZONED = "Datetime(time_unit='us', time_zone='UTC')"
VOID = {"meta", "input", "img", "br", "link", "hr"}


class Page(HTMLParser):
    """Elements, text by section, tables as rows of texts; fails on what is not closed in its order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.rows: list[list[str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.text += data
            if {"td", "th"} & set(self.open) and "svg" not in self.open:
                self.rows[-1][-1] += data

    def row(self, first: str) -> list[str]:
        return next(row for row in self.rows if row and row[0] == first)


def version(number: int, **more: Any) -> Version:
    record = CommitRecord(
        version=number,
        build=BUILD,
        manifest_sha256=HASH,
        created_at="2026-03-01T09:30:00.000Z",
        producer=Producer(headrace="0.5.0", python="3.11.9", polars="1.44.2"),
    )
    return Version(record, more.pop("rows", {"train": 1000, "test": 500}), **more)


def page(found: Manifest | None = None, number: int = 3, history: tuple[Version, ...] = ()) -> Page:
    return Page(dataset_page(number, found or manifest(), history, "s3://bucket/flights"))


def test_what_it_says_of_a_column() -> None:
    found = page()
    # Nulls are those of both splits. Last: min and 5 %; median and mean; max and 95 %.
    assert found.row("delayStandardize") == [
        "delayStandardize",
        "feature",
        "Float32numeric, nullable",
        "",
        "10.0 %",
        "1,000",
        "\N{MINUS SIGN}3\N{MINUS SIGN}1.5",
        "0.250.125",
        "31.75",
    ]
    assert found.row("carrierStandardize")[4:] == ["0", "≈ 2,856", "3", "", "2,858"]


def test_what_it_says_of_ids_splits_baselines_and_files() -> None:
    found = page()
    assert found.row("carrier") == [
        "carrier",
        "2,859",
        "0",
        "1",
        "2",
        "state/01-categorified/table-0.parquet",
        "flights@6",
    ]
    assert ["Baseline", "Target", "Split", "AUC", "Log loss"] in found.rows
    assert found.row("train") == ["train", "1,000", "", "66.7 %", "1", "9.8 KiB", "rule of train"]
    assert found.row("later") == ["later", "0", "", "0.0 %", "0", "0 B", "rule of later"]
    assert found.row("logistic regression1,000 rows")[1:] == ["late", "train", "0.7500", "0.5000"]
    assert found.row("test")[1:] in (["0.6250", ABSENT], ["500", "", "33.3 %", "1", "4.9 KiB", "rule of test"])
    assert found.row("train/part-00000.parquet") == ["train/part-00000.parquet", "1,000", "9.8 KiB", HASH]
    assert found.row("state/pipeline.json") == ["state/pipeline.json", "", "123 B", HASH]
    assert found.row("flights-2013-01.parquet") == ["flights-2013-01.parquet", "1,600", "364.1 KiB", HASH]
    assert [row[0] for row in found.rows if row[1:] in (["30"], ["10"])] == ["carrier:pattern", "air_time:range"]
    assert (
        "1,600 rows were read, 1,500 published, 60 filtered and 40 quarantined (2.5 %); files left out: 1."
        in found.text
    )


def test_how_to_read_it() -> None:
    found = page()
    assert 'dataset = open_dataset("s3://bucket/flights@3")' in found.text
    assert f'pl.scan_parquet("s3://bucket/flights/builds/{BUILD}/train/*.parquet")' in found.text
    assert "Beside them: state/pipeline.json (the fitted pipeline)." in found.text


def test_shards_of_older_builds_are_not_left_out_of_what_is_read() -> None:
    older = "01a206e8-0606-7cf3-bf10-000000000000"
    plain = manifest()
    train = plain.splits["train"]
    moved = train.model_copy(update={"files": (train.files[0].model_copy(update={"build": older}),)})
    found = page(plain.model_copy(update={"splits": dict(plain.splits) | {"train": moved}}))
    assert "*.parquet" not in found.text
    assert 'pl.scan_parquet(dataset.files("train"))' in found.text
    assert found.row(f"../{older}/train/part-00000.parquet")[1] == "1,000"


def test_versions_names_and_retirement() -> None:
    gone = Retirement(version=1, reason="labels were wrong", retired_at="2026-03-02T00:00:00.000Z")
    history = (version(3, refs=("prod", "june")), version(2, rows=None), version(1, retired=gone))
    found = page(history=history)
    assert found.row("3") == ["3", "prodjune", "2026-03-01 09:30 UTC", "1,500", BUILD, "this one"]
    assert found.row("2") == ["2", "", "2026-03-01 09:30 UTC", "manifest cannot be read", BUILD, ""]
    assert found.row("1")[5] == "retired: labels were wrong"


def test_nothing_from_the_data_is_markup() -> None:
    columns = tuple(
        column.model_copy(update={"source": SCRIPT, "name": name, "dtype": SCRIPT})
        for column, name in zip(manifest(UGLY).columns, (*UGLY, "late"), strict=True)
    )
    plain = manifest(UGLY)
    ugly = plain.model_copy(
        update={
            "columns": columns,
            "splits": {SCRIPT: plain.splits["train"].model_copy(update={"rule": SCRIPT})},
            "inputs": (plain.inputs[0].model_copy(update={"path": SCRIPT, "fingerprint": SCRIPT}),),
            "producer": plain.producer.model_copy(update={"git_sha": SCRIPT, "fallbacks": (SCRIPT,)}),
            "baselines": (plain.baselines[0].model_copy(update={"name": SCRIPT, "target": SCRIPT}),),
        }
    )
    gone = Retirement(version=1, reason=SCRIPT, retired_at="2026-03-02T00:00:00.000Z")
    text = dataset_page(3, ugly, (version(1, retired=gone, refs=("x",)),), f'{SCRIPT}"\n')
    found = Page(text)
    assert [tag for tag, _ in found.elements if tag in ("script", "img", "iframe", "link", "object")] == ["script"]
    assert text.count("<script") == 1
    assert not [name for _, attributes in found.elements for name in attributes if name.startswith("on")]
    assert found.text.count(SCRIPT) >= 8
    assert "{{ 7 * 7 }}" in found.text
    assert all(any(name.replace("\n", " ") in row[0].replace("\n", " ") for row in found.rows if row) for name in UGLY)


def test_it_stands_alone() -> None:
    text = dataset_page(3, manifest(), (), "s3://bucket/flights")
    found = Page(text)
    assert not [a for _, a in found.elements if "src" in a or a.get("href", "#")[:1] != "#"]  # type: ignore[index]
    assert not re.search(r"@import|url\(|fetch\(|XMLHttp|innerHTML|eval", text)
    policy = next(a["content"] for tag, a in found.elements if tag == "meta" and "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-")


def test_the_policy_lets_its_own_script_run_and_no_other() -> None:
    text = dataset_page(3, manifest(), (), "s3://bucket/flights")
    script = text[text.index("<script>") + len("<script>") : text.index("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"; script-src 'sha256-{digest}'\">" in text


def test_those_who_do_not_see_it_can_read_it() -> None:
    found = page()
    pictures = [attributes for tag, attributes in found.elements if tag == "svg"]
    assert len(pictures) == 3
    assert all(p["role"] == "img" and p["aria-label"] for p in pictures)
    assert [a["lang"] for tag, a in found.elements if tag == "html"] == ["en"]
    assert [tag for tag, _ in found.elements if tag in ("h1", "main", "nav")] == ["h1", "nav", "main"]
    headings = [a for tag, a in found.elements if tag == "th"]
    assert all("scope" in a for a in headings)
    ids = [a["id"] for _, a in found.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for tag, a in found.elements if tag == "a" and a["href"]} <= set(ids)
    labels = [a for tag, a in found.elements if tag == "label"]
    assert len(labels) == len([1 for tag, _ in found.elements if tag in ("input", "select")])


def test_one_is_singular() -> None:
    plain = manifest(())
    quality = Quality(rows_in=1, rows_published=1)
    one = plain.model_copy(
        update={
            "splits": {"train": Split(rule="all", rows=1, files=(shard("train", 0, 1),))},
            "inputs": (plain.inputs[0].model_copy(update={"rows": 1}),),
            "quality": quality,
        }
    )
    words = " ".join(page(one).text.split())
    assert "1 row, 1 column; made by the pipeline flights from 1 file with 1 row on 2026-03-01" in words
    assert "row1in 1 split column10 features, label late on disk133 B1 shard" in words
    assert "1 row was read, 1 published, 0 filtered and 0 quarantined" in words


def test_a_column_of_what_vocabularies_continue_is_there_if_one_does() -> None:
    assert "Continues" in page().text
    plain = manifest()
    alone = [
        c.model_copy(update={"vocabulary": c.vocabulary.model_copy(update={"extends": None})}) if c.vocabulary else c
        for c in plain.columns
    ]
    found = page(plain.model_copy(update={"columns": tuple(alone)}))
    assert "Continues" not in found.text
    assert found.row("carrier")[-1] == "state/01-categorified/table-0.parquet"


@pytest.mark.slow
def test_a_large_dataset_has_a_page_of_bounded_size() -> None:
    names = tuple(f"{'n' * 95}{place:05d}" for place in range(500))
    large = dataset_page(3, manifest(names, shards=1000), (), "s3://bucket/flights")
    assert len(large.encode()) < 2_000_000
    found = Page(large)
    assert sum(row[:1] == [f"{names[7]}Standardize"] for row in found.rows) == 1
    assert "1,501 more files in manifest.json." in found.text
    assert len([1 for tag, _ in found.elements if tag == "svg"]) == 501


def test_pictures_end_where_there_is_no_more_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.catalog.pages.dataset_page.PICTURES", 2500)
    found = page(manifest(tuple(f"c{n}" for n in range(6))))
    pictures = len([1 for tag, _ in found.elements if tag == "svg"])
    assert 0 < pictures < 7
    assert found.text.count("no room for more pictures") == 7 - pictures


def test_the_least_that_there_can_be() -> None:
    bare = manifest(
        (),
        columns=(),
        baselines=(),
        inputs=(),
        quality=None,
        pipeline=None,
        splits={"train": Split(rule="all", rows=0)},
    )
    found = page(bare)
    assert "None were trained." in found.text
    assert "Vocabularies" not in found.text
    assert found.row("late") == ["late", "", "float, nullable", "", "no statistics"]


def test_lists_times_and_texts() -> None:
    when = Statistics(
        count=10,
        min="2013-01-01T10:15:00.000000+00:00",
        max="2013-12-31T23:59:00.000000+00:00",
        quantiles={"0.05": "2013-01-15T01:25:00+00:00"},
        histogram=Histogram(edges=(1.35e15, 1.36e15, 1.39e15), counts=(4, 6)),
    )
    text = Statistics(count=10, nulls=10, top=(TopValue(value=None, count=10),))
    opaque = Statistics(count=10)
    columns = (
        Column(name="at", role="time", kind="temporal", dtype=ZONED, statistics={"train": when}),
        Column(name="note", role="key", kind="text", dtype="String", statistics={"train": text}),
        Column(name="history", role="feature", kind="list", dtype="List(Int32)", statistics={"train": opaque}),
    )
    given = manifest(("a", "b")).arrow_schema
    fields = tuple(field.model_copy(update={"name": c.name}) for field, c in zip(given, columns, strict=True))
    html = dataset_page(1, manifest(columns=columns, arrow_schema=fields), (), "published/flights")
    found = Page(html)
    assert found.row("at")[2:5] == ["Datetime(us, UTC)temporal, nullable", "", "0"]
    assert found.row("at")[5:] == [ABSENT, "2013-01-01 10:152013-01-15 01:25", ABSENT, f"2013-12-31 23:59{ABSENT}"]
    assert re.findall(r'class="quiet"[^>]*>([^<]*)<', html)[:2] == ["2013-01-01", "2013-12-31"]
    assert found.row("history")[1:4] == ["feature", "List(Int32)list", ""]
    assert found.row("note")[4] == "100.0 %"


@pytest.mark.slow
def test_twice_the_same_bytes() -> None:
    again = Manifest.model_validate(manifest(UGLY).model_dump())
    assert dataset_page(3, again, (), "x") == dataset_page(3, manifest(UGLY), (), "x")
