"""sources.yml: what it may say, and how its mistakes are told."""

from pathlib import Path

import pytest

from sources.delivery import SourceError
from sources.mapping import load_mapping


def _load(folder: Path, text: str):
    path = folder / "sources.yml"
    path.write_text(text, encoding="utf-8")
    return load_mapping(path)


def _refusal(folder: Path, text: str) -> str:
    with pytest.raises(SourceError) as caught:
        _load(folder, text)
    message = str(caught.value)
    assert "sources.yml" in message
    assert "pydantic" not in message
    return message


def test_every_key_is_read(tmp_path: Path):
    mapping = _load(
        tmp_path,
        """
        timezone: Europe/Berlin
        files:
          - path: "*.txt"
            table: shop.sales
            delimiter: "\\t"
            header: [who, when, paid]
            columns:
              customer_id: who
              sold_at: {from: when, format: "%d/%m/%Y"}
              amount: paid
              quantity: {constant: 1}
              channel: {constant: store}
        """,
    )
    assert mapping.timezone == "Europe/Berlin"
    (entry,) = mapping.files
    assert entry.contract.name == "shop.sales"
    assert (entry.path, entry.delimiter, entry.header) == ("*.txt", "\t", ("who", "when", "paid"))
    assert entry.columns["customer_id"].from_ == ("who",)
    assert (entry.columns["sold_at"].from_, entry.columns["sold_at"].format) == (("when",), "%d/%m/%Y")
    assert (entry.columns["quantity"].constant, entry.columns["channel"].constant) == ("1", "store")


def test_fingerprint_follows_what_is_said_and_not_the_path(tmp_path: Path):
    first = _load(tmp_path, "files: [{path: a.csv, table: shop.sales, columns: {amount: x}}]").files[0]
    moved = _load(tmp_path, "files: [{path: b.csv, table: shop.sales, columns: {amount: x}}]").files[0]
    other = _load(tmp_path, "files: [{path: a.csv, table: shop.sales, columns: {amount: y}}]").files[0]
    assert first.fingerprint == moved.fingerprint != other.fingerprint


def test_paths_are_relative_and_may_be_patterns(tmp_path: Path):
    for name in ("b.csv", "a.csv", "c.txt", "d[1].csv"):
        (tmp_path / name).write_text("x")
    entry = _load(tmp_path, 'files: [{path: "*.csv", table: shop.sales}]').files[0]
    assert [path.name for path in entry.paths(tmp_path)] == ["a.csv", "b.csv", "d[1].csv"]
    exact = _load(tmp_path, 'files: [{path: "d[1].csv", table: shop.sales}]').files[0]
    assert [path.name for path in exact.paths(tmp_path)] == ["d[1].csv"]
    absolute = _load(tmp_path, f'files: [{{path: "{tmp_path}/c.*", table: shop.sales}}]').files[0]
    assert [path.name for path in absolute.paths(Path("/"))] == ["c.txt"]


_SALES = "files: [{path: a.csv, table: shop.sales, "


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (_SALES + "columns: {sold_att: date}}]", ["files[0].columns.sold_att", "Did you mean sold_at?", "customer_id"]),
        (_SALES + "colums: {sold_at: date}}]", ["files[0].colums", "Did you mean columns?", "delimiter"]),
        (
            _SALES + "columns: {sold_at: {form: x}}}]",
            ["files[0].columns.sold_at.form", "Did you mean format?", "Allowed: from, format, constant"],
        ),
        ("files: [{path: a.csv, table: shop.sale}]", ["files[0].table", "'shop.sale'", "Did you mean shop.sales?"]),
        ("files: [{path: a.csv}]", ["files[0].table", "missing"]),
        ("file: []", ["file: unknown key", "Did you mean files?"]),
        (_SALES + 'delimiter: ":"}]', ["files[0].delimiter", "':'", "whitespace"]),
        (_SALES + "header: [1, 2]}]", ["files[0].header[0]", "must be text; put it in quotes"]),
        (_SALES + "columns: {sold_at: 5}}]", ["files[0].columns.sold_at"]),
        (_SALES + "columns: {sold_at: {format: '%d'}}}]", ["files[0].columns.sold_at", "either from"]),
        (_SALES + "columns: {sold_at: {from: a, constant: b}}}]", ["files[0].columns.sold_at", "either from"]),
        (_SALES + "columns: {sold_at: {from: a, format: '%Q'}}}]", ["files[0].columns.sold_at.format", "'%Q'"]),
        (_SALES + "columns: {amount: {from: a, format: '%d'}}}]", ["files[0].columns.amount.format", "number"]),
        (_SALES + "header: [when, x], columns: {sold_at: wenn}}]", ["files[0].header", "Did you mean when?"]),
        ("timezone: Europe/Berln", ["timezone", "Europe/Berln", "Did you mean Europe/Berlin?"]),
        ("files: {", ["line 1", "YAML"]),
        ("- a", ["must hold the key files"]),
    ],
)
def test_mistakes_are_told_with_place_and_remedy(tmp_path: Path, text: str, parts: list[str]):
    message = _refusal(tmp_path, text)
    for part in parts:
        assert part in message


def test_all_mistakes_are_told_at_once(tmp_path: Path):
    message = _refusal(tmp_path, _SALES + "columns: {sold_att: a, amont: b}}]")
    assert "sold_att" in message
    assert "amont" in message


def test_a_missing_file_is_told(tmp_path: Path):
    with pytest.raises(SourceError, match=r"none\.yml"):
        load_mapping(tmp_path / "none.yml")
