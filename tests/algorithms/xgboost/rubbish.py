"""Bodies that resemble what input_fn reads, made by chance and by design; run in the environment of the algorithms.

``wrong(seed)`` lists those that were neither read nor refused, that took long, or whose refusal is no short line.
"""

from __future__ import annotations

import random
import resource
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from sagebrush.algorithms.sklearn import serving as sklearn
from sagebrush.algorithms.xgboost import serving as xgboost
from sagebrush.runtime.serving import codecs
from tests.algorithms.xgboost.records import FLOAT32, FLOAT64, INT32, dense, features, field, framed, sparse, varint

_MEMORY = 4 << 30
_SECONDS = 5
_LONGEST = 450
_MILLIONS = 5_000_000
_LIBSVM, _NPY = "text/libsvm", "application/x-npy"
_NUMBERS = (0, 1, 2, 3, 2**31 - 1, 2**31, 2**32, 2**60, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 2**70 - 1)
_GOOD = (dense([1, 2, 3]) * 3, dense([1, 2, 3], FLOAT64), dense([1, -5], INT32), sparse([1, 2], [0, 7], 9))

Case = tuple[Callable[[bytes, str], Any], str, bytes]


def wrong(seed: int, rounds: int) -> list[list[str]]:
    """What went wrong: content type, body, and what came out."""
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    chance = random.Random(seed)
    cases = [*_designed(), *(case for _ in range(rounds) for case in _of_chance(chance))]
    told = ([kind, repr(body[:200]), _outcome(handler, kind, body)] for handler, kind, body in cases)
    return [each for each in told if each[2]][:5]


def _outcome(handler: Callable[[bytes, str], Any], kind: str, body: bytes) -> str:
    began = time.process_time()
    try:
        handler(body, kind)
    except codecs.Refused as refused:
        text = str(refused)
        if "\n" in text or len(text) > _LONGEST:
            return f"refused with {len(text)} characters: {text[:_LONGEST]}"
    except BaseException as error:
        return repr(error)[:_LONGEST]
    return "slow" if time.process_time() - began > _SECONDS else ""


def _designed() -> Iterator[Case]:
    endless = b"\xff" * _MILLIONS
    for body in (framed(b"\x0a" + endless), framed(endless), features(INT32, field(1, endless))):
        yield xgboost.input_fn, codecs.RECORDIO, body
    for body in (b"0:" + b"x" * _MILLIONS, b"1" * _MILLIONS + b":1", b"-" + b"1" * 4000 + b":1", b"%d:1" % 10**18):
        yield xgboost.input_fn, _LIBSVM, body
    for body in (b"x" * _MILLIONS, b"," * _MILLIONS, b'"' * _MILLIONS, b"1\n2," * 50_000):
        yield xgboost.input_fn, codecs.CSV, body
        yield sklearn.input_fn, codecs.CSV, body
    deep, long = b"[" * 90 + b"]" * 90, b'["' + b"x" * 100_000 + b'"]'
    for body in (b"[" * _MILLIONS, b"[1e400]", b"[[%d]]" % 10**400, deep, long):
        yield sklearn.script_input_fn, codecs.JSON, body
    for shape in (
        "(1000000000,)",
        "(10000000000000,)",
        f"({2**63 - 1}, 2)",
        "(-1,)",
        f"(0, {2**63 - 1})",
        "(9" + "0" * 30 + ",)",
    ):
        for kind in ("<f8", "|V9999999", "<U99999999", "|O", "|S0"):
            head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
            yield sklearn.input_fn, _NPY, b"\x93NUMPY\1\0" + len(head).to_bytes(2, "little") + head + bytes(64)


def _of_chance(chance: random.Random) -> Iterator[Case]:
    yield xgboost.input_fn, codecs.RECORDIO, _changed(chance, chance.choice(_GOOD))
    yield xgboost.input_fn, codecs.RECORDIO, _record(chance)
    yield xgboost.input_fn, _LIBSVM, _of(chance, b"0123456789:. -#\n\te+infa", 40)
    table = _of(chance, b'0123456789,;. -\n\r\te+infa"|\xff\0\x85', 60)
    yield xgboost.input_fn, codecs.CSV, table
    yield xgboost.script_input_fn, codecs.CSV, table
    yield sklearn.input_fn, codecs.CSV, table
    yield sklearn.script_input_fn, codecs.JSON, _of(chance, b'[[[]]],,0123456789.nul{}"a:', 40)
    npy = b"\x93NUMPY\1\0v\0" + _of(chance, b"{'descr':<f48,()fortran_ordeshapeFlTu 0123456789}", 120)
    yield sklearn.input_fn, _NPY, npy
    yield xgboost.input_fn, "application/x-parquet", b"PAR1" + chance.randbytes(50) + b"PAR1"


def _of(chance: random.Random, letters: bytes, most: int) -> bytes:
    return bytes(chance.choices(letters, k=chance.randrange(1, most)))


def _changed(chance: random.Random, good: bytes) -> bytes:
    body = bytearray(good)
    for _ in range(chance.randrange(1, 4)):
        body[chance.randrange(len(body))] = chance.randrange(256)
    return bytes(body[: chance.randrange(1, len(body) + 1)] if chance.random() < 0.3 else body)


def _record(chance: random.Random) -> bytes:
    """Records of fields that protobuf could have, with numbers at the ends of their range."""
    parts = [_part(chance, 2) for _ in range(chance.randrange(4))]
    if chance.random() < 0.3:
        return framed(b"".join(parts))
    return features(chance.choice((FLOAT32, FLOAT64, INT32)), *parts) * chance.randrange(1, 3)


def _part(chance: random.Random, depth: int) -> bytes:
    number, wire = chance.choice((1, 2, 3, 3, 7, 9)), chance.choice((0, 1, 5, 2, 2, 2, 2))
    if wire != 2:
        return varint(number << 3 | wire) + {0: varint(chance.choice(_NUMBERS)), 1: bytes(8), 5: b"1234"}[wire]
    if chance.random() < 0.1:
        return varint(number << 3 | wire) + varint(chance.choice(_NUMBERS)) + b"1234"
    if depth and chance.random() < 0.5:
        return field(number, b"".join(_part(chance, depth - 1) for _ in range(chance.randrange(3))))
    packed = b"".join(varint(chance.choice(_NUMBERS)) for _ in range(chance.randrange(3)))
    return field(number, chance.choice((packed, b"", b"1234", b"12345678", b"values")))
