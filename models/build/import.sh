#!/bin/sh
# Imports the two classifiers that the integration tests use into .cache/imported, where sightd's tests look for them:
#   models/build/import.sh [FOLDER]
# FOLDER holds images/ and models/ of the Coral project's test data. A model that is there already is left alone.
set -eu
data=$(realpath -m "${1:-$(dirname "$0")/../../../shared/data}")
cd "$(dirname "$0")"

convert() { # MODEL.tflite NAME OPTION...
  folder=.cache/imported/$2/1
  if [ -e "$folder/manifest.json" ]; then
    echo "$folder: there already"
    return
  fi
  python3 -m venv .cache/tflite
  .cache/tflite/bin/pip install --quiet --disable-pip-version-check --requirement requirements-tflite.txt
  model=$data/models/$1 name=$2
  shift 2
  .cache/tflite/bin/python import_tflite.py "$model" --labels "$data/models/imagenet_labels.txt" --name "$name" \
    --out "$folder" "$@"
  echo "$folder: made"
}

if [ ! -e "$data/models/imagenet_labels.txt" ]; then
  echo "no test data at $data: nothing imported"
  exit 0
fi
cat=$data/images/cat_720p.jpg parrot=$data/images/parrot.jpg hot_dog=$data/images/hot_dog.jpg
# The smaller one recognizes the hot dog only if it sees a little less than the central square; of the cat's breed it is
# undecided then, which makes no golden sample.
convert mobilenet_v1_0.25_128_quant.tflite mobilenet-v1-025-128 --crop-fraction 0.85 \
  --golden "$parrot=macaw" --golden "$hot_dog=hotdog, hot dog, red hot"
convert mobilenet_v2_1.0_224_quant.tflite mobilenet-v2-224 \
  --golden "$cat=Egyptian cat" --golden "$parrot=macaw" --golden "$hot_dog=hotdog, hot dog, red hot"
