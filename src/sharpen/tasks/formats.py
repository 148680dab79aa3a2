"""The rows of a file, whatever its format: JSON Lines, JSON, CSV and Parquet, each also .gz, and directories of them.

1. A row is what the file holds, as JSON has it, and where it stands. Nothing is kept: memory does not grow with the file.
2. `.json` is a list of objects, objects one after the other, an object with one list of objects in it, or an object of columns.
   `.csv` and `.tsv` are UTF-8, with or without a byte order mark; the first line names the columns, and cells are
   parted by , ; tab or |, whichever the first lines have.
3. A directory is one that Hugging Face `datasets` saved (`save_to_disk`), or one of data files. Files that are named after a
   split, such as test-00000-of-00001.parquet, hold that split.
4. What is read is data. Pickles, and scripts that would load a data set, are refused by name.

Parquet and Arrow are read by pyarrow, which is an extra.
"""

from __future__ import annotations

import codecs
import gzip
import io
import itertools
import json
import math
import re
import tempfile
import zlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from sharpen.core import UserError
from sharpen.tasks import separated
from sharpen.terminal import places

KINDS, META = places.KINDS, places.META
LONGEST_LINE = 4 * 2**20  # bytes; read no further than this to find the end of a line
LONGEST_ROW = 64 * 2**20  # characters of one value of a .json file
CHUNK = 2**20
BATCH = 1000  # rows of Parquet or Arrow at a time
SPLIT_WORDS = {"train": "train", "test": "test", "validation": "validation", "valid": "validation", "val": "validation"}
SPLIT_WORDS |= {"dev": "validation", "eval": "validation"}
SPLIT = re.compile(rf"(?:^|[-_.])({'|'.join(SPLIT_WORDS)})(?:[-_.]|$)")
REFUSED = (".pkl", ".pickle", ".pt", ".pth", ".bin", ".npy", ".npz", ".joblib", ".py")
CURES = {".xlsx": "save it as CSV", ".xls": "save it as CSV", ".zip": "unpack it", ".tar": "unpack it", ".bz2": "unpack it"}
CURES |= {".zst": "unpack it", ".xz": "unpack it", ".txt": "write it as JSON Lines or CSV", ".yaml": "write it as JSON Lines"}


class Row(NamedTuple):
    """number  of the line or row, from 1
    value   what stands there
    raw     the line itself, of JSON Lines; else empty
    offset  of that line in the file, in bytes
    split   that the file is named after, or ""
    """

    number: int
    value: Any
    raw: bytes = b""
    offset: int = 0
    split: str = ""


def kind_of(path: Path) -> str:
    """ "jsonl", "json", "csv", "parquet", "arrow" or "directory". Raises UserError for what is not read, with the cure."""
    if path.is_dir():
        return "directory"
    if path.exists() and not path.is_file():
        raise UserError(f"{path} is no file. Name a file of tasks: it is read more than once, so a pipe will not do.")
    name = path.name.lower().removesuffix(".gz")
    end = name[name.rfind(".") :] if "." in name else ""
    if end in KINDS:
        return KINDS[end]
    if end in REFUSED:
        raise UserError(
            f"{path}: {end} may hold code that runs as it is read, so it is not. Save the data as Parquet or JSONL."
        )
    cure = f" To use it, {CURES[end]}." if end in CURES else ""
    raise UserError(f"{path}: a file of tasks ends in {', '.join(KINDS)}, or one of these and .gz.{cure}")


def label(kind: str) -> str:
    """What one row is called in an error."""
    return "line" if kind in ("jsonl", "csv") else "row"


def rows(path: Path, columns: Sequence[str] | None = None) -> Generator[Row, None, None]:
    """Every row of a file or a directory. Of Parquet and Arrow only these columns, where some are named.

    Raises UserError where it cannot be read, with the place and the cure.
    """
    kind = kind_of(path)
    try:
        if kind == "directory":
            yield from _directory(path, columns)
        elif kind == "jsonl":
            yield from _lines(path)
        elif kind == "json":
            with opened(path) as file, io.TextIOWrapper(file, "utf-8-sig") as text:
                yield from _json(text, path)
        elif kind == "csv":
            with opened(path) as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as text:
                yield from (Row(number, value) for number, value in separated.cells_in(text, path))
        else:
            yield from (_parquet if kind == "parquet" else _arrow)(path, columns)
    except UnicodeDecodeError as e:
        raise UserError(f"{path}: not UTF-8, {near(e)}. Save the file as UTF-8.") from e
    except (gzip.BadGzipFile, EOFError, zlib.error) as e:
        raise UserError(f"{path}: its compression is broken: {e}. Fetch the file again.") from e
    except OSError as e:
        raise UserError(f"{path} cannot be read: {e.strerror or e}. Name a file of tasks, one JSON object on each line.") from e


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    with gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb") as file:
        yield file  # type: ignore[misc]


# JSON Lines and JSON


def _lines(path: Path) -> Iterator[Row]:
    offset = 0
    with opened(path) as file:
        for number in range(1, 2**62):
            raw = file.readline(LONGEST_LINE + 1)
            if not raw:
                return
            if len(raw) > LONGEST_LINE:
                raise UserError(
                    f"{path}, line {number}: longer than {LONGEST_LINE // 2**20} MiB. JSONL has one task on each line."
                )
            if raw.strip():
                yield Row(number, parse(raw, f"{path}, line {number}"), raw, offset)
            offset += len(raw)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON; write it as text, in quotes")


def _finite(text: str) -> float:
    """1e999 is a number of JSON, and none of ours."""
    value = float(text)
    return value if math.isfinite(value) else _no_constant(text)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of a name that stands twice, readers take one value or the other, so nobody knows what was meant."""
    found = dict(pairs)
    if len(found) < len(pairs):
        name = next(name for i, (name, _) in enumerate(pairs) if name in dict(pairs[:i]))
        raise ValueError(f"the name {name!r} stands twice in one object; delete one of the two")
    return found


DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_once)


def why(error: ValueError) -> str:
    """What is wrong with a text as JSON; Python's own words for a whole number that is too long name a cure for programmers."""
    if isinstance(error, json.JSONDecodeError):  # its lines and columns are those of a part of the file
        rest = error.doc[error.pos :].strip()[:20]
        return f"{error.msg} {f'before {rest!r}' if rest else 'where it ends'}"
    return (
        "a number of thousands of digits; write it as text, in quotes" if "set_int_max_str_digits" in str(error) else str(error)
    )


def near(error: UnicodeDecodeError) -> str:
    """What stands where text is no UTF-8, in words."""
    if error.object[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "but UTF-16"
    said = bytes(error.object[max(error.start - 20, 0) : error.start + 10]).decode(errors="backslashreplace")
    return f"at {' '.join(said.split())!r}".replace("\\\\", "\\")


def parse(raw: bytes, where: str) -> Any:
    """The JSON value of one line. Raises UserError."""
    try:
        return DECODER.decode(raw.removeprefix(codecs.BOM_UTF8).decode())
    except UnicodeDecodeError as e:
        raise UserError(f"{where}: not UTF-8, {near(e)}. Save the file as UTF-8.") from e
    except RecursionError as e:
        raise UserError(f"{where}: not a task: nested too deeply.") from e
    except ValueError as e:
        raise UserError(f"{where}: broken JSON: {why(e)}. Every line is one whole JSON object.") from e


def _json(file: io.TextIOWrapper, path: Path) -> Iterator[Row]:
    values = _values(file, path)
    first = next(values, None)
    if first is None:
        return
    second = next(values, None)
    if second is None and not first[0]:
        yield from (Row(number, value) for number, value in enumerate(inside(first[1]), 1))
        return
    found = itertools.chain([first], [second] if second else [], values)
    yield from (Row(number, value) for number, (_, value) in enumerate(found, 1))


def _values(file: io.TextIOWrapper, path: Path) -> Iterator[tuple[bool, Any]]:
    """(whether it is an item of a list, value) of what is in a list or stands one after the other; a file may be large."""
    text, at, number, listed = file.read(CHUNK), 0, 0, False
    while True:
        text, at = (text[at:], 0) if at > CHUNK else (text, at)
        at = _START.match(text, at).end()  # type: ignore[union-attr]
        if at < len(text) and not number and not listed and text[at] == "[":
            listed, at = True, at + 1
            continue
        if listed and text[at : at + 1] == "]":
            return
        try:
            value, end = DECODER.raw_decode(text, at)
            cut = end == len(text)  # a number may go on in the next part
        except RecursionError as e:
            raise UserError(f"{path}, row {number + 1}: nested too deeply.") from e
        except ValueError as e:
            cut, end, value = True, at, e
        more = file.read(max(CHUNK, len(text) - at)) if cut else ""  # doubled: a long value is not parsed again and again
        if more and len(text) - at > LONGEST_ROW:
            raise UserError(f"{path}, row {number + 1}: longer than {LONGEST_ROW // 2**20} MiB, or broken JSON.")
        if more:
            text += more
        elif isinstance(value, ValueError):
            if at < len(text) or listed:
                raise UserError(
                    f"{path}, row {number + 1}: broken JSON: {why(value)}. The file may have been cut off."
                ) from value
            return
        else:
            at, number = end, number + 1
            yield listed, value


_START = re.compile(r"[\s,]*")
ROWS = ("prompt", "question", "problem", "instruction", "messages", "conversations")  # an object with one of these is a row


def inside(value: Any) -> list[Any]:
    """The rows in the one object that is a whole file: of its only list of objects, or of its columns; else itself."""
    if not isinstance(value, dict):
        return [value]
    lists = [v for v in value.values() if isinstance(v, list) and v and all(isinstance(item, dict) for item in v)]
    columns = list(value.values())
    if len(columns) > 1 and all(isinstance(v, dict) for v in columns) and all(v.keys() == columns[0].keys() for v in columns):
        return [{name: column[key] for name, column in value.items()} for key in columns[0]]  # as pandas writes it
    if len(columns) > 1 and all(isinstance(v, list) and len(v) == len(columns[0]) > 1 for v in columns):
        return [dict(zip(value, items)) for items in zip(*columns)]
    return lists[0] if len(lists) == 1 and not any(name in value for name in ROWS) else [value]


# Parquet, Arrow and directories


def arrow() -> Any:
    """pyarrow. Raises UserError with the command that installs it."""
    try:
        import pyarrow
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError as e:
        raise UserError('Parquet and saved data sets are read by pyarrow. Install it: pip install "sharpen[data]"') from e
    return pyarrow


def _parquet(path: Path, columns: Sequence[str] | None) -> Iterator[Row]:
    pyarrow = arrow()
    with tempfile.TemporaryFile() as unpacked:
        source: Any = path
        if path.suffix.lower() == ".gz":
            with opened(path) as packed:
                while part := packed.read(CHUNK):
                    unpacked.write(part)
            source = unpacked
        with _told(path, pyarrow), pyarrow.parquet.ParquetFile(source) as file:
            schema = file.schema_arrow
            wanted = None if columns is None else [name for name in schema.names if name in columns]
            yield from _batches(file.iter_batches(BATCH, columns=wanted), schema)


def _arrow(path: Path, columns: Sequence[str] | None) -> Iterator[Row]:
    pyarrow = arrow()
    with _told(path, pyarrow), pyarrow.memory_map(str(path)) as source:
        stream: Any
        try:
            stream = pyarrow.ipc.open_stream(source)
        except pyarrow.ArrowInvalid:  # the other of Arrow's two formats
            source.seek(0)
            file = pyarrow.ipc.open_file(source)
            yield from _batches((file.get_batch(i) for i in range(file.num_record_batches)), file.schema, columns)
            return
        yield from _batches(stream, stream.schema, columns)


@contextmanager
def _told(path: Path, pyarrow: Any) -> Iterator[None]:
    try:
        yield
    except (pyarrow.ArrowException, UnicodeDecodeError) as e:
        raise UserError(f"{path} cannot be read: {str(e).splitlines()[0] if str(e) else type(e).__name__}") from e


def _batches(batches: Any, schema: Any, columns: Sequence[str] | None = None) -> Iterator[Row]:
    number, names = 0, labels(schema)
    for large in batches:
        if columns is not None:
            large = large.select([name for name in large.schema.names if name in columns])
        for start in range(0, large.num_rows, BATCH):
            for value in large.slice(start, BATCH).to_pylist():
                number += 1
                for column, known in names.items():
                    if isinstance(value.get(column), int) and 0 <= value[column] < len(known):
                        value[column] = known[value[column]]
                yield Row(number, value)


def labels(schema: Any) -> dict[str, list[str]]:
    """Of the columns that Hugging Face `datasets` calls ClassLabel, the names behind the numbers."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {n: f["names"] for n, f in features.items() if f.get("_type") == "ClassLabel" and isinstance(f["names"], list)}
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}


def _directory(path: Path, columns: Sequence[str] | None) -> Iterator[Row]:
    number = 0
    for file, split in files_in(path):
        for row in rows(file, columns):
            number += 1
            yield Row(number, row.value, split=split)


def files_in(path: Path) -> list[tuple[Path, str]]:
    """(file, split or "") of a directory of data, sorted. Raises UserError where there is none, or more than one data set."""
    if (named := _state(path / "dataset_dict.json")) is not None:
        return [(file, split_in(name)) for name in named.get("splits") or () for file, _ in files_in(path / Path(name).name)]
    if (state := _state(path / "state.json")) is not None:
        listed = [entry.get("filename") for entry in state.get("_data_files") or () if isinstance(entry, Mapping)]
        return [(path / Path(name).name, "") for name in listed if isinstance(name, str)]
    for folder in (path, path / "data"):
        found = sorted(f for f in folder.glob("*") if f.is_file() and is_data(f)) if folder.is_dir() else []
        if found:
            return [(file, split_in(file.name)) for file in found]
    below = sorted(f.name for f in path.iterdir() if f.is_dir() and any(is_data(inner) for inner in f.glob("*")))
    if below:
        raise UserError(
            f"{path} holds several data sets: {', '.join(below[:10])}. Name one of them, such as {path / below[0]}."
        )
    if any(path.glob("*.py")):
        raise UserError(
            f"{path} holds a script that loads its data, and no code of a data set is run. Save its rows as Parquet."
        )
    raise UserError(f"{path} holds no data: no file in it ends in {', '.join(KINDS)}.")


def is_data(path: Path) -> bool:
    name = path.name.lower().removesuffix(".gz")
    return any(name.endswith(end) for end in KINDS) and name not in META and not name.endswith(".decisions.jsonl")


def split_in(name: str) -> str:
    found = SPLIT.search(name.lower())
    return SPLIT_WORDS[found[1]] if found else ""


def _state(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    with path.open("rb") as file:
        value = parse(file.read(LONGEST_LINE), str(path))
    if not isinstance(value, dict):
        raise UserError(f"{path}: no description of a data set that `datasets` saved.")
    return value
