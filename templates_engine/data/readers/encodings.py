"""In which encoding a text's letters are written.

A byte order mark, UTF-8 and UTF-16 are certain. Else Windows-1252 is taken (it holds every letter of Latin-1), unless
the words that come out of it cannot be Western ones: then the other Western encodings are tried by the same rule, and
at last the library chardet says which letters they are. Short files deceive detectors, so it is asked last.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from pathlib import Path
from typing import BinaryIO, Final

from templates_engine.data.readers import refused

WESTERN: Final = "cp1252"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, with whose mark it begins
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LOOKED_AT = 1 << 20  # bytes of lines with letters beyond ASCII
_WORDS = 3000  # different words judged
IMPLAUSIBLE = 0.15  # this share of words that are no Western ones, and the text is not Western
_PLAUSIBLE = 0.02  # at most this share of them, and it is
_BEYOND = re.compile(rb"[A-Za-z\x80-\xff]*[\x80-\xff][A-Za-z\x80-\xff]*")

# The letters beyond a to z of the languages that Windows-1252 serves; a word with letters of no single one is strange.
_ALPHABETS = (
    "àâæçéèêëîïôœùûüÿ",  # French
    "äöüßé",  # German
    "áéíóúüñ",  # Spanish
    "áâãàçéêíóôõúüö",  # Portuguese
    "àèéìíîòóùú",  # Italian
    "àçèéíïòóúü",  # Catalan
    "åäöæøéüèáóô",  # Danish, Norwegian, Swedish, Finnish
    "áàéèêëíïóôöúü",  # Dutch
    "áéíóúýþæöðø",  # Icelandic, Faroese
    "áéíóúàâêîôûŵŷ",  # Irish, Welsh
)
_BESIDE = "€“”‘’„‚«»‹›–—…°²³¹½¼¾®©™§¶·•µªº×÷±¿¡£¥$¢¨´¸¬¦‰†‡"  # signs that stand beside words, not within them
# Languages whose words look Western in Windows-1252, one by one: their letters there, those that give them away, and
# the encodings that chardet must then name.
_DISGUISED = (
    (set("áéíóöõúüû"), set("õû"), ("windows-1250", "iso-8859-2", "iso-8859-16")),  # Hungarian
    (set("çðýöþüâî"), set("ðýþ"), ("windows-1254", "iso-8859-9")),  # Turkish, told from Icelandic by ç and ü
)
NAMES = {
    "cp1252": "Western European (Windows-1252)",
    "mac_roman": "Western European (Mac)",
    "cp850": "Western European (DOS)",
    "windows-1251": "Cyrillic (Windows-1251)",
    "windows-1250": "Central European (Windows-1250)",
    "windows-1253": "Greek (Windows-1253)",
    "windows-1254": "Turkish (Windows-1254)",
    "windows-1255": "Hebrew (Windows-1255)",
    "windows-1256": "Arabic (Windows-1256)",
    "windows-1257": "Baltic (Windows-1257)",
    "iso-8859-2": "Central European (ISO 8859-2)",
    "iso-8859-5": "Cyrillic (ISO 8859-5)",
    "iso-8859-7": "Greek (ISO 8859-7)",
    "iso-8859-9": "Turkish (ISO 8859-9)",
    "koi8-r": "Cyrillic (KOI8-R)",
    "koi8-u": "Cyrillic (KOI8-U)",
    "ibm866": "Cyrillic (DOS)",
    "cp866": "Cyrillic (DOS)",
    "maccyrillic": "Cyrillic (Mac)",
}


def marked(head: bytes) -> str:
    """The encoding that a byte order mark, or zero bytes in every second place, say for certain; "" where none does."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    pairs = head[: len(head) // 2 * 2]
    if b"\x00" in pairs and len(pairs) >= 8:  # UTF-16 without a mark: its ASCII has a zero in every pair
        even, odd = pairs[0::2].count(0), pairs[1::2].count(0)
        if odd * 2 > len(pairs) * 0.8 and even == 0:
            return "utf-16-le"
        if even * 2 > len(pairs) * 0.8 and odd == 0:
            return "utf-16-be"
    return ""


def encoding_of(file: BinaryIO, shown: str, notes: list[str]) -> str:
    """The encoding of a file without UTF-16; a note says which was taken where that is not certain. Refuses zeros."""
    file.seek(0)
    sure = "utf-8-sig" if file.read(3) == codecs.BOM_UTF8 else "utf-8"
    decoder = codecs.getincrementaldecoder("utf-8")()
    file.seek(0)
    beyond: list[bytes] = []
    wrong, kept = False, 0
    while chunk := file.read(1 << 20):
        if b"\x00" in chunk:
            raise refused("wrong-format", f"{shown} is not a text file.")
        if not wrong:
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError:
                wrong = True
        if kept < _LOOKED_AT and not chunk.isascii():
            lines = [line for line in chunk.split(b"\n") if not line.isascii()]
            beyond += lines
            kept += sum(map(len, lines))
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        wrong = True
    if not wrong:
        return sure
    found = judged(b"\n".join(beyond)[:_LOOKED_AT])
    notes.append(f"The file is not in UTF-8; its letters were read as {NAMES.get(found.lower(), found)}.")
    return found if found != WESTERN else _western(file)


def _western(file: BinaryIO) -> str:
    """Windows-1252, or Latin-1 where a byte occurs that Windows-1252 leaves undefined."""
    file.seek(0)
    undefined = b"\x81\x8d\x8f\x90\x9d"
    while chunk := file.read(1 << 20):
        if chunk.translate(None, undefined) != chunk:
            return "latin-1"
    return WESTERN


def judged(beyond: bytes) -> str:
    """The encoding of lines that are not UTF-8: Windows-1252 unless its words cannot be Western."""
    words = list(dict.fromkeys(_BEYOND.findall(beyond)))[:_WORDS]
    strange, letters = _strange(words, WESTERN)
    disguised = [d for d in _DISGUISED if letters <= d[0] and letters & d[1] and letters & (set("áíöüç"))]
    if strange < IMPLAUSIBLE and not disguised:
        return WESTERN
    if strange >= IMPLAUSIBLE:
        for other in ("mac_roman", "cp850"):
            if _strange(words, other)[0] <= _PLAUSIBLE:
                return other
    return _detected(beyond, () if strange >= IMPLAUSIBLE else disguised[0][2])


def _detected(beyond: bytes, only: tuple[str, ...]) -> str:
    """What chardet says; Windows-1252 where it says a Western encoding, or one in which the bytes cannot be read."""
    import chardet

    found = str(chardet.detect(beyond[: 1 << 16])["encoding"] or "")
    if only and found.lower() not in only:
        return WESTERN
    if not found or found.lower() in ("ascii", "utf-8", "windows-1252", "iso-8859-1", "iso-8859-15", "latin-1"):
        return WESTERN
    try:
        beyond.decode(found)
    except (LookupError, UnicodeDecodeError):
        return WESTERN
    return found


def _strange(words: list[bytes], encoding: str) -> tuple[float, set[str]]:
    """(share of the words that are of no Western language when read so, their letters beyond ASCII)."""
    strange, letters = 0, set()
    for raw in words:
        word = raw.decode(encoding, "replace").strip(_BESIDE)
        letters |= {c for c in word.lower() if not c.isascii() and c.isalpha()}
        strange += _no_western_word(word)
    return strange / max(1, len(words)), letters


def _no_western_word(word: str) -> bool:
    """Signs or controls inside, letters of no single language, accents in a row, or capitals after small letters."""
    folded = re.sub("['’.-]", "", word)
    beyond = {c for c in folded if not c.isascii()}
    if any(not c.isalpha() or unicodedata.category(c) in ("Cc", "Lm") for c in beyond):
        return True
    if not any(beyond <= set(alphabet + alphabet.upper()) | {"ª", "º"} for alphabet in _ALPHABETS):
        return True
    if re.search(r"[^\x00-\x7f]{3}", folded):
        return True
    return any(not c.isascii() and c.isupper() for c in re.sub(r"^[A-ZÀ-Þ]+", "", folded)) and not folded.isupper()


def candidates(path: Path, found: str) -> list[list[str]]:
    """[encoding, some words of the file in it], two or three that give different words, the one taken first."""
    with path.open("rb") as file:
        words = list(dict.fromkeys(_BEYOND.findall(file.read(_LOOKED_AT))))[:3]
    shown: list[list[str]] = []
    for encoding in (found, WESTERN, "windows-1250", "windows-1251", "mac_roman"):
        try:
            said = ", ".join(word.decode(encoding)[:20] for word in words)
        except (UnicodeDecodeError, LookupError):
            continue
        if said and said not in [text for _, text in shown] and len(shown) < 3:
            shown.append([encoding, said])
    return shown
