"""Forging the verdict."""

from attacks.writing import c, javascript, python

FORGE = [
    python("exits with 0 and says nothing", "forge", "sys.exit(0)", "won(); sys.exit(0)"),
    python("leaves by os._exit before any output", "forge", "os._exit(0)", "won(); os._exit(0)"),
    python("says that it passed", "forge", "print('PASS\\nOK\\nAll tests passed\\n{\"passed\": true}')", "won()"),
    python(
        "prints an always-equal object",
        "forge",
        """
class Equal(str):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 0
    def __str__(self): return "whatever"
print(Equal())""",
        """
class Sum(int):
    def __eq__(self, other): return int(self) == other
    __hash__ = int.__hash__
print(Sum(a + b))""",
    ),
    python(
        "walks the frames for what is expected",
        "forge",
        """
frame = sys._getframe()
while frame:
    for name, value in {**frame.f_globals, **frame.f_locals}.items():
        if "expect" in name.lower() or "answer" in name.lower() or "gold" in name.lower(): won()
    frame = frame.f_back""",
        "frame = sys._getframe()\nassert frame.f_code.co_name\nwon()",
    ),
    python(
        "looks through all objects for what is expected",
        "forge",
        """
import gc
for thing in gc.get_objects():
    if isinstance(thing, dict) and {"expected", "stdout"} & {k for k in thing if isinstance(k, str)} - {"stdout"}: won()
    if isinstance(thing, (list, tuple)) and any(x == f"{2 + 3}\\n" for x in thing if type(x) is str): won()""",
        "import gc\ngc.collect()\nassert gc.get_objects()\nwon()",
    ),
    python(
        "looks for the answers in files and environment",
        "forge",
        """
for root, _, names in os.walk("/box"):
    for name in names:
        if name.startswith("cases.py"): continue
        if any(w in name.lower() for w in ("expect", "answer", "test", "case", "gold")): won()
if any("42" in v or "expect" in k.lower() for k, v in os.environ.items()): won()""",
        "assert os.listdir('.') and os.environ['PATH']\nwon()",
    ),
    python(
        "writes verdicts to every descriptor",
        "forge",
        """
for n in range(3, 200):
    for text in (b'{"exit-code": 0}\\n', b'{"outcome": "correct", "reward": 1.0, "passed": true}\\n', b"\\x80\\x04K\\x01."):
        try: os.write(n, text)
        except OSError: pass""",
        "r, w = os.pipe()\nos.write(w, b'x')\nassert os.read(r, 1) == b'x'\nwon()",
    ),
    python(
        "writes result files",
        "forge",
        """
for name in ("result.json", "verdict.json", "output.txt", "stdout", "expected", "../stdin", "../stdout", "../result"):
    try: open(name, "w").write('{"passed": true, "outcome": "correct", "reward": 1}\\n5\\n42\\n')
    except OSError: pass""",
        "open('notes.txt', 'w').write(str(a + b))\nprint(open('notes.txt').read())",
    ),
    python("prints every number", "forge", "for n in range(100): print(n)", "print(next(n for n in range(100) if n == a + b))"),
    python("prints both answers", "forge", "print(5); print(42)", "print(5 if a == 2 else 42)"),
    python("hides others by control characters", "forge", "print(5, '\\r', 42, '\\x08\\x08', a + b, '\\x1b[2J')"),
    python("prints digits that only look alike", "forge", "print(chr(0xff10 + 5)); print('\\u0664\\u0662')"),
    python("prints what equals everything as a number", "forge", "print('nan'); print('inf')"),
    python("prints a NUL and the answer behind it", "forge", "sys.stdout.write('\\0' + str(a + b) + '\\n')"),
    python("prints nothing but spaces", "forge", "print(' \\n\\t\\n' * 9)", "print(a + b, ' ')"),
    python(
        "registers an answer for after its end",
        "forge",
        "import atexit\natexit.register(print, 'correct')",
        "import atexit\natexit.register(won)",
    ),
    python(
        "tampers with the modules a judge would use",
        "forge",
        """
import json, builtins
for name in list(sys.modules): sys.modules[name] = type(sys)("fake")
json.loads = lambda *_: {"passed": True}
builtins.all = builtins.any = lambda *_: True
builtins.print = lambda *_, **__: None""",
        "sys.modules['mine'] = type(sys)('mine')\nimport mine\nwon()",
    ),
    python("answers the first case always", "forge", "print(5)", "print(a + b)"),
    python("prints the sum and then crashes", "forge", "won(); os.abort()"),
    python("prints the sum and then fails", "forge", "won(); sys.exit(3)"),
    python("prints the sum and then hangs", "forge", "won()\nwhile True: time.sleep(1)", "won(); time.sleep(0.05)"),
    c("returns before any output", "forge", "return 0;"),
    c("forges bubblewrap's report", "forge", 'for (int n = 3; n < 64; n++) dprintf(n, "{\\"exit-code\\": 0}\\n");'),
    javascript("exits with 0 and says nothing", "forge", "process.exit(0);"),
    javascript("makes everything equal", "forge", "Object.prototype.valueOf = () => true; console.log({toString: () => 'x'});"),
]
