"""The questions of BagNet."""

from __future__ import annotations

from collections.abc import Sequence

from templates_engine import Column, Schema
from templates_engine.asking import ESTOPTIONS, Ask, seed
from templates_engine.networks import KINDS, missing

from .spec import Evidence, Preparation, Spec, Training

FILE = "file"
AUTO, NONE = "auto", "None"
MOST_CLASSES = 100
AUGMENT = ("Full", "Flips", "Gentle", "None")
_NUMBER = r"\d{1,6}(\.\d{1,6})?"
_SHARES = r"\s*\d{1,4}(\.\d{1,4})?\s*(,\s*\d{1,4}(\.\d{1,4})?\s*){2}"


def questions(ask: Ask) -> Spec:
    if why := missing():
        ask.notice("networks", why, code="no-torch")
    images = ask.images(
        "images",
        "Images",
        help="A dataset of images: one row for each, with the column file. Upload a zip with a folder for each class, "
        "or with a table (CSV) of the columns file, label and subject, to make one.",
    )
    if images is not None and FILE not in images:
        ask.fault("images", f"The dataset {images.name} has lost its column {FILE}, which names the images.")
    label = ask.column(
        "label",
        "Label",
        text_ok=True,
        of=images,
        where=lambda c: 2 <= c.n_levels <= MOST_CLASSES and c.name != FILE,
        why="it has not from two to a hundred classes",
        default="label",
        help="The column of classes to be told apart. With two, the evidence is for the second in order; each of more "
        "gets a map of its own.",
    )
    subject = ask.column(
        "subject",
        "Subject",
        text_ok=True,
        optional=True,
        of=images,
        exclude=(label,),
        where=lambda c: c.name != FILE,
        default=_first(images, *(n for n in ("subject", "patient", "lesion") if n != label)) or "none",
        help="Whose image it is. All images of a subject are in one part of the split, and intervals are over "
        "subjects. "
        "With none, each image counts as a subject.",
    )
    if images is not None and not _has_subject(subject):
        ask.notice(
            "subject", "Without a subject, images of one person may be in training and test, and the test be too good."
        )
    networks, size = _networks(ask)
    pretrained = _pretrained(ask, networks)
    prepare = _preparation(ask, images, label, subject, size)
    external = ask.images(
        "external",
        "An external set",
        optional=True,
        exclude=(_name(images),),
        help="Another dataset of images with the same columns, such as another clinic's: the trained networks are "
        "tested on it too, and nothing is learnt from it.",
    )
    _same_columns(ask, external, label, subject)
    training = _training(ask)
    evidence = _evidence(ask, images)
    with ask.group(ESTOPTIONS):
        number = seed(ask)
    return Spec(
        _name(images),
        label,
        subject,
        networks,
        pretrained,
        "" if external is None else external.name,
        prepare,
        training,
        evidence,
        number,
        _classes(images, label),
    )


def _networks(ask: Ask) -> tuple[tuple[str, ...], int]:
    known = "|".join(KINDS)
    listed = ask.text(
        "networks",
        "Networks",
        default="BagNet33",
        pattern=rf"(?i:\s*({known})\s*(,\s*({known})\s*)*)",
        form=f"names with commas between them, of {', '.join(KINDS)}",
        help="One or several, compared in one table. BagNet33, BagNet17 and BagNet9 decide by patches of so many "
        "pixels; "
        "InceptionV3 sees the whole image and gives no evidence maps. SmallBagNet33, 17 and 9 have 100 times fewer "
        "weights, for small images and quick trials without a graphics card.",
    )
    by_fold = {name.casefold(): name for name in KINDS}
    networks = tuple(by_fold[part.strip().casefold()] for part in listed.split(","))
    repeated = {n for n in networks if networks.count(n) > 1}
    if repeated:
        ask.fault("networks", f"{', '.join(sorted(repeated))} is named twice.", code="repeated")
    size = ask.integer(
        "size",
        "Side of the images in pixels",
        min=9,
        max=2048,
        default=224,
        help="Images are made square and resized to this. The article's networks see 224; patches are of fixed "
        "size, so "
        "a smaller side means coarser patches.",
    )
    for name in networks:
        if size < KINDS[name].smallest:
            least = KINDS[name].smallest
            ask.fault("size", f"{name} needs images of at least {least} pixels a side, and {size} are asked for.")
    return networks, size


def _pretrained(ask: Ask, networks: Sequence[str]) -> tuple[str, ...]:
    text = ask.text(
        "pretrained",
        "Weights to begin from",
        default=NONE,
        help="A file of published or own weights on this machine (.safetensors, .pth), for several networks one each "
        "with commas between them, or None to begin from fresh weights. Nothing is downloaded. The article begins from "
        "ImageNet's.",
    )
    if text.strip().casefold() == "none":
        return ()
    files = tuple(part.strip() for part in text.split(","))
    if len(files) != len(networks):
        ask.fault(
            "pretrained", f"There are {len(networks)} networks and {len(files)} files: give one for each, or None."
        )
    return files


def _preparation(ask: Ask, images: Schema | None, label: str, subject: str, size: int) -> Preparation:
    with ask.section("Preparation"):
        quality = ask.number(
            "quality",
            "Percent of the images to leave out for their quality",
            min=0,
            max=90,
            default=0,
            help="Images are ranked by sharpness, contrast, exposure, field of view and even light, whatever their "
            "label, and so many of the worst are left out and listed. 0 keeps all.",
        )
        qualitylist = ask.column(
            "qualitylist",
            "A column that says which images are usable",
            optional=True,
            of=images,
            exclude=(label,),
            default="none",
            help="Numbers of your own grading, 1 for usable and 0 for not, or a probability: images below 0.5 or "
            "without "
            "a number are left out and listed.",
        )
        mask = ask.number(
            "mask",
            "Circular mask, percent of the radius",
            min=0,
            max=100,
            default=95,
            help="The black margin is cut away and everything outside the central disc is made black, so that "
            "the rim of "
            "the camera tells nothing. 0 for images that are not round.",
        )
        split = ask.text(
            "split",
            "Training, validation and test",
            default="75,10,15",
            form="three shares such as 75,10,15, or the name of a column that says the part of each image",
            help="Shares of the subjects, dealt at random within each class by the seed, or a column with the words "
            "training, validation and test. A subject in two parts is refused.",
        )
        shares, column = _shares(ask, split, images)
    return Preparation(size, mask, quality, qualitylist, shares, column)


def _shares(ask: Ask, text: str, images: Schema | None) -> tuple[tuple[float, ...], str]:
    import re

    word = text.strip()
    if re.fullmatch(_SHARES, word):
        shares = tuple(float(part) for part in word.split(","))
        if shares[0] <= 0 or shares[2] <= 0:
            ask.fault("split", "Training and test need a share above 0.", code="out-of-range")
        return shares, ""
    if images is not None and word in images:
        return (), word
    near = images.nearest(word) if images is not None else ""
    said = f"“{word}” is neither three shares such as 75,10,15 nor a column of the images."
    ask.fault("split", said, code="wrong-form", nearest=near)
    return (75.0, 10.0, 15.0), ""


def _training(ask: Ask) -> Training:
    with ask.section("Training"), ask.group(ESTOPTIONS):
        head = ask.integer(
            "epochshead",
            "Epochs of the output layer alone",
            min=0,
            max=10_000,
            default=10,
            help="The article trains the new output layer 10 epochs before all layers. Without weights to begin "
            "from, 0 "
            "saves the time.",
        )
        all_ = ask.integer(
            "epochsall", "Epochs of all layers", min=1, max=10_000, default=100, help="100 in the article."
        )
        optimiser = ask.choice(
            "optimiser",
            "Optimiser",
            ("SGD", "AdamW"),
            default="SGD",
            help="SGD at a fixed rate, as the article; or AdamW with one cycle of the rate, which learns from "
            "fresh weights "
            "in far fewer epochs.",
        )
        lr = ask.number("lr", "Learning rate", min=1e-7, max=10, default=0.01, help="0.01 in the article.")
        momentum = 0.0
        if optimiser == "SGD":
            momentum = ask.number(
                "momentum", "Momentum", min=0, max=0.999, default=0.9, help="Of SGD; the article does not state it."
            )
        decay = ask.number(
            "weightdecay",
            "Weight decay",
            min=0,
            max=1,
            default=0,
            help="Shrinks the weights; the article does not state it.",
        )
        batch = ask.integer("batch", "Images in a batch", min=2, max=4096, default=16, help="16 in the article.")
        augment = ask.choice(
            "augment",
            "Augmentation",
            AUGMENT,
            default="Full",
            spellings={"Yes": "Full", "No": "None"},
            help="How training images are changed at random. Full: rotation by any angle, flips, shifts to 10 %, "
            "brightness "
            "and zoom to 20 and 10 %. Flips: flips and brightness. Gentle: rotation to 15 degrees, small shifts, "
            "brightness and zoom, no flips. The article gives no ranges.",
        )
        window = ask.integer(
            "window",
            "Closing epochs from which the best is taken",
            min=1,
            max=10_000,
            default=6,
            help="The network of the best of the last epochs by the validation images is kept: 6, epochs 95 to "
            "100, in the "
            "article.",
        )
        precision = ask.choice(
            "precision",
            "Precision",
            ("float32", "mixed"),
            default="float32",
            help="Mixed precision (bfloat16) is faster on a graphics card; a processor works in float32 always.",
        )
    return Training(head, all_, optimiser, lr, momentum, decay, batch, augment, window, precision)


def _evidence(ask: Ask, images: Schema | None) -> Evidence:
    with ask.section("Evidence"):
        eyes = _first(images, "eye", "laterality", "side")
        eye = ""
        if ask.yes_no(
            "flip",
            "Mirror left eyes in the mean maps?",
            default=bool(eyes),
            help="So that optic discs lie on one another when maps and images are averaged. Training sees the "
            "images as "
            "they are.",
        ):
            eye = ask.column(
                "eye",
                "Column that says left or right",
                text_ok=True,
                of=images,
                default=eyes or None,
                help="Words such as left and right, L and R, OS and OD.",
            )
        clip = ask.text(
            "clip",
            "Evidence at the ends of the colour scale",
            default=AUTO,
            pattern=rf"(?i:auto)|{_NUMBER}",
            form="auto, or a number above 0",
            help="Maps are clipped there for display, never for statistics. 75 in the article, whose network had "
            "its own "
            "scale; auto takes what 99 % of the patches of the validation images do not pass.",
        )
        threshold = ask.text(
            "threshold",
            "A patch of much evidence passes",
            default=AUTO,
            pattern=rf"(?i:auto)|{_NUMBER}",
            form="auto, or a number above 0",
            help="For the share of patches with much evidence. 50 in the article; auto takes what 95 % of the "
            "patches of "
            "the validation images do not pass.",
        )
        tta = ask.integer(
            "tta",
            "Augmented copies for the uncertainty of a prediction",
            min=0,
            max=1000,
            default=0,
            help="Each test image is predicted so many times more, changed at random as in training; the spread of the "
            "probabilities says how sure the network is. 0 leaves it out.",
        )
        tsne = ask.choice(
            "tsne",
            "A map of the patches (t-SNE)",
            ("None", "Test", "Training"),
            default="Test",
            spellings={"Yes": "Test", "No": "None"},
            help="Patches that look alike to the network lie together, coloured by their evidence: those of the "
            "correctly classified test images, as in the article, or of the training images; at most 20,000, drawn at "
            "random. About half a minute for 5,000 patches.",
        )
    numbers = [0.0 if text.strip().casefold() == AUTO else float(text) for text in (clip, threshold)]
    for key, text, number in zip(("clip", "threshold"), (clip, threshold), numbers, strict=True):
        if number == 0 and text.strip().casefold() != AUTO:
            ask.fault(key, "A number above 0, or auto, is needed.", code="out-of-range")
    return Evidence(eye, numbers[0], numbers[1], str(tsne), tta)


def _same_columns(ask: Ask, external: Schema | None, label: str, subject: str) -> None:
    if external is None:
        return
    lost = [c for c in (FILE, label, subject) if c and c not in external]
    if lost:
        said = (
            f"The dataset {external.name} has no column {' and no column '.join(lost)}; it needs those of the images."
        )
        ask.fault("external", said, code="not-a-column")


def _has_subject(subject: str) -> bool:
    return bool(subject)


def _name(images: Schema | None) -> str:
    return "" if images is None else images.name


def _first(images: Schema | None, *names: str) -> str:
    """The first of these columns that is there."""
    return next((n for n in names if images is not None and n in images), "")


def _classes(images: Schema | None, label: str) -> tuple[str, ...]:
    column: Column | None = images[label] if images is not None and label in images else None
    return tuple(str(level) for level in column.levels) if column is not None else ()
