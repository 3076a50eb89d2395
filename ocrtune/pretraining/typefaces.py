"""Find the installed typefaces that text lines are rendered in, and say which were never trained on.

Typefaces come from free font packages of the operating system; `PACKAGES` names each with its
licence. Families, not files, are the unit: a family of forty weights is drawn no oftener than one of two.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

FONT_ROOTS = ("/usr/share/fonts", "/usr/share/texmf/fonts")

# Debian package: (folder below a font root, licence).
PACKAGES = {
    "fonts-dejavu-core": ("truetype/dejavu", "Bitstream Vera"),
    "fonts-liberation": ("truetype/liberation", "OFL-1.1"),
    "fonts-freefont-ttf": ("truetype/freefont", "GPL-3.0 with font exception"),
    "fonts-noto-core": ("truetype/noto", "OFL-1.1"),
    "fonts-lato": ("truetype/lato", "OFL-1.1"),
    "fonts-open-sans": ("truetype/open-sans", "Apache-2.0"),
    "fonts-roboto-unhinted": ("truetype/roboto", "Apache-2.0"),
    "fonts-roboto-slab": ("opentype/roboto", "Apache-2.0"),
    "fonts-cantarell": ("opentype/cantarell", "OFL-1.1"),
    "fonts-ebgaramond": ("opentype/ebgaramond", "OFL-1.1"),
    "fonts-crosextra-carlito": ("truetype/crosextra", "OFL-1.1"),
    "fonts-hack-ttf": ("truetype/hack", "MIT"),
    "fonts-inconsolata": ("truetype/inconsolata", "OFL-1.1"),
    "fonts-linuxlibertine": ("opentype/linux-libertine", "OFL-1.1"),
    "fonts-quicksand": ("truetype/quicksand", "OFL-1.1"),
    "fonts-urw-base35": ("opentype/urw-base35", "AGPL-3.0 with font exception"),
    "fonts-texgyre": ("opentype/public/tex-gyre", "GUST Font License"),
    "fonts-lmodern": ("opentype/public/lm", "GUST Font License"),
    "fonts-gfs-didot": ("opentype/didot", "OFL-1.1"),
    "fonts-goudybookletter": ("opentype/sortsmill", "public domain"),
    "fonts-oldstandard": ("truetype/fonts-oldstandard", "OFL-1.1"),
    "fonts-sil-gentiumplus": ("truetype/gentiumplus", "OFL-1.1"),
    "fonts-sil-charis": ("truetype/charis", "OFL-1.1"),
    "fonts-sil-andika": ("truetype/andika", "OFL-1.1"),
    "fonts-cmu": ("truetype/cmu", "OFL-1.1"),
    "fonts-junicode": ("opentype/junicode", "OFL-1.1"),
    "fonts-inter": ("opentype/inter", "OFL-1.1"),
    "fonts-jetbrains-mono": ("truetype/jetbrains-mono", "OFL-1.1"),
    "fonts-comfortaa": ("truetype/comfortaa", "OFL-1.1"),
    "fonts-dosis": ("opentype/dosis", "OFL-1.1"),
    "fonts-play": ("truetype/play", "OFL-1.1"),
    "fonts-paratype": ("truetype/paratype", "OFL-1.1"),
    "fonts-stix": ("opentype/stix", "OFL-1.1"),
    "fonts-go": ("fonts-go", "BSD-3-Clause"),
    "fonts-croscore": ("truetype/croscore", "Apache-2.0"),
    "fonts-cardo": ("truetype/cardo", "OFL-1.1"),
    "fonts-fanwood": ("truetype/fanwood", "OFL-1.1"),
    "fonts-oxygen": ("truetype/oxygen", "OFL-1.1"),
    "fonts-elstob": ("opentype/elstob", "OFL-1.1"),
    "fonts-mononoki": ("truetype/mononoki", "OFL-1.1"),
    "fonts-comic-neue": ("opentype/comic-neue", "OFL-1.1"),
    "fonts-tlwg-typewriter-ttf": ("truetype/tlwg", "GPL-2.0 with font exception"),
    "fonts-adf-baskervald": ("truetype/adf", "GPL-2.0 with font exception"),
    "fonts-gnutypewriter": ("truetype/gnutypewriter", "OFL-1.1"),
    # Never trained on: they measure what the model makes of a new typeface.
    "fonts-vollkorn": ("truetype/vollkorn", "OFL-1.1"),
    "fonts-cabin": ("opentype/cabin", "OFL-1.1"),
    "fonts-karla": ("truetype/karla", "OFL-1.1"),
    "fonts-sora": ("opentype/sora", "OFL-1.1"),
    "fonts-lindenhill": ("truetype/lindenhill", "OFL-1.1"),
    "fonts-firacode": ("truetype/firacode", "OFL-1.1"),
    "fonts-clear-sans": ("truetype/clear-sans", "Apache-2.0"),
    "fonts-yrsa-rasa": ("truetype/fonts-yrsa-rasa", "OFL-1.1"),
    "fonts-courier-prime": ("opentype/courier-prime", "OFL-1.1"),
    "fonts-b612": ("opentype/b612", "OFL-1.1"),
    "fonts-arapey": ("opentype/arapey", "OFL-1.1"),
    "fonts-manrope": ("truetype/manrope", "OFL-1.1"),
}
UNSEEN = tuple(PACKAGES)[tuple(PACKAGES).index("fonts-vollkorn") :]

# Files of those folders that hold no plain Latin text, or strokes too thin to survive 32 pixels.
UNFIT = ("Thin", "Hairline", "ExtraLight", "UltraLight", "Symbol", "Dingbats", "D050000L", "Math", "Initials",
         "Condensed", "Keyboard", "Mono-Ext", "LinLibertine_DR", "lmmi", "cmuntt-x", "VF", "Variable", "Ornament")
NEEDED = "AZaz09.,:-/()!?'"


@dataclass(frozen=True)
class Typeface:
    """A font file, the package and family it belongs to, and the characters it can draw."""

    path: str
    package: str
    family: str
    characters: frozenset[str]


def open_typeface(path: str, package: str = "") -> Typeface | None:
    """Return the typeface in a font file, or None where it can't draw plain Latin text."""
    from fontTools.ttLib import TTFont, TTLibError

    try:
        with TTFont(path, fontNumber=0, lazy=True) as font:
            codes = font.getBestCmap() or {}
            family = font["name"].getDebugName(16) or font["name"].getDebugName(1) or Path(path).stem
    except (TTLibError, KeyError, AssertionError):
        return None
    if any(ord(character) not in codes for character in NEEDED):
        return None
    return Typeface(path, package, family, frozenset(map(chr, codes)))


def group_families(files: dict[Path, str]) -> dict[str, list[Typeface]]:
    """Return the typefaces in font files ({file: package}), by family, sorted; files without plain Latin text are left out."""
    families: dict[str, list[Typeface]] = {}
    for file, package in files.items():
        typeface = open_typeface(str(file), package)
        if typeface:
            families.setdefault(typeface.family, []).append(typeface)
    return dict(sorted(families.items()))


def find_typefaces(packages: Iterable[str]) -> dict[str, list[Typeface]]:
    """Return the installed typefaces of `packages`, by family, sorted."""
    found = {}
    for package in packages:
        folder = PACKAGES[package][0]
        files = [file for root in FONT_ROOTS for file in Path(root, folder).rglob("*.[to]tf")]
        if folder.endswith("noto"):  # one folder for every script of the world
            files = [file for file in files if file.stem.startswith(("NotoSans-", "NotoSerif-", "NotoSansMono-",
                                                                     "NotoSansDisplay-", "NotoSerifDisplay-"))]
        found |= {file: package for file in sorted(files) if not any(word in file.stem for word in UNFIT)}
    return group_families(found)


def typefaces_in(folder: Path) -> dict[str, list[Typeface]]:
    """Return the typefaces in a folder of your own, by family, sorted."""
    families = group_families(dict.fromkeys(sorted(folder.rglob("*.[to]tf")), ""))
    if not families:
        raise FileNotFoundError(f"{folder}: no .ttf or .otf file that draws plain Latin text")
    return families


def need(families: dict[str, list[Typeface]], packages: Iterable[str]) -> dict[str, list[Typeface]]:
    """Return the families; where there are none, an error names the packages that bring them."""
    if not families:
        raise FileNotFoundError(f"{FONT_ROOTS[0]}: none of the typefaces; apt install {' '.join(packages)}, or give a folder of your own")
    return families


def seen_typefaces() -> dict[str, list[Typeface]]:
    """Return the families that the student is trained on."""
    seen = [name for name in PACKAGES if name not in UNSEEN]
    return need(find_typefaces(seen), seen)


def unseen_typefaces() -> dict[str, list[Typeface]]:
    """Return the families that the student never sees in training."""
    return need(find_typefaces(UNSEEN), UNSEEN)
