#!/usr/bin/env bash
# Under pandas 3.0 \W matches Hangul, and \s does not match wide spaces: patterns on string columns are ASCII's.
#
# Libraries: pandas 3.0.6 with pyarrow 26.0.1 (its default for strings); beside it pandas 3.1.1.
# Input: a Series of Korean texts, str.replace with regex=True.
# Guess: as in Python's re, and as in pandas 2, where \w is a letter of any script and \s any white space.
# Seen: under 3.0.6 "\W" deletes every Hangul letter, and the ideographic space U+3000 stays where "\s+" is replaced.
#   pyarrow gives the pattern to RE2, whose classes are ASCII. The same Series with dtype=object, a compiled pattern, or
#   pandas 3.1.1 give what re gives.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cd "$folder"

cat > see.py <<'PYTHON'
import re

import pandas as pd

texts = pd.Series(["정말, 좋아!", "정말\u3000좋아"])


def cleaned(series, words=r"\W", spaces=r"\s+"):
    return series.str.replace(words, "", regex=True)[0], series.str.replace(spaces, " ", regex=True)[1]


print(pd.__version__, texts.dtype, cleaned(texts))
print(pd.__version__, "object", cleaned(texts.astype("object")))
print(pd.__version__, "compiled", cleaned(texts, re.compile(r"\W"), re.compile(r"\s+")))
PYTHON

seen=""
for version in 3.0.6 3.1.1; do
    venv/bin/pip install --quiet --no-compile "pandas==$version" pyarrow==26.0.1 numpy==2.4.6
    seen+="$(venv/bin/python see.py)"$'\n'
done
expected="3.0.6 str ('', '정말\\u3000좋아')
3.0.6 object ('정말좋아', '정말 좋아')
3.0.6 compiled ('정말좋아', '정말 좋아')
3.1.1 str ('정말좋아', '정말 좋아')
3.1.1 object ('정말좋아', '정말 좋아')
3.1.1 compiled ('정말좋아', '정말 좋아')
"
printf '%s' "$seen"
[ "$seen" = "$expected" ] || { echo "changed; before it was:"; printf '%s' "$expected"; exit 1; }
