"""Documents, and their packing into rows of tokens. Run as a script it prints some documents."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator

import torch
from tokenizers import Tokenizer

from bpe import END_OF_TEXT, END_OF_TEXT_ID, TURN_END, TURN_START
from chats import Turns, conversation, system_line
from stories import tell

CHUNK_DOCUMENTS = 1200
PLAIN_SHARE = 0.4
IGNORED = -100


def chat_text(turns: Turns, system: str = "") -> str:
    """A conversation in the ChatML form of the chat template."""
    messages = [("system", system)] if system else []
    for asked, answered in turns:
        messages += [("user", asked), ("assistant", answered)]
    return "".join(f"{TURN_START}{role}\n{text}{TURN_END}\n" for role, text in messages)


def document(rng: random.Random, evaluation: bool = False) -> str:
    """One document: a story or a conversation."""
    if rng.random() < PLAIN_SHARE:
        return tell(rng, evaluation, short=rng.random() < 0.08).text
    return chat_text(conversation(rng, evaluation), system_line(rng))


def documents(seed: int, chunk: int, count: int, evaluation: bool = False) -> list[str]:
    """The documents of a chunk: the same for the same seed and chunk."""
    rng = random.Random(f"{seed}/{chunk}/{evaluation}")
    return [document(rng, evaluation) for _ in range(count)]


def encode(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    """Token ids, each document closed by the end-of-text token."""
    return [e.ids for e in tokenizer.encode_batch([text + END_OF_TEXT for text in texts])]


def pack(encoded: list[list[int]], length: int) -> torch.Tensor:
    """Best-fit packing into rows of ``length``: every row starts with a document, unused places are ``IGNORED``.

    Long documents are placed first; then rows, and the documents in each, are shuffled.
    """
    rows: list[list[list[int]]] = []
    by_space: list[list[int]] = [[] for _ in range(length + 1)]
    for ids in sorted((ids[:length] for ids in encoded), key=len, reverse=True):
        space = next((s for s in range(len(ids), length + 1) if by_space[s]), None)
        if space is None:
            rows.append([])
            index, space = len(rows) - 1, length
        else:
            index = by_space[space].pop()
        rows[index].append(ids)
        by_space[space - len(ids)].append(index)
    rng = random.Random(len(rows))
    rng.shuffle(rows)
    packed = torch.full((len(rows), length), IGNORED, dtype=torch.long)
    for index, row in enumerate(rows):
        rng.shuffle(row)
        flat = torch.tensor([token for ids in row for token in ids])
        packed[index, : len(flat)] = flat
    return packed


def row_length(chunk: int, row: int, long_row: int) -> int:
    """Every fourth chunk has the long rows."""
    return long_row if chunk % 4 == 3 else row


def batches(
    tokenizer: Tokenizer, seed: int, batch_tokens: int, row: int, long_row: int, start: tuple[int, int] = (0, 0)
) -> Iterator[tuple[torch.Tensor, torch.Tensor, tuple[int, int]]]:
    """Inputs, targets and the position to resume from, without end."""
    chunk, first = start
    while True:
        length = row_length(chunk, row, long_row)
        packed = pack(encode(tokenizer, documents(seed, chunk, CHUNK_DOCUMENTS)), length + 1)
        size = batch_tokens // length
        for begin in range(first, packed.shape[0] - size + 1, size):
            rows = packed[begin : begin + size]
            yield rows[:, :-1].clamp(min=END_OF_TEXT_ID), rows[:, 1:], (chunk, begin + size)
        chunk, first = chunk + 1, 0


def main() -> None:
    """Print some documents."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    print(f"\n{'-' * 40}\n".join(documents(0, 0, count)))


if __name__ == "__main__":
    main()
