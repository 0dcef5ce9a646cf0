"""Bring the catalogues up to date and say what is left to translate."""

import sys

from console.i18n import LANGUAGES
from console.locales import update

for language in LANGUAGES:
    if language != "en":
        for sentence in update(language):
            sys.stdout.write(f"{language}: {sentence}\n")
