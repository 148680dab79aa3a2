"""What the self-test finds in a container with Docker's default profile: no new user namespaces for anybody."""

import ctypes
import errno
import struct
import sys

from sharpen.sandbox import linux, seccomp
from sharpen.sandbox.selftest import probe
from sharpen.sandbox.supervisor import SECCOMP_MODE_FILTER

column, _ = seccomp.MACHINES[seccomp.os.uname().machine]
clone = seccomp.ARGUMENTS["clone"][column]
refuse = (seccomp.RETURN, 0, 0, 0x00050000 | errno.EPERM)
code = [(seccomp.LOAD, 0, 0, seccomp.NUMBER), (seccomp.EQUAL, 0, 1, seccomp.DENIED["unshare"][column]), refuse]
code += [(seccomp.EQUAL, 0, 1, seccomp.MISSING["clone3"][column]), (seccomp.RETURN, 0, 0, 0x00050000 | errno.ENOSYS)]
code += [(seccomp.EQUAL, 0, 3, clone), (seccomp.LOAD, 0, 0, seccomp.ARGUMENT), (seccomp.MASKED, 0, 1, 0x10000000), refuse]
code += [(seccomp.RETURN, 0, 0, seccomp.ALLOW)]
packed = b"".join(struct.pack("=HBBI", *step) for step in code)
buffer = ctypes.create_string_buffer(packed, len(packed))
program = ctypes.create_string_buffer(struct.pack("@HP", len(code), ctypes.addressof(buffer)))
linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
linux.prctl(linux.PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program))
found = probe()
print(found.level, *found.reasons, sep="\n", file=sys.stdout)
