"""Which answers of the teacher are good enough to learn from."""

from __future__ import annotations

import re
from collections import Counter

from distil_prompts import Job

ASCII = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "—": "-", "–": "-", "…": ".", "\u00a0": " "})
# What a plain story for children does not need: marks of formatting, numbers, and characters of other languages.
FOREIGN = re.compile(r"[^A-Za-z ,.!?'\"\n;:-]")
UNWANTED = re.compile(
    r"\b(AI|language model|assist\w*|help you|website|blog|story|stories|chapter|author|moral|user|dollars?|beer|wine|"
    r"drunk|knife|gun|guns|kill\w*|blood\w*|dead|die|died|dies|death|war|murder\w*|sex\w*|naked|God|heaven|hell|"
    r"stomach|butt|damn|hate[sd]?|marr\w+|husband|wife|boyfriend|girlfriend|pregnan\w*|slave\w*|prison\w*)\b"
)
SENTENCE_END = re.compile(r"[.!?][\"']?(?=\s|$)")
# In small talk the teacher is often sorry about good news, glad about bad news, or takes itself for a person.
OUT_OF_TUNE = re.compile(
    r"\b(sorry|glad|welcome|help|here|hear|shame|lucky|delicious|afraid|mum|mom|dad|I'm|I am|I can|I will|I'll|I don't|"
    r"I didn't|I have|I had|my|mine|we|us|our|no|oh|question|idea|one)\b", re.IGNORECASE
)
LENGTHS = {"story": (30, 120), "what": (4, 26), "talk": (4, 20)}


def cut(text: str, first: bool) -> str:
    """The text up to the end of its first or last whole sentence; empty if there is none."""
    ends = [m.end() for m in SENTENCE_END.finditer(text)]
    return text[: ends[0] if first else ends[-1]] if ends else ""


def loops(words: list[str]) -> bool:
    """Whether the words go in circles."""
    fours = Counter(zip(words, words[1:], words[2:], words[3:]))
    return bool(fours) and (max(fours.values()) > 2 or len(set(words)) < 0.45 * len(words))


def mentions(words: list[str], noun: str) -> bool:
    """Whether the noun occurs, in singular or plural."""
    return any(word in (noun, f"{noun}s", f"{noun}es") for word in words)


def answers_itself(job: Job, words: list[str]) -> bool:
    """A definition that uses the word to be defined, as in: an apple is for eating apples."""
    return job.kind == "what" and sum(mentions([word], job.thing) for word in words) > 1


def document(job: Job, made: str, ended: bool) -> dict[str, str] | None:
    """The answer with its request, cleaned, or nothing if it is not good enough."""
    opening = job.opening
    glue = " " if opening and made[:1].isalnum() else ""
    text = " ".join((opening + glue + made).translate(ASCII).split())
    if job.kind == "talk" and not ended:
        return None
    text = cut(text, first=job.kind != "story")
    words = re.findall(r"[a-z']+", text.lower())
    least, most = LENGTHS[job.kind]
    if not least <= len(words) <= most or FOREIGN.search(text) or UNWANTED.search(text) or loops(words):
        return None
    if job.kind == "talk" and OUT_OF_TUNE.search(text):
        return None
    if text.count('"') % 2 or not text[0].isupper() and text[0] != '"' or answers_itself(job, words):
        return None
    if job.kind == "story" and not (mentions(words, job.hero) and mentions(words, job.thing)):
        return None
    return {"kind": job.kind, "asked": job.asked, "answer": text, "hero": job.hero, "thing": job.thing}
