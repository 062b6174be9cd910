#!/usr/bin/env python3
"""Makes the static hash table of the words in tokens.def: tokgen.py tokens.def table.h"""
import random
import re
import sys

WORD = re.compile(r'^TOK\((\w+), "([^"\\]+)"\)$')
MASK = (1 << 64) - 1


def read_words(path):
    words, seen = [], {}
    for number, line in enumerate(open(path, encoding='utf-8'), 1):
        if not line.startswith('TOK('):
            continue
        m = WORD.match(line.strip())
        if not m:
            sys.exit(f'{path}:{number}: expected TOK(id, "text")')
        ident, text = m.groups()
        if text in seen:
            sys.exit(f'{path}:{number}: "{text}" is already TOK_{seen[text]}')
        seen[text] = ident
        words.append((ident, text.encode('utf-8')))
    return words


def rotl(v, n):
    return ((v << n) | (v >> (64 - n))) & MASK


def key(word):
    """The same three words as xml_token_find in token_table.h."""
    n = len(word)
    if n <= 8:
        return int.from_bytes(word, 'little')
    at = lambda i: int.from_bytes(word[i:i + 8], 'little')
    return at(0) ^ rotl(at(n // 2 - 4), 21) ^ rotl(at(n - 8), 42) ^ n


def place(words, bits, mult):
    size = 1 << bits
    slots, worst, total = [None] * size, 0, 0
    for index, (_, text) in enumerate(words):
        at, probes = (key(text) * mult & MASK) >> (64 - bits), 0
        while slots[at] is not None:
            at, probes = (at + 1) % size, probes + 1
        slots[at] = index
        worst, total = max(worst, probes), total + probes
    return (total, worst), slots


def main():
    words = read_words(sys.argv[1])
    bits = max(4, (4 * len(words) - 1).bit_length())
    rng = random.Random(1)
    best = None
    for _ in range(300):
        mult = rng.getrandbits(64) | 1
        cost, slots = place(words, bits, mult)
        if best is None or cost < best[0]:
            best = (cost, mult, slots)
    _, mult, slots = best
    with open(sys.argv[2], 'w', encoding='utf-8') as out:
        out.write('/* Made by tokgen.py from tokens.def. */\n')
        out.write(f'#define XML_TOKEN_BITS {bits}\n#define XML_TOKEN_MULT UINT64_C({mult:#x})\n')
        out.write('#define XML_TOKEN_SLOTS \\\n')
        for at, index in enumerate(slots):
            if index is not None:
                ident, text = words[index]
                first = int.from_bytes(text[:8], 'little')
                out.write(f'    [{at}] = {{UINT64_C({first:#x}), TOK_{ident}, {len(text)}}}, \\\n')
        out.write('\n')


main()
