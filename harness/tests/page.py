#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""page.py take PAGE FOLDER: what a page of docs/ has a reader do. Its blocks of code become files: one with a
:name: under that name; commands ("sh") without one as 1.command, 2.command and so on; the block of "text" that
follows a command, its output, as 1.shown.

page.py compare SHOWN FOUND [WORD…]: whether each line that a page shows is a line of what was found. Blanks count as
one, lines of "…" stand for what the page leaves out, and a WORD is a regular expression for what differs each time.
Prints the lines that are not there; status 1 if there is one."""
import os
import re
import sys

VARIES = "\N{HORIZONTAL ELLIPSIS}"


def blocks(text):
    """(language, name or None, content) of each code-block."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        start = re.fullmatch(r"( *)\.\. code-block:: (\w+)", line)
        if not start:
            continue
        margin = len(start.group(1))
        body = []
        for inner in lines[number + 1 :]:
            if inner.strip() and len(inner) - len(inner.lstrip()) <= margin:
                break
            body.append(inner)
        name = None
        while body and body[0].strip():
            option = re.fullmatch(r" *:name: (\S+)", body.pop(0))
            name = option.group(1) if option else name
        indent = min((len(inner) - len(inner.lstrip()) for inner in body if inner.strip()), default=0)
        yield start.group(2), name, "\n".join(inner[indent:] for inner in body).strip("\n") + "\n"


def take(page, folder):
    commands = 0
    with open(page, encoding="utf-8") as file:
        text = file.read()
    for language, name, content in blocks(text):
        if not name and language == "sh":
            commands += 1
            name = "%d.command" % commands
        elif not name and language == "text":
            name = "%d.shown" % commands
        if name:
            with open(os.path.join(folder, os.path.basename(name)), "w", encoding="utf-8") as file:
                file.write(content)
    return 0 if commands else "%s has no command" % page


def seen(path, words):
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            for word in words:
                line = re.sub(word, VARIES, line)
            yield " ".join(line.split())


def compare(shown, found, *words):
    there = set(seen(found, words))
    missing = [line for line in seen(shown, words) if line.strip(VARIES + " ") and line not in there]
    for line in missing:
        print("not there: %s" % line)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit({"take": take, "compare": compare}[sys.argv[1]](*sys.argv[2:]))
