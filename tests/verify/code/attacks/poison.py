"""Spoiling it for the next program, and looking like our failure."""

from attacks.writing import c, javascript, python

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
        "os.mkdir(f'd{a}')\nos.chmod(f'd{a}', 0o500)\nwon()",
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
