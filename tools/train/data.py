"""Documents, and their grouping into batches of tokens. Run as a script it prints some documents."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from typing import NamedTuple

import torch
from tokenizers import Tokenizer

from bpe import END_OF_TEXT, END_OF_TEXT_ID, TURN_END, TURN_END_ID, TURN_START, TURN_START_ID
from chats import Turns, conversation, system_line
from config import TrainConfig
from distilled import distilled
from primers import echo, owners, repeats
from stories import tell

CHUNK_DOCUMENTS = 1200
PLAIN_SHARE = 0.4
PRIMER_CHUNKS = 4
TOKENIZER_CHUNK, EVALUATION_CHUNK = -1, -2
IGNORED = -100


class Batch(NamedTuple):
    """Inputs and targets, ``[documents, time]``; targets that do not count are ``IGNORED``."""

    inputs: torch.Tensor
    targets: torch.Tensor

    def to(self, device: torch.device) -> Batch:
        """The batch on a device."""
        return Batch(self.inputs.to(device), self.targets.to(device))

    def known(self) -> int:
        """The number of targets that count."""
        return int((self.targets != IGNORED).sum())


def chat_text(turns: Turns, system: str = "") -> str:
    """A conversation in the ChatML form of the chat template."""
    messages = [("system", system)] if system else []
    for asked, answered in turns:
        messages += [("user", asked), ("assistant", answered)]
    return "".join(f"{TURN_START}{role}\n{text}{TURN_END}\n" for role, text in messages)


def as_text(made: str | Turns) -> str:
    """Plain text as it is, a conversation in its form."""
    return made if isinstance(made, str) else chat_text(made)


def primer_share(chunk: int) -> float:
    """How many documents are exercises in copying: most at first, some later, none in what is held out."""
    return 0.0 if chunk == EVALUATION_CHUNK else 0.8 if 0 <= chunk < PRIMER_CHUNKS else 0.15


def primer(rng: random.Random) -> str:
    """One exercise."""
    return as_text(rng.choice((echo, owners, owners, repeats, repeats))(rng))


def document(rng: random.Random, evaluation: bool = False) -> str:
    """One story or conversation."""
    if rng.random() < PLAIN_SHARE:
        return tell(rng, evaluation, short=rng.random() < 0.08).text
    return chat_text(conversation(rng, evaluation), system_line(rng))


def documents(seed: int, chunk: int, count: int, distilled_share: float = 0.0) -> list[str]:
    """The documents of a chunk: the same for the same arguments. One chunk is held out."""
    rng = random.Random(f"{seed}/{chunk}")
    share = primer_share(chunk)
    evaluation = chunk == EVALUATION_CHUNK

    def make() -> str:
        roll = rng.random()
        if roll < share:
            return primer(rng)
        if roll < share + distilled_share:
            return as_text(distilled(rng, evaluation))
        return document(rng, evaluation)

    return [make() for _ in range(count)]


def encode(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    """Token ids, each document closed by the end-of-text token."""
    return [e.ids for e in tokenizer.encode_batch([text + END_OF_TEXT for text in texts])]


def wanted(ids: list[int], assistant: int) -> list[int]:
    """The ids to predict: what the user or the system says becomes ``IGNORED``."""
    targets = list(ids)
    hidden = False
    for index, token in enumerate(ids):
        if token == TURN_START_ID:
            hidden = ids[index + 1] != assistant
        if hidden:
            targets[index] = IGNORED
        if token == TURN_END_ID:
            hidden = False
    return targets


def batch_of(documents: list[list[int]], assistant: int) -> Batch:
    """One document a row, padded."""
    shape = (len(documents), max(map(len, documents)) - 1)
    inputs = torch.full(shape, END_OF_TEXT_ID, dtype=torch.long)
    targets = torch.full(shape, IGNORED, dtype=torch.long)
    for row, ids in enumerate(documents):
        inputs[row, : len(ids) - 1] = torch.tensor(ids[:-1])
        targets[row, : len(ids) - 1] = torch.tensor(wanted(ids, assistant)[1:])
    return Batch(inputs, targets)


def group(tokenizer: Tokenizer, texts: list[str], batch_tokens: int, context: int, rng: random.Random) -> list[Batch]:
    """Batches of at most ``batch_tokens`` places, of documents of like length, in random order."""
    encoded = [ids[: context + 1] for ids in encode(tokenizer, texts)]
    assistant = tokenizer.encode("assistant").ids[0]
    groups: list[list[list[int]]] = []
    for ids in sorted(encoded, key=lambda ids: len(ids) + 12 * rng.random()):
        longest = max([len(ids), *map(len, groups[-1])]) if groups else 0
        if not groups or (len(groups[-1]) + 1) * longest > batch_tokens:
            groups.append([])
        groups[-1].append(ids)
    rng.shuffle(groups)
    return [batch_of(part, assistant) for part in groups]


def batches(
    tokenizer: Tokenizer, config: TrainConfig, context: int, start: tuple[int, int] | None = None
) -> Iterator[tuple[Batch, tuple[int, int]]]:
    """Batches without end, each with the position to resume from."""
    chunk, first = start or (config.first_chunk, 0)
    while True:
        share = config.distilled if chunk >= config.distilled_from else 0.0
        texts = documents(config.seed, chunk, CHUNK_DOCUMENTS, share)
        groups = group(tokenizer, texts, config.batch_tokens, context, random.Random(f"{config.seed}/{chunk}"))
        for index in range(first, len(groups)):
            yield groups[index], (chunk, index + 1)
        chunk, first = chunk + 1, 0


def main() -> None:
    """Print some documents."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    print(f"\n{'-' * 40}\n".join(documents(0, 0, count)))


if __name__ == "__main__":
    main()
