"""What is known about each reasoning-gym family: how an answer is judged, how its levels grow, and why some are not used.

1. `VERIFIER` names the function of verify/verdicts.py that judges a family. Where an answer can be written in one way only, it
   is plain equality; reasoning-gym's own scorers, which pay for substrings and near answers, judge only those in `SCORED`.
2. `LEVELS` gives the levels of the families that a small model can start on, in steps small enough that the next level is
   solved now and then. Every other family takes the first `CURRICULUM` levels of reasoning-gym's own curriculum.
3. `BLOCKED` says why a family cannot be drawn here. The observations are of reasoning-gym 0.1.25.

Levels start at 1. A level's entry is the keyword arguments of reasoning-gym's dataset.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Level = Mapping[str, Any]


def steps(names: str, *bounds: tuple[int, ...], **fixed: Any) -> list[Level]:
    """One level for each tuple, which holds (least, most) of every name in turn; anything else is the same at all of them."""
    edges = [f"{edge}_{name}" for name in names.split() for edge in ("min", "max")]
    return [{**dict(zip(edges, bound)), **fixed} for bound in bounds]


PLUS_MINUS = {"operators": ("+", "-"), "operators_weights": [0.5, 0.5]}
WHOLE = {"min_decimals": 0, "max_decimals": 0}
PLAIN = {"styles": ("plain",)}

LEVELS: Mapping[str, Sequence[Level]] = {
    "spell_backward": steps("word_len", (3, 4), (4, 5), (5, 6), (6, 7), (7, 8), (8, 9), (9, 10)),
    "chain_sum": [
        *steps("terms digits", (2, 3, 1, 1), (3, 4, 1, 1), (4, 5, 1, 1), (5, 6, 1, 1), (6, 7, 1, 1), (2, 3, 1, 2)),
        *steps("terms digits", (2, 3, 2, 2), (3, 4, 2, 2), (4, 5, 2, 2), (3, 4, 2, 3), (3, 4, 3, 3)),
    ],
    "gcd": steps("value", (1, 32), (1, 48), (1, 64), (1, 100), (1, 150), (50, 250), (100, 500)),
    "products": [
        *steps("terms digits", (2, 3, 1, 1), (3, 3, 1, 1), (3, 4, 1, 1), (2, 3, 1, 2), (2, 2, 2, 2), (2, 3, 2, 2)),
        *steps("terms digits", (2, 2, 2, 3)),
    ],
    "leg_counting": [
        *steps("animals instances", (1, 2, 1, 5), (2, 3, 1, 5), (3, 4, 1, 5), (4, 5, 1, 5), (5, 6, 1, 5), (3, 4, 1, 9)),
        *steps("animals instances", (4, 5, 1, 9), (4, 5, 1, 15)),
    ],
    "lcm": [
        *steps("numbers value", (2, 3, 1, 10), (2, 3, 1, 12), (2, 3, 1, 15), (2, 3, 1, 20), (2, 3, 1, 25), (2, 3, 1, 30)),
        *steps("numbers value", (2, 3, 1, 40)),
    ],
    "prime_factorization": steps("value", (2, 150), (2, 300), (2, 500), (2, 800), (2, 1200), (2, 2000), (2, 3000)),
    "simple_equations": [
        *steps("terms value", (2, 2, 1, 9), (2, 2, 1, 20), (2, 3, 1, 20), (2, 3, 1, 50), **PLUS_MINUS),
        *steps("terms value", (2, 2, 1, 9), (2, 3, 1, 9), (2, 3, 1, 12), (2, 3, 1, 20)),
    ],
    "letter_counting": steps("words", (1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 7), (7, 8)),
    "base_conversion": [  # from 1, because reasoning-gym writes 0 as nothing
        *steps("base value", (2, 8, 1, 31), (2, 8, 1, 49), (2, 9, 1, 79), (2, 10, 1, 127), (2, 10, 1, 255), (2, 12, 1, 511)),
        *steps("base value", (2, 16, 1, 1000)),
    ],
    "count_bits": steps("n", (1, 127), (1, 255), (1, 511), (1, 1023), (1, 2047), (1, 4095), (1, 8191)),
    "number_sorting": [
        *steps("numbers value", (2, 3, 0, 9), (3, 4, 0, 9), (4, 5, 0, 9), (5, 6, 0, 9), (3, 4, 0, 50), (4, 5, 0, 99), **WHOLE),
        *steps("numbers value", (5, 6, 0, 99), (5, 6, -99, 99), (6, 7, -99, 99), **WHOLE),
    ],
    "number_filtering": steps(
        "numbers value", (2, 3, 0, 9), (3, 4, 0, 9), (4, 5, 0, 9), (5, 6, 0, 9), (6, 7, 0, 9), (5, 6, 0, 99), **WHOLE
    ),
    "palindrome_generation": steps("length", (3, 4), (4, 5), (5, 6), (6, 7), (7, 8), (8, 9), (9, 10)),
    "word_sequence_reversal": steps("words", (2, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 7), (7, 8)),
    "fraction_simplification": [
        *steps("value factor", (1, 12, 2, 9), (1, 16, 2, 9), (1, 20, 2, 12), (1, 30, 2, 12), (1, 40, 2, 16), **PLAIN),
        *steps("value factor", (1, 60, 2, 20), (1, 99, 2, 30), **PLAIN),
    ],
    # A text cut at every space gives single words and, at line ends, two; cut at commas, phrases.
    "caesar_cipher": [
        *steps("words rotation", (1, 1, 1, 1), (1, 2, 1, 1), (1, 2, 1, 2), (1, 2, 1, 3), delimiter=" "),
        *steps("words rotation", (1, 3, 1, 8), (1, 3, 1, 15), (1, 3, 1, 25), delimiter=","),
    ],
    "binary_alternation": steps("n", (4, 9), (6, 10), (7, 11), (8, 12), (10, 14), (12, 16), (14, 20)),
    "rotate_matrix": [
        *steps("n rotations", (2, 2, 1, 1), (2, 2, 0, 3), (2, 3, 0, 1), (2, 3, 0, 3), (3, 3, 0, 3), (3, 4, 0, 3), (4, 5, 0, 3)),
    ],
}

# How many levels of reasoning-gym's curriculum are drawn: as long as every draw ends, quickly, with a right answer (from level
# 3 on, basic_arithmetic rounds some quotients unasked) and a question of at most 7,000 characters.
CURRICULUM: Mapping[str, int] = {
    "ab": 4,
    "aiw": 9,
    "basic_arithmetic": 2,
    "binary_matrix": 3,
    "bitwise_arithmetic": 9,
    "calendar_arithmetic": 4,
    "circuit_logic": 2,
    "color_cube_rotation": 3,
    "count_primes": 5,
    "course_schedule": 4,
    "cryptarithm": 3,
    "decimal_chain_sum": 4,
    "dice": 4,
    "emoji_mystery": 6,
    "family_relationships": 9,
    "figlet_font": 6,
    "futoshiki": 1,
    "game_of_life": 1,
    "game_of_life_halting": 2,
    "group_anagrams": 3,
    "gsm_symbolic": 1,
    "jugs": 1,
    "kakurasu": 3,
    "knights_knaves": 4,
    "largest_island": 3,
    "mahjong_puzzle": 2,
    "manipulate_matrix": 3,
    "maze": 3,
    "mini_sudoku": 5,
    "modulo_grid": 1,
    "n_queens": 4,
    "needle_haystack": 1,
    "palindrome_partitioning": 3,
    "path_star": 4,
    "quantum_lock": 6,
    "rearc": 6,
    "rectangle_count": 5,
    "rotten_oranges": 3,
    "self_reference": 10,
    "shortest_path": 3,
    "simple_geometry": 3,
    "spiral_matrix": 3,
    "string_insertion": 4,
    "string_manipulation": 5,
    "string_splitting": 3,
    "string_synthesis": 3,
    "word_sorting": 5,
    "zebra_puzzles": 1,
}

# reasoning-gym's own scorer runs on what a model wrote, for these families alone; the entries of its metadata that it reads.
SCORED: Mapping[str, Sequence[str]] = {
    "cryptarithm": ("words_letters", "result_letters", "allow_leading_zero"),
    "group_anagrams": ("solution",),
    "jugs": ("puzzle",),
    "kakurasu": ("row_sums", "col_sums", "n_rows", "n_cols"),
    "knights_knaves": (),
    "palindrome_generation": ("letters",),
    "palindrome_partitioning": ("solution",),
    "quantum_lock": ("initial_value", "initial_state", "buttons", "target_value"),
    "shortest_path": ("matrix",),
}

EXACT = (
    "ab base_conversion binary_matrix caesar_cipher circuit_logic dice emoji_mystery fraction_simplification futoshiki "
    "game_of_life manipulate_matrix mini_sudoku modulo_grid n_queens number_filtering path_star rearc rotate_matrix "
    "spell_backward spiral_matrix string_insertion string_manipulation string_splitting string_synthesis "
    "word_sequence_reversal word_sorting"
)
CHOICE = (
    "bitwise_arithmetic calendar_arithmetic color_cube_rotation course_schedule family_relationships figlet_font "
    "game_of_life_halting mahjong_puzzle needle_haystack zebra_puzzles"
)
NUMBER = (
    "aiw basic_arithmetic binary_alternation chain_sum count_bits count_primes decimal_chain_sum gcd gsm_symbolic "
    "largest_island lcm leg_counting letter_counting maze products rectangle_count rotten_oranges "
    "self_reference simple_equations simple_geometry"
)
VERIFIER: Mapping[str, str] = {
    **dict.fromkeys(EXACT.split(), "exact"),
    **dict.fromkeys(CHOICE.split(), "choice"),
    **dict.fromkeys(NUMBER.split(), "number"),
    **dict.fromkeys(("number_sorting", "prime_factorization"), "numbers"),
    **dict.fromkeys(SCORED, "gym"),
}
OPTIONS: Mapping[str, Mapping[str, Any]] = {  # task data for the verifier
    "game_of_life": {"spaces": False},
    "number_filtering": {"spaces": False},
    "prime_factorization": {"any_order": True},
}
ACCEPTED: Mapping[str, str] = {"n_queens": "valid_answers"}  # where metadata lists every right answer

PARSED = "its scorer hands the answer to sympy's parse_expr, which evaluates it, and an answer can be written in many ways"
ROUNDED = "its answers are rounded numbers that can be written in several ways, and its scorer accepts near ones"
NO_GOLD = "it comes without a right answer, so that nothing can show that its scorer accepts one"
UNSTABLE = "the same draw gives another question in another process (it walks through a set, or uses the global generator)"
ENDLESS = "drawing some of its questions does not end"
SEVERAL = "a question can have several right answers, of which its scorer knows one"

BLOCKED: Mapping[str, str] = {
    "acre": "it draws its whole list at once, so that a question depends on the size of the list",
    "advanced_geometry": ROUNDED,
    "arc_1d": ENDLESS,
    "arc_agi": "it varies 400 fixed puzzles, so that every split would hold variants of the same ones",
    "bf": "it writes to standard output while it draws",
    "boxnet": NO_GOLD,
    "codeio": "it runs stored programs while it draws",
    "coin_flip": ROUNDED,
    "complex_arithmetic": "a number can be written in several ways, and its scorer accepts near ones",
    "composite": "it mixes other families; list those instead",
    "countdown": PARSED,
    "decimal_arithmetic": "the last digit of its answer is wrong in 10 % of questions",
    "graph_color": NO_GOLD,
    "intermediate_integration": PARSED,
    "isomorphic_strings": UNSTABLE,
    "knight_swap": UNSTABLE,
    "letter_jumble": SEVERAL,
    "list_functions": UNSTABLE,
    "number_format": "in 11 % of questions its answer equals none of the numbers to choose from",
    "number_sequence": ENDLESS,
    "polynomial_equations": ROUNDED,
    "polynomial_multiplication": PARSED,
    "pool_matrix": "drawing reseeds numpy's global generator, and its answers are rounded",
    "power_function": ROUNDED,
    "propositional_logic": NO_GOLD,
    "puzzle24": PARSED,
    "ransom_note": UNSTABLE,
    "rubiks_cube": NO_GOLD,
    "rush_hour": NO_GOLD,
    "sentence_reordering": SEVERAL,
    "simple_integration": PARSED,
    "sokoban": ENDLESS,
    "sudoku": "drawing one question takes up to a second, and a held-out one ten times that; mini_sudoku is quick",
    "survo": SEVERAL,
    "syllogism": "12.9 % of 2,000 of its answers were wrong",
    "time_intervals": "its questions depend on today's date",
    "tower_of_hanoi": "it has too few different questions to hold any out, until its answers have 32,000 characters",
    "tsumego": SEVERAL,
    "word_ladder": UNSTABLE,
}
# Families whose levels grow in length: the next level is within reach. Each arm holds out ≥ 100 test questions.
DEFAULT = (
    *("spell_backward/1-5", "number_sorting/1-4", "number_filtering/1-4", "rotate_matrix/1-4", "palindrome_generation/1-4"),
)
