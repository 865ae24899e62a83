"""In which encoding letters are: certain ones, Windows-1252, and what cannot be Western."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from templates_engine.data.dataset import Dataset
from templates_engine.data.readers.encodings import judged, marked

Read = Callable[..., Dataset]


def _words(text: str) -> list[str]:
    return text.split()


WESTERN = _words(
    "José Müller Größe café niño São Málaga Zürich élève garçon Ångström Øresund naïve Köln mañana "
    "coração été où straße Weiß François Søren Märta Zoë Ísland Þór Åse à è œuvre crème fête garçons "
    "ñandú piñata más será l’été "
)
RUSSIAN = _words("школа ученик балл Москва Петров Иванова девочка мальчик возраст рост учитель да нет город область ")
CENTRAL = _words(
    "Łódź Kraków Gdańsk uczeń płeć dziewczyna chłopiec Wrocław wiek Žižkov škola žák děvče věk třída "
    "město číslo Šárka Dvořák źle często "
)
GREEK = _words("σχολείο μαθητής βαθμός Αθήνα Θεσσαλονίκη αγόρι κορίτσι ηλικία ναι όχι πόλη ")
TURKISH = _words("öğrenci İstanbul kız erkek yaş okul Şükrü Çağla öğretmen evet hayır ağır İzmir şehir ")
JAPANESE = _words("学校 生徒 点数 東京 大阪 男 女 年齢 はい いいえ ")
CHINESE = _words("学校 学生 分数 北京 上海 男 女 年龄 是 否 ")
HEBREW = _words("תלמיד ציון ירושלים בן בת גיל כן לא עיר ")

ENCODINGS = {
    "cp1252": WESTERN,
    "latin-1": [w for w in WESTERN if w.encode("latin-1", "ignore").decode("latin-1") == w],
    "mac_roman": [w for w in WESTERN if w.encode("mac_roman", "ignore").decode("mac_roman") == w],
    "cp1251": RUSSIAN,
    "koi8-r": RUSSIAN,
    "cp866": RUSSIAN,
    "cp1250": CENTRAL,
    "cp1253": GREEK,
    "cp1254": TURKISH,
    "shift_jis": JAPANESE,
    "gb18030": CHINESE,
    "cp1255": HEBREW,
}
EACH = 20
LEAST = {"cp1252": EACH, "latin-1": EACH, "mac_roman": EACH}  # the Western ones: not one is worse than as Windows-1252
OTHERS = 0.9  # of the rest, taken together; measured 0.97


def made(words: list[str], generator: random.Random) -> str:
    rows = generator.choice([1, 3, 5, 10, 40, 200])
    lines = [",".join(generator.sample(words, 3))]
    lines += [f"{generator.choice(words)},{generator.choice(words)} {i},{i / 7:.2f}" for i in range(rows)]
    return "\n".join(lines)


def test_short_files_of_twelve_encodings() -> None:
    """240 small tables, from 2 to 201 lines. The rate is stated because detectors are deceived by short files."""
    generator = random.Random(5)
    right: dict[str, int] = {}
    for encoding, words in ENCODINGS.items():
        right[encoding] = 0
        for _ in range(EACH):
            text = made(words, generator)
            lines = "\n".join(line for line in text.split("\n") if not line.isascii()).encode(encoding)
            right[encoding] += lines.decode(judged(lines), "replace").encode(encoding, "replace") == lines
    assert all(right[encoding] >= least for encoding, least in LEAST.items()), right
    others = [n for encoding, n in right.items() if encoding not in LEAST]
    assert sum(others) >= OTHERS * EACH * len(others), right


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "cp1251", "cp1250"]
)
def test_a_file_of_each_encoding(read_text: Read, encoding: str) -> None:
    words = {"cp1251": RUSSIAN, "cp1250": CENTRAL}.get(encoding, ["Größe", "José", "élève", "niño"])
    text = "name,x\n" + "".join(f"{word},{i}\n" for i, word in enumerate(words))
    data = read_text(text.encode(encoding))
    assert data.names == ("name", "x")
    assert data["name"].tolist() == words
    assert bool(data.notes) == (encoding not in ("utf-8", "utf-8-sig", "utf-16", "utf-32"))


def test_signs_of_windows_1252(read_text: Read) -> None:
    data = read_text("a,b\n“x” – y…,5\nl’été €,6\nœuvre ™,7\n".encode("cp1252"))
    assert data["a"].tolist() == ["“x” – y…", "l’été €", "œuvre ™"]


def test_marks_are_certain() -> None:
    assert marked("é".encode("utf-8-sig")) == "utf-8-sig"
    assert marked("a,b\n1,2\n".encode("utf-16-le")) == "utf-16-le"
    assert marked(b"a,b\n1,2\n") == ""
    assert marked(b"\x00\x01\x02\x03 abcdefgh") == ""
