"""One spelling for what LaTeX, Unicode, Markdown and plain text write in many ways. Text to text, in linear time.

What comes out holds only the few LaTeX commands that `expressions` reads (\\frac, \\sqrt, \\binom, functions, \\begin, braces),
ASCII operators, and these characters: ± ∓ π ∞ ∪ ∈ ∅ ℝ √ ≈ ° µ Ω, the repeating-decimal mark ‾, and ＄ for a dollar that is
money. Digits are ASCII only: other digits are left as they are, and nothing reads them.
"""

from __future__ import annotations

import re

CHARACTERS = str.maketrans(
    {"−": "-", "–": "-", "—": "-", "×": "*", "·": "*", "⋅": "*", "∙": "*", "÷": "/", "∕": "/", "⁄": "/", "≤": "<=", "≥": ">="}
    | {"≠": "!=", "½": " 1/2", "¼": " 1/4", "¾": " 3/4", "⅓": " 1/3", "⅔": " 2/3", "⁻": "^-", "º": "°", "％": "%"}
    | {"∞": "∞", "\u00a0": " ", "\u2009": " ", "\u202f": " ", "\t": " ", "〈": "(", "〉": ")", "⟨": "(", "⟩": ")", "’": "'"}
    | {
        "~": " ",
        "μ": "µ",
        "℃": "°C",
        "℉": "°F",
        "∖": "\\setminus ",
        "≃": "≈",
        "…": "\\dots ",
        "∠": "\\angle ",
        "△": "\\triangle ",
    }
    | {"，": ",", "：": ":", "（": "(", "）": ")", "\u2126": "Ω"}
)
SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
SUPERSCRIPT = re.compile("\\^?-?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
DROPPED = (
    "left right big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr displaystyle textstyle scriptstyle limits "
    "nolimits boldsymbol bm mathbf mathit mathsf rm bf it sf tt hfill tiny small normalsize large Large LARGE huge Huge"
).split()
SPACED = "quad qquad enspace thinspace".split()
COMMANDS = (
    dict.fromkeys(DROPPED, "")
    | dict.fromkeys(SPACED, " ")
    | {"dfrac": "\\frac", "tfrac": "\\frac", "cfrac": "\\frac", "dbinom": "\\binom", "tbinom": "\\binom"}
    | {"cdot": "*", "times": "*", "ast": "*", "div": "/", "colon": ":", "le": "<=", "leq": "<=", "leqslant": "<=", "lt": "<"}
    | {"ge": ">=", "geq": ">=", "geqslant": ">=", "gt": ">", "ne": "!=", "neq": "!=", "pm": "±", "mp": "∓", "infty": "∞"}
    | {"pi": "π", "cup": "∪", "in": "∈", "emptyset": "∅", "varnothing": "∅", "degree": "°", "circ": "°", "approx": "≈"}
    | {"lbrace": "\\{", "rbrace": "\\}", "langle": "(", "rangle": ")", "lvert": "|", "rvert": "|", "vert": "|", "mid": "|"}
    | {"lbrack": "[", "rbrack": "]", "pounds": "£", "euro": "€", "lor": " or ", "land": " and ", "arctg": "\\arctan"}
    | {
        "tg": "\\tan",
        "R": "ℝ",
        "mu": "µ",
        "simeq": "≈",
        "doteq": "≈",
        "smallsetminus": "\\setminus ",
        "Omega": "Ω",
        "celsius": "°C",
    }
    | dict.fromkeys(("ldots", "cdots", "dotsc", "dotso", "dotsb", "hdots"), "\\dots ")
    | {",": " ", ";": " ", ":": " ", " ": " ", "!": "", "(": "", ")": "", "[": "", "]": "", "%": "%", "$": "＄", "#": "#"}
    | {"&": "&", "_": "_", "|": "|", "-": "", "/": "", "\n": " "}
)
COMMAND = re.compile(r"\\(?:mathbb\s*\{R\}|mathbb R|([A-Za-z]+)\s?|(.))", re.DOTALL)
WRAPPED = re.compile(
    r"\\(?:text|textbf|textit|textrm|textsf|texttt|textnormal|mathrm|mathbf|mathbb|mathit|mathsf|mathtt|boldsymbol|bm|pmb|mbox|"
    r"hbox|operatorname|emph|underline|ensuremath)\s?\{([^{}]*)\}"
)
COLOUR = re.compile(r"\\(?:text)?color\s?\{[A-Za-z!0-9]{1,30}\}")
SPACING = ("\\,", "\\;", "\\:", "\\!", "\\>", "\\ ", "\\quad", "\\qquad", "\\thinspace", "\\hfill", "\\\\", "~")
FRENCH = re.compile(r"([\[\]])([^\[\](),;{}]{1,60})[,;]([^\[\](),;{}]{1,60})([\[\]])")
DOTS = re.compile(r"(?<![.0-9])\.\.\.(?!\.)")
THOUSANDS = re.compile(r"(?<=[0-9])(?:\{,\}|,?\\[,!]|\\ |,\\!)(?=[0-9]{3}(?![0-9]))")
SHORT_FRACTION = re.compile(r"\\(frac|binom) ?(?:([0-9A-Za-zπ])|\{([^{}]*)\}) ?(?:([0-9A-Za-zπ])|\{([^{}]*)\})")
INFIX = r"([^{}\\]{1,100}?)\\(over|choose) ?([^{}\\]{1,100}?)"  # of plain TeX
IN_BRACES = re.compile(rf"(?<![A-Za-z}}^_])\{{{INFIX}\}}|(?<=\{{){INFIX}(?=\}})|^{INFIX}$")
BASE = re.compile(r"(?<=\\log _)([0-9A-Za-z]) ?(?=\{)")
REPEATING = re.compile(r"(?<![0-9])([0-9]*\.[0-9]*) ?\\(?:overline|bar|dot) ?\{?([0-9]+)\}?")
BOLD = re.compile(r"\*\*([^*\n]{1,500})\*\*|__([^_\n]{1,500})__")
BEFORE, AFTER = " \t\r\n:*`", " \t\r\n.,;:*`"  # a point before a number belongs to it
FUNCTIONS = (
    "sqrt cbrt abs floor ceil exp ln log sin cos tan cot sec csc arcsin arccos arctan asin acos atan sinh cosh tanh".split()
)
TIMES_TEN = re.compile(r"(?<=[0-9]) ?[xX] ?(?=10 ?\^)")
BARE_FUNCTION = re.compile(
    rf"(?<![\\A-Za-z])({'|'.join(sorted(FUNCTIONS, key=len, reverse=True))}|pi|infinity|inf)(?![A-Za-z])"
)


def tidy(text: str) -> str:
    """The text in the one spelling, without math delimiters, bold marks, and stops at its ends."""
    text = _without_spacing(text).lstrip(BEFORE).rstrip(AFTER)
    text = COLOUR.sub("", DOTS.sub(r"\\dots ", text))
    text = BOLD.sub(lambda m: f" {m[1] or m[2]} ", text)
    text = SUPERSCRIPT.sub(lambda m: "^{" + m[0].replace("^", "").translate(SUPERSCRIPTS) + "}", text.translate(CHARACTERS))
    text = THOUSANDS.sub("", text)
    text = WRAPPED.sub(lambda m: " ℝ " if m[1] == "R" and "mathbb" in m[0] else f" {m[1]} ", text)
    text = COMMAND.sub(_command, text)
    text = _without_delimiters(text)
    text = (
        text.replace("^{°}", "°")
        .replace("^ °", "°")
        .replace("^°", "°")
        .replace("**", "^")
        .replace("{,}", ",")
        .replace("{:}", ":")
    )
    text = REPEATING.sub(r"\1‾\2", text)
    text = BASE.sub(r"{\1}", IN_BRACES.sub(_infix, text))
    text = SHORT_FRACTION.sub(_fraction, text)
    text = BARE_FUNCTION.sub(_bare, text)
    text = TIMES_TEN.sub("*", text)
    text = FRENCH.sub(_interval, re.sub(r"µ +(?=[A-Za-z])", "µ", text))
    return re.sub(r" {2,}", " ", text.replace("\n", " ")).lstrip(BEFORE).rstrip(AFTER)


def _without_spacing(text: str) -> str:
    """Without spacing commands at both ends, of which stripping full stops and commas would leave the half."""
    text = text.strip()
    while text.endswith(SPACING) and len(text) > 1:
        text = text[: -max(len(s) for s in SPACING if text.endswith(s))].rstrip()
    return text.removesuffix("\\").lstrip("~ ")  # of "\\ " at the end only the mark is left


def _command(match: re.Match[str]) -> str:
    name, other = match[1], match[2]
    if name is None and other is None:
        return "ℝ"
    if name is None:
        return COMMANDS.get(other, match[0])
    return COMMANDS.get(name, f"\\{name} ")


def _fraction(match: re.Match[str]) -> str:
    """\\frac12 is \\frac{1}{2}: TeX takes one character where there is no brace."""
    return f"\\{match[1]}{{{match[2] or match[3]}}}{{{match[4] or match[5]}}}"


def _infix(match: re.Match[str]) -> str:
    """a \\over b is \\frac{a}{b}."""
    above, which, below = (part.strip() for part in match.groups() if part is not None)
    return f"\\{'frac' if which == 'over' else 'binom'}{{{above}}}{{{below}}}"


def _bare(match: re.Match[str]) -> str:
    return {"pi": "π", "inf": "∞", "infinity": "∞"}.get(match[1], f"\\{match[1]} ")


def _interval(match: re.Match[str]) -> str:
    """[1, 3[ is [1, 3), and ]1, 3] is (1, 3]; [1, 3] stays."""
    return f"{'[' if match[1] == '[' else '('}{match[2]},{match[3]}{']' if match[4] == ']' else ')'}"


def _without_delimiters(text: str) -> str:
    """Without the $ of mathematics; a $ that stands for money becomes ＄.

    In pairs they delimit, unless a would-be closing one follows a space and stands before a digit, as in "$5 and $7".
    """
    places = [i for i, c in enumerate(text) if c == "$"]
    if not places:
        return text
    money = len(places) % 2 == 1 or any(i > 0 and text[i - 1] in " (-," and text[i + 1 : i + 2].isdigit() for i in places[1::2])
    if not money:
        return text.replace("$", "")
    return re.sub(r"\$(?= ?[0-9.])", "＄", text).replace("$", "")
