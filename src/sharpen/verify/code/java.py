"""What a Java program is called: javac wants a public class in a file of its name, and java the class that has `main`."""

from __future__ import annotations

import re

SKIPPED = re.compile(r"//[^\n]*|/\*.*?(?:\*/|\Z)|\"\"\".*?(?:\"\"\"|\Z)|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL)
PIECES = re.compile(r"\b(?:class|interface|enum|record)\s+([A-Za-z_$][\w$]*)|\bvoid\s+(main)\s*\(|([{}])")
PUBLIC = re.compile(
    r"\bpublic\s+(?:(?:final|abstract|strictfp|sealed|static)\s+)*(?:class|interface|enum|record)\s+([A-Za-z_$][\w$]*)"
)
PACKAGE = re.compile(r"^\s*package\s+([\w.]+)\s*;", re.MULTILINE)


def names(code: str) -> tuple[str, str]:
    """(the file that the source must stand in, the class that is run), such as ("Solution.java", "Solution").

    The class is the one that declares `main`; of several the last at the top. Without any, it is the public class, or Main.
    """
    code = SKIPPED.sub('""', code)
    package = PACKAGE.search(code)
    inside: list[str] = []  # for each open brace the class that it opens, or ""
    coming, public = "", ""
    mains: list[list[str]] = []
    for match in PIECES.finditer(code):
        if match[1]:
            coming = match[1]
            if not any(inside) and (declared := PUBLIC.search(code, max(0, match.start() - 60), match.end())):
                public = declared[1] if declared[1] == coming else public
        elif match[3] == "{":
            inside.append(coming)
            coming = ""
        elif match[3] == "}" and inside:
            inside.pop()
        elif match[2] and any(inside):
            mains.append([name for name in inside if name])
    shortest: list[str] = min(reversed(mains), key=len, default=[])
    entry = "$".join(shortest) or public or "Main"
    return f"{public or 'Main'}.java", f"{package[1]}.{entry}" if package else entry
