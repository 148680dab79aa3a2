"""Using up time, memory, processes, disk and output."""

from attacks.writing import c, if_works, javascript, python

EXHAUST = [
    python(
        "forks without end",
        "exhaust",
        """
n = 0
try:
    while n < 500:
        if os.fork() == 0: time.sleep(9); os._exit(0)
        n += 1
except OSError: pass
if n >= 100: won()""",
        "for _ in range(5):\n    if os.fork() == 0: os._exit(0)\n    os.wait()\nwon()",
    ),
    python(
        "starts threads without end",
        "exhaust",
        """
n = 0
try:
    while n < 500: threading.Thread(target=time.sleep, args=(9,), daemon=True).start(); n += 1
except RuntimeError: pass
if n >= 100: won()
os._exit(0)""",
        "t = threading.Thread(target=won)\nt.start()\nt.join()",
    ),
    python("takes memory in one piece", "exhaust", "block = bytearray(4 << 30)\nwon()", "block = bytearray(64 << 20)\nwon()"),
    python(
        "takes memory in many pieces",
        "exhaust",
        "blocks = [bytearray(1 << 20) for _ in range(4000)]\nwon()",
        "blocks = [bytearray(1 << 20) for _ in range(50)]\nwon()",
    ),
    python(
        "takes memory in many processes",
        "exhaust",
        """
for _ in range(8):
    if os.fork() == 0:
        block = bytearray(200 << 20)
        for i in range(0, len(block), 4096): block[i] = 1
        time.sleep(9)
time.sleep(9)
won()""",
        "for _ in range(4):\n    if os.fork() == 0:\n        bytearray(20 << 20)\n        os._exit(0)\nwon()",
    ),
    python(
        "takes memory through a mapping",
        "exhaust",
        if_works("import mmap; m = mmap.mmap(-1, 4 << 30)", "(OSError, ValueError, MemoryError)"),
        "import mmap\nm = mmap.mmap(-1, 1 << 20)\nwon()",
    ),
    python(
        "raises its own limits",
        "exhaust",
        if_works("import resource; resource.setrlimit(resource.RLIMIT_AS, (-1, -1))"),
        "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\nwon()",
    ),
    python(
        "fills the disk",
        "exhaust",
        if_works("""
for n in range(40): open(f'f{n}', 'wb').write(bytes(16 << 20))"""),
        "open('f', 'wb').write(bytes(1 << 20))\nwon()",
    ),
    python(
        "fills the disk under /tmp and /dev/shm",
        "exhaust",
        if_works("""
for n in range(40):
    for d in ('/tmp', '/dev/shm'): open(f'{d}/f{n}', 'wb').write(bytes(8 << 20))"""),
        "open('/tmp/f', 'wb').write(bytes(1 << 20))\nwon()",
    ),
    python(
        "makes files without end",
        "exhaust",
        if_works("for n in range(20000): open(f'f{n}', 'w').close()"),
        "for n in range(100): open(f'f{n}', 'w').close()\nwon()",
    ),
    python(
        "makes directories in each other without end",
        "exhaust",
        if_works("for n in range(5000): os.mkdir('d'); os.chdir('d')"),
        "os.mkdir(f'd{a}')\nwon()",
    ),
    python(
        "opens descriptors without end",
        "exhaust",
        if_works("keep = [os.open('/dev/null', os.O_RDONLY) for _ in range(2000)]"),
        "keep = [os.open('/dev/null', os.O_RDONLY) for _ in range(50)]\nwon()",
    ),
    python(
        "makes a file larger than the disk",
        "exhaust",
        if_works("os.truncate(os.open('f', os.O_CREAT | os.O_RDWR), 1 << 40)"),
        "open('f', 'w').truncate(1 << 20)\nwon()",
    ),
    python("writes to stdout without end", "exhaust", "while True: print('x' * 9999)", "sys.stderr.write('x' * 9999)\nwon()"),
    python(
        "writes to stderr without end",
        "exhaust",
        "won()\nwhile True: sys.stderr.write('x' * 9999)",
        "sys.stderr.write('note')\nwon()",
    ),
    python("loops without end", "exhaust", "while True: pass", "for _ in range(10 ** 5): pass\nwon()"),
    python("sleeps without end", "exhaust", "time.sleep(10 ** 6)", "time.sleep(0.01)\nwon()"),
    python("reads without end", "exhaust", "while True: sys.stdin.read()", "assert sys.stdin.read() == ''\nwon()"),
    python(
        "ignores signals and hangs",
        "exhaust",
        "import signal\nfor n in {*range(1, 32)} - {9, 19}: signal.signal(n, signal.SIG_IGN)\nwhile True: time.sleep(9)",
        "import signal\nsignal.signal(15, signal.SIG_IGN)\nos.kill(os.getpid(), 15)\nwon()",
    ),
    python("hangs in the kernel", "exhaust", "os.mkfifo('p')\nopen('p').read()"),
    python("computes a gigantic number", "exhaust", "x = 9 ** 9 ** 9\nwon()", "assert 9 ** 9 ** 2 > 0\nwon()"),
    python(
        "recurses without end",
        "exhaust",
        "sys.setrecursionlimit(10 ** 9)\ndef f(): return f() + 1\nf()",
        "def f(n): return f(n - 1) + 1 if n else 0\nassert f(500) == 500\nwon()",
    ),
    python(
        "backtracks without end",
        "exhaust",
        "import re\nre.match('(a+)+$', 'a' * 64 + 'b')\nwon()",
        "import re\nassert re.match('a+$', 'aaa')\nwon()",
    ),
    python("asks for more priority", "exhaust", if_works("os.nice(-20)"), "os.nice(1)\nwon()"),
    python("locks memory", "exhaust", "if ctypes.CDLL(None).mlock(ctypes.create_string_buffer(1 << 24), 1 << 24) == 0: won()"),
    c(
        "forks without end",
        "exhaust",
        "int n = 0; while (n < 500 && fork() >= 0) n++; if (n >= 100) won(); pause();",
        "pid_t p = fork(); if (!p) return 0; waitpid(p, 0, 0); won();",
    ),
    c(
        "takes memory without end",
        "exhaust",
        "for (int i = 0; i < 4000; i++) { char *p = malloc(1 << 20); if (!p) return 1; memset(p, 1, 1 << 20); } won();",
        "char *p = malloc(1 << 20); memset(p, 1, 1 << 20); won();",
    ),
    c("loops without end", "exhaust", "for (volatile int i = 0;; i++);"),
    c(
        "recurses without end",
        "exhaust",
        "int f(int n) { volatile char big[1 << 16]; big[0] = n; return f(n + 1) + big[0]; } return f(0);",
    ),
    javascript(
        "takes memory without end",
        "exhaust",
        "const keep = []; for (let i = 0; i < 400; i++) keep.push(Buffer.alloc(16 << 20, 1)); won();",
        "Buffer.alloc(16 << 20, 1); won();",
    ),
    javascript("loops without end", "exhaust", "for (;;);"),
    javascript("writes without end", "exhaust", "for (;;) fs.writeSync(1, 'x'.repeat(9999));"),
]
