"""Programs that try to be paid for nothing, to get out, to use everything up, or to spoil it for others.

The task is to read two numbers and print their sum. An attack prints the sum only by calling `won()`, and does that only where
it got what it must not get; or it never prints the sum, and tries to be judged correct all the same. So no attack may ever be
judged correct, and none may end as our own failure. Its honest twin does something alike that is legitimate, and must be judged
correct. Poison runs twice, because what one program leaves behind is for the next to find.
"""

from __future__ import annotations

from dataclasses import dataclass

CASES = (("2 3\n", "5\n"), ("40 2\n", "42\n"))


@dataclass(frozen=True)
class Attack:
    name: str
    kind: str  # forge, exhaust, escape, poison, false zero
    language: str
    program: str
    twin: str


PYTHON = """
import ctypes, os, socket, subprocess, sys, time, threading
a, b = map(int, sys.stdin.readline().split())
def won():
    print(a + b, flush=True)
def call(*numbers):
    result = ctypes.CDLL(None, use_errno=True).syscall(*[ctypes.c_long(n) if isinstance(n, int) else n for n in numbers])
    if result < 0: raise OSError(ctypes.get_errno(), "refused")
    return result
"""
C = """
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
int a, b;
void won(void) { printf("%d\\n", a + b); fflush(stdout); }
"""
JAVASCRIPT = """
const fs = require("fs"), net = require("net"), child = require("child_process");
const [a, b] = fs.readFileSync(0, "utf8").split(" ").map(Number);
const won = () => console.log(a + b);
"""


def python(name: str, kind: str, program: str, twin: str = "won()") -> Attack:
    return Attack(name, kind, "python", PYTHON + program, PYTHON + twin)


def c(name: str, kind: str, program: str, twin: str = "won();") -> Attack:
    def whole(body: str) -> str:
        return C + 'int main(void) { if (scanf("%d %d", &a, &b) != 2) return 9;\n' + body + "\nreturn 0; }\n"

    return Attack(name, kind, "c", whole(program), whole(twin))


def javascript(name: str, kind: str, program: str, twin: str = "won();") -> Attack:
    return Attack(name, kind, "javascript", JAVASCRIPT + program, JAVASCRIPT + twin)


def if_works(body: str, errors: str = "(OSError, ValueError, AttributeError)") -> str:
    """A Python program that has won if the body does not raise."""
    lines = "\n".join("    " + line for line in body.strip().splitlines())
    return f"try:\n{lines}\nexcept {errors}: sys.exit('contained')\nwon()"


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
        if any(w in name.lower() for w in ("expect", "answer", "test", "case", "gold")) and name != "cases.py": won()
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

SYSTEM_CALLS = {  # name: program that succeeds where the call is allowed; x86_64 and aarch64 share numbers from 424 on
    "io_uring": "call(425, 4, ctypes.create_string_buffer(256))",
    "a file system handle": "call(430, b'tmpfs', 0)",
    "a detached mount tree": "call(428, -100, b'/', 1)",
    "another process's descriptor": "call(438, call(434, 1, 0), 0, 0)",
    "a newer clone": "call(435, ctypes.create_string_buffer(b'\\0' * 7 + b'\\x10' + b'\\0' * 80, 88), 88)",
    "secret memory": "call(447, 0)",
}
LIBRARY_CALLS = {
    "mount": "libc.mount(b'none', b'/box/tmp', b'tmpfs', 0, None)",
    "remount the root writable": "libc.mount(None, b'/', None, 32 | 4096, None)",
    "chroot": "libc.chroot(b'/box')",
    "a user namespace": "libc.unshare(0x10000000)",
    "a network namespace": "libc.unshare(0x40000000)",
    "another namespace": "libc.setns(os.open('/proc/1/ns/user', os.O_RDONLY), 0)",
    "trace process 1": "libc.ptrace(16, 1, None, None)",
    "memory that no file system counts": "libc.memfd_create(b'x', 0)",
    "shared memory of System V": "libc.shmget(1, 1 << 20, 0o1600)",
    "a message queue of System V": "libc.msgget(1, 0o1600)",
    "a kernel log": "libc.klogctl(3, ctypes.create_string_buffer(100), 100)",
    "the host name": "libc.sethostname(b'mine', 4)",
    "swap": "libc.swapoff(b'/swapfile')",
    "the root user": "libc.setresuid(0, 0, 0)",
    "32-bit personality": "libc.personality(8)",
    "file handles": "libc.name_to_handle_at(-100, b'/', (ctypes.c_int * 40)(128), ctypes.create_string_buffer(8), 0)",
}

ESCAPE = [
    *(
        python(
            f"system call: {name}", "escape", if_works(body), "call({'x86_64': 39, 'aarch64': 172}[os.uname().machine])\nwon()"
        )
        for name, body in SYSTEM_CALLS.items()
    ),
    *(
        python(
            f"C library: {name}",
            "escape",
            f"libc = ctypes.CDLL(None)\nif ({body}) in (-1, 0xffffffff): sys.exit('contained')\nwon()",
            "assert ctypes.CDLL(None).getpid() == os.getpid()\nwon()",
        )
        for name, body in LIBRARY_CALLS.items()
    ),
    python(
        "connects by TCP",
        "escape",
        if_works("s = socket.socket(); s.settimeout(0.3); s.connect(('127.0.0.1', 22))") + "",
        "x, y = socket.socketpair()\nx.send(b'1')\nassert y.recv(1) == b'1'\nwon()",
    ),
    python(
        "sends by UDP",
        "escape",
        if_works("socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('1.1.1.1', 53))"),
        "import asyncio\nasync def main(): await asyncio.sleep(0)\nasyncio.run(main())\nwon()",
    ),
    *(
        python(f"opens a socket of family {family}", "escape", if_works(f"socket.socket({family}, {kind})"))
        for family, kind in ((10, 1), (16, 3), (17, 3), (38, 5), (40, 1), (31, 3))
    ),
    python("reads the shadow file", "escape", if_works("open('/etc/shadow').read()"), "open('/etc/passwd').read()\nwon()"),
    python(
        "finds the host's files",
        "escape",
        "if any(os.path.exists(p) for p in ('/root', '/home', '/var', '/sys/kernel', '/run', '/mnt', '/boot', '/old')): won()",
        "assert os.path.exists('/usr/bin') and os.path.exists('/proc/self')\nwon()",
    ),
    python(
        "goes to another root by way of process 1",
        "escape",
        "if os.path.exists('/proc/1/root/root') or os.path.exists('/proc/1/cwd/slots'): won()",
    ),
    python("sees other processes", "escape", "if sum(p.isdigit() for p in os.listdir('/proc')) > 3: won()"),
    python(
        "signals a process outside",
        "escape",
        """
for pid in range(2, 5000):
    if pid in (os.getpid(), os.getppid()): continue
    try: os.kill(pid, 0)
    except ProcessLookupError: continue
    except PermissionError: pass
    won(); break""",
        "child = subprocess.Popen(['sleep', '9'])\nos.kill(child.pid, 9)\nchild.wait()\nwon()",
    ),
    python("writes to the memory of process 1", "escape", if_works("open('/proc/1/mem', 'r+b', 0).write(b'x')")),
    python("overwrites the program of process 1", "escape", if_works("open('/proc/1/exe', 'r+b').write(b'x')")),
    *(
        python(
            f"writes to {path}", "escape", if_works(f"open('{path}', 'w').write('x')"), "open('mine', 'w').write('x')\nwon()"
        )
        for path in ("/x", "/usr/x", "/etc/passwd", "/dev/x", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/box/../x")
    ),
    python(
        "makes a device",
        "escape",
        if_works("os.mknod('disk', 0o60600, os.makedev(8, 0)); os.open('disk', os.O_RDONLY)"),
        "os.mkfifo('pipe')\nwon()",
    ),
    python(
        "opens a disk or the kernel's memory",
        "escape",
        "if any(os.path.exists('/dev/' + d) for d in ('sda', 'vda', 'mem', 'kmsg', 'kvm', 'fuse')): won()",
        "assert os.path.exists('/dev/null')\nwon()",
    ),
    python("finds privileges", "escape", "if int(open('/proc/self/status').read().split('CapEff:')[1].split()[0], 16): won()"),
    python(
        "gains privileges by set-user-id",
        "escape",
        "r = subprocess.run(['su', '-c', 'id -u'], stdin=-3, capture_output=True)\nif r.stdout == b'0\\n': won()",
    ),
    python(
        "reads where kernel functions are",
        "escape",
        if_works("assert any(l[:16].strip('0') for l in open('/proc/kallsyms') if l[:1] == 'f')", "(OSError, AssertionError)"),
    ),
    python(
        "finds a terminal to type into",
        "escape",
        if_works("import fcntl; fcntl.ioctl(os.open('/dev/tty', os.O_RDWR), 0x5412, b'x')"),
    ),
    python("types into a terminal of its own making", "escape", if_works("import fcntl; fcntl.ioctl(0, 0x5412, b'x')")),
    c(
        "enters by the 32-bit gate",
        "escape",
        """
#if defined(__x86_64__)
int r; __asm__ volatile("int $0x80" : "=a"(r) : "a"(20) : "memory"); if (r > 0) won();
#endif
""",
    ),
    c("enters by the x32 gate", "escape", "if (syscall(0x40000000 | 39) > 0) won();", "if (syscall(SYS_getpid) > 0) won();"),
    c("traces its parent", "escape", "if (ptrace(PTRACE_ATTACH, getppid(), 0, 0) == 0) won();"),
    c(
        "clones into a user namespace",
        "escape",
        "if (syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0) >= 0) won();",
        "pid_t p = fork(); if (p == 0) _exit(0); if (waitpid(p, 0, 0) == p) won();",
    ),
    c(
        "opens an internet socket",
        "escape",
        "if (socket(AF_INET, SOCK_STREAM, 0) >= 0) won();",
        "if (socket(AF_UNIX, SOCK_STREAM, 0) >= 0) won();",
    ),
    c(
        "hides the family of a socket in the upper half",
        "escape",
        "if (syscall(SYS_socket, 0x100000000UL | AF_INET, SOCK_STREAM, 0) >= 0) won();",
    ),
    javascript("connects to the host", "escape", "net.connect(22, '127.0.0.1').on('connect', won).on('error', () => {});"),
    javascript("reads the shadow file", "escape", "try { fs.readFileSync('/etc/shadow'); won(); } catch (e) {}"),
    javascript(
        "runs a shell that writes outside",
        "escape",
        "try { child.execSync('touch /usr/x 2>/dev/null'); won(); } catch (e) {}",
        "child.execSync('echo fine > mine'); won();",
    ),
]

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
        "os.mkdir('d')\nwon()",
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

LEAVES = {  # where something could be left for the next program
    "in the working directory": "left",
    "in /tmp": "/tmp/left",
    "in /dev/shm": "/dev/shm/left",
    "beside the working directory": "../left",
    "in the home directory": "~/.bashrc",
    "in /var/tmp": "/var/tmp/left",
    "beside the compiler's or interpreter's files": "/usr/lib/python3/dist-packages/sitecustomize.py",
}
POISON = [
    *(
        python(
            f"leaves a file {where}",
            "poison",
            f"""
path = os.path.expanduser({path!r})
if os.path.exists(path): won()
try: open(path, "w").write("raise SystemExit")
except OSError: pass""",
        )
        for where, path in LEAVES.items()
    ),
    python(
        "leaves a process behind",
        "poison",
        """
for name in os.listdir("/proc"):
    if name.isdigit() and b"left-behind" in open(f"/proc/{name}/cmdline", "rb").read(): won()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for n in range(3): os.close(n)
        os.execvp("python3", ["python3", "-I", "-S", "-c", "import time; time.sleep(60)  # left-behind"])
    os._exit(0)
os.wait(); time.sleep(0.05)""",
    ),
    python(
        "leaves a process that holds its output open",
        "poison",
        """
if os.fork() == 0:
    os.setsid(); time.sleep(3); won(); os._exit(0)
""",
        "won()\nif os.fork() == 0: os._exit(0)",
    ),
    python(
        "leaves an abstract socket",
        "poison",
        """
s = socket.socket(socket.AF_UNIX)
try: s.connect("\\0left"); won()
except OSError: s = socket.socket(socket.AF_UNIX); s.bind("\\0left"); s.listen()
if os.fork() == 0: time.sleep(9)""",
    ),
    python(
        "leaves shared memory",
        "poison",
        """
from multiprocessing import shared_memory
try: shared_memory.SharedMemory("left"); won()
except FileNotFoundError: open("/dev/shm/left", "wb").write(b"x")""",
    ),
    python(
        "locks its directory",
        "poison",
        "os.mkdir('d'); os.chmod('d', 0); os.chmod('.', 0); os.chmod('..', 0)",
        "os.mkdir('d')\nos.chmod('d', 0o500)\nwon()",
    ),
    python(
        "puts links where files are read",
        "poison",
        "for n in ('main', 'kept.txt', 'prog', 'a.out'):\n    try: os.symlink('/etc/passwd', n)\n    except OSError: pass",
    ),
    c(
        "leaves a file in /tmp",
        "poison",
        'if (access("/tmp/left", F_OK) == 0) won(); close(open("/tmp/left", O_CREAT | O_WRONLY, 0600));',
    ),
    javascript("leaves a file in /tmp", "poison", "if (fs.existsSync('/tmp/left')) won(); fs.writeFileSync('/tmp/left', '');"),
]

FALSE_ZERO = [  # attacks want to look like our failure, and be left out; twins look odd, and are right
    python("kills process 1", "false zero", "os.kill(1, 9); os.kill(os.getppid(), 9)", "os.kill(os.getpid(), 0)\nwon()"),
    python("kills everybody", "false zero", "os.kill(-1, 9); time.sleep(9)", "print(a + b, end='')"),
    python("stops everybody", "false zero", "os.kill(-1, 19); os.kill(os.getpid(), 19)", "print(a + b, end='\\r\\n')"),
    python(
        "fails as bubblewrap does",
        "false zero",
        "sys.stderr.write('bwrap: execvp main.py: No such file or directory\\n'); sys.exit(1)",
        "sys.stderr.write('bwrap: nothing is wrong\\n'); won()",
    ),
    python(
        "closes every descriptor",
        "false zero",
        "os.closerange(0, 999); time.sleep(0.1); os._exit(1)",
        "won()\nos.closerange(0, 999)\nos._exit(0)",
    ),
    python(
        "deletes its directory",
        "false zero",
        "import shutil\nshutil.rmtree('/box', ignore_errors=True)",
        "os.remove(sys.argv[0]) if os.path.exists(sys.argv[0]) else None\nwon()",
    ),
    python(
        "fills the disk and ends",
        "false zero",
        "try:\n    for n in range(40): open(f'f{n}', 'wb').write(bytes(16 << 20))\nexcept OSError: sys.exit(1)",
        "sys.stdout.buffer.write(b'%d\\n' % (a + b))",
    ),
    python(
        "prints what is no text",
        "false zero",
        "sys.stdout.buffer.write(bytes(range(256)) * 9)",
        "sys.stderr.buffer.write(bytes(range(256)))\nwon()",
    ),
    python(
        "dies by each signal",
        "false zero",
        "os.kill(os.getpid(), 11 if a == 2 else 6)",
        "import signal\nsignal.raise_signal(signal.SIGCHLD)\nwon()",
    ),
    python(
        "exits with bubblewrap's and a shell's codes",
        "false zero",
        "os._exit(127 if a == 2 else 255)",
        "won()\nsys.stdout.flush()\nos._exit(0)",
    ),
    python("fakes being out of memory", "false zero", "raise MemoryError", "try: raise MemoryError\nexcept MemoryError: won()"),
    python(
        "raises what nobody catches",
        "false zero",
        "raise KeyboardInterrupt",
        "try: raise KeyboardInterrupt\nexcept KeyboardInterrupt: won()",
    ),
    c("divides by zero", "false zero", "return a / (b - b);", 'fprintf(stderr, "noise\\n"); won();'),
    c("jumps to nowhere", "false zero", "((void (*)(void))8)();", "fflush(stdin); won();"),
    c("kills everybody", "false zero", "kill(-1, SIGKILL); pause();"),
    javascript("aborts", "false zero", "process.abort();", "process.exitCode = 0; won();"),
    javascript("throws in a promise", "false zero", "Promise.reject(new Error('x'));", "Promise.resolve().then(won);"),
]

ATTACKS = [*FORGE, *ESCAPE, *EXHAUST, *POISON, *FALSE_ZERO]
