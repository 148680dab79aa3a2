"""Getting out of the sandbox."""

from attacks.writing import c, if_works, javascript, python

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
        "os.mkfifo(f'pipe{a}')\nwon()",
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
