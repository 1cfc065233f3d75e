"""The photos: fetched as packages with exact versions, turned into 300x300 RGB tensors, the same ones every time.

Calibration sees wallpapers, crops of them with cut-out objects pasted on, and three scikit-image photos. Judging sees the
animal, object and music photos of GCompris, OpenCV's samples and other scikit-image photos: no photo is on both sides.
Licences are listed in ../README.md.
"""
import io
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = 300
SEED = 20
CALIBRATION_PACKAGES = {
    "gnome-backgrounds": "43.1-1",
    "mate-backgrounds": "1.26.0-1",
    "plasma-workspace-wallpapers": "4:5.27.5-2",
    "lomiri-wallpapers-16.04": "20.04.0-2",
    "lomiri-wallpapers-20.04": "20.04.0-2",
    "ukui-wallpapers": "20.04.3-1.1",
    "tuxpaint-stamps-default": "2022.06.04-1",
}
JUDGING_PACKAGES = {"gcompris-qt-data": "3.1-2", "opencv-doc": "4.6.0+dfsg-12"}
SCIKIT_IMAGE = "scikit-image==0.25.2"

STAMPS = ("animals", "food", "hobbies", "household", "people", "sports", "vehicles")
SCIKIT_CALIBRATION = ("motorcycle_left.png", "motorcycle_right.png", "rocket.jpg")
SCIKIT_JUDGING = ("astronaut.png", "chelsea.png", "coffee.png")
OPENCV_JUDGING = ("apple.jpg", "aero1.jpg", "aero3.jpg", "fruits.jpg", "home.jpg", "messi5.jpg", "orange.jpg",
                  "squirrel_cls.jpg", "stuff.jpg", "basketball1.png", "board.jpg", "building.jpg", "left01.jpg", "leuvenA.jpg")
GCOMPRIS_JUDGING = ("categorization", "erase", "explore_farm_animals", "explore_world_animals", "explore_world_music")


# Fetching: into a folder beside the final one, renamed when complete, so that an interrupted run leaves nothing half done.
def debian(cache: Path, package: str, version: str) -> Path:
    """The unpacked Debian package; downloaded from the mirrors that apt is set up with."""
    def fetch(folder: Path) -> None:
        subprocess.run(["apt-get", "-q", "download", f"{package}={version}"], cwd=folder, check=True)
        (archive,) = folder.glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", archive.name, "."], cwd=folder, check=True)
        archive.unlink()

    return fetched(cache / "debian" / f"{package}_{version.replace(':', '_')}", fetch)


def scikit_image(cache: Path) -> Path:
    """scikit-image's data folder, out of its wheel (one fixed wheel, whichever Python runs this)."""
    def fetch(folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "pip", "-q", "download", "--no-deps", "--only-binary", ":all:",
                        "--python-version", "3.11", "--platform", "manylinux2014_x86_64", "-d", folder, SCIKIT_IMAGE], check=True)
        (wheel,) = folder.glob("*.whl")
        subprocess.run([sys.executable, "-m", "zipfile", "-e", wheel, folder], check=True)
        wheel.unlink()

    return fetched(cache / "scikit-image", fetch) / "skimage" / "data"


def fetched(folder: Path, fetch: Callable[[Path], None]) -> Path:
    if not folder.exists():
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        fetch(partial)
        partial.rename(folder)
    return folder


# Calibration.
def calibration(cache: Path, count: int = 256) -> Iterator[np.ndarray]:
    """`count` tensors uint8 [1,300,300,3]: a third plain crops, the rest with one to three stamps pasted on."""
    chance = random.Random(SEED)
    folders = [debian(cache, *package) for package in CALIBRATION_PACKAGES.items()]
    stamps = sorted(path for path in folders[-1].rglob("*.png")
                    if path.relative_to(folders[-1]).parts[4] in STAMPS and "cartoon" not in path.parts)
    scenes = [path for folder in folders[:-1] for path in _wallpapers(folder)]
    scenes += [scikit_image(cache) / name for name in SCIKIT_CALIBRATION]
    loaded = [_small(path) for path in scenes]
    for index in range(count):
        scene = _crop(chance, loaded[index % len(loaded)])
        if index % 3:
            for _ in range(chance.randint(1, 3)):
                _paste(chance, scene, Image.open(chance.choice(stamps)).convert("RGBA"))
        yield np.asarray(scene, np.uint8)[None]


def _wallpapers(folder: Path) -> list[Path]:
    """One file per wallpaper (Plasma ships each in many sizes): the last by name of every folder that holds several sizes."""
    photos = sorted(path for path in folder.rglob("*") if path.suffix in (".jpg", ".webp") and path.is_file()
                    and not path.is_symlink() and "screenshot" not in path.name)
    return list({(path.parent if path.parent.name.startswith("images") else path): path for path in photos}.values())


def _small(path: Path) -> Image.Image:
    """The photo with its short side at most 900 pixels: plenty for crops of 300, and quick."""
    photo = Image.open(path)
    photo.draft("RGB", (900, 900))
    photo = photo.convert("RGB")
    factor = 900 / min(photo.size)
    return photo.resize([round(side * factor) for side in photo.size], Image.BILINEAR) if factor < 1 else photo


def _crop(chance: random.Random, photo: Image.Image) -> Image.Image:
    """A random rectangle of 40 to 100 % of each side, stretched to the input, mirrored half of the time."""
    width, height = (round(side * chance.uniform(0.4, 1)) for side in photo.size)
    left, top = chance.randint(0, photo.width - width), chance.randint(0, photo.height - height)
    crop = photo.resize((SIZE, SIZE), Image.BILINEAR, (left, top, left + width, top + height))
    return crop.transpose(Image.FLIP_LEFT_RIGHT) if chance.random() < 0.5 else crop


def _paste(chance: random.Random, scene: Image.Image, stamp: Image.Image) -> None:
    """Pastes the cut-out at 30 to 95 % of the scene's side, anywhere inside it, mirrored half of the time."""
    stamp = stamp.crop(stamp.getchannel("A").getbbox())
    factor = SIZE * chance.uniform(0.3, 0.95) / max(stamp.size)
    stamp = stamp.resize([max(1, round(side * factor)) for side in stamp.size], Image.BILINEAR)
    if chance.random() < 0.5:
        stamp = stamp.transpose(Image.FLIP_LEFT_RIGHT)
    scene.paste(stamp, (chance.randint(0, SIZE - stamp.width), chance.randint(0, SIZE - stamp.height)), stamp)


# Judging.
def judging(cache: Path, extra: Path | None = None) -> dict[str, np.ndarray]:
    """Photo name -> tensor uint8 [1,300,300,3], the whole photo stretched. `extra` is a folder of more photos."""
    data, samples = scikit_image(cache), debian(cache, "opencv-doc", JUDGING_PACKAGES["opencv-doc"])
    paths = [data / name for name in SCIKIT_JUDGING]
    paths += [next(samples.rglob(f"examples/data/{name}")) for name in OPENCV_JUDGING]
    paths += sorted(extra.iterdir()) if extra else []
    photos = {path.name: Image.open(path) for path in paths} | dict(_gcompris(cache))
    return {name: stretch(photo) for name, photo in photos.items()}


def open_scikit_image(cache: Path, name: str) -> Image.Image:
    return Image.open(scikit_image(cache) / name)


def stretch(photo: Image.Image) -> np.ndarray:
    return np.asarray(photo.convert("RGB").resize((SIZE, SIZE), Image.BILINEAR), np.uint8)[None]


def _gcompris(cache: Path) -> Iterator[tuple[str, Image.Image]]:
    """The WebP photos inside GCompris' Qt resource files, where they lie uncompressed one after the other."""
    folder = debian(cache, "gcompris-qt-data", JUDGING_PACKAGES["gcompris-qt-data"])
    for activity in GCOMPRIS_JUDGING:
        data = next(folder.rglob(f"{activity}.rcc")).read_bytes()
        start = data.find(b"RIFF")
        while start >= 0:
            if data[start + 8:start + 12] == b"WEBP":
                size = int.from_bytes(data[start + 4:start + 8], "little") + 8
                yield f"{activity}-{start}", Image.open(io.BytesIO(data[start:start + size]))
            start = data.find(b"RIFF", start + 4)
